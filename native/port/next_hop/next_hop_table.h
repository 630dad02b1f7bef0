// Where a packet goes on the link: routes by longest prefix and neighbours with their link
// addresses, as the kernel has them for one device. For drivers that write link headers.
// Threads: one builds a table, then any number of workers read it; a change is another table.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

/// An Ethernet address.
using LinkAddress = std::array<std::uint8_t, 6>;

/// An address of either family, so that both go one way: IPv4 is the last 32 of 128 bits behind
/// 96 bits of ones, which no IPv6 host has.
struct HopAddress {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const HopAddress&) const = default;
  bool is_v4() const noexcept { return high == ~std::uint64_t{0}; }

  /// @param bytes  4 or 16 octets in network order.
  static HopAddress of(const void* bytes, bool is_v6) noexcept;
  /// The destination of a whole IP packet.
  static HopAddress destination_of(const std::byte* packet) noexcept;
};

/// A neighbour on the link.
struct Neighbour {
  HopAddress address;
  LinkAddress link;
  bool is_fixed;  ///< somebody wrote it down for good: nobody asks whether it is still there
};

class NextHopTable {
 public:
  static constexpr unsigned kIpv4Bits = 96;  ///< what an IPv4 prefix's length is longer by

  /// A route of the device. @param length  bits of the prefix, kIpv4Bits more for IPv4.
  /// @param gateway  nullptr: destinations are on the link. The lower metric wins.
  void add_route(HopAddress prefix, unsigned length, std::uint32_t metric,
                 const HopAddress* gateway);
  void add_neighbour(const Neighbour& neighbour);
  /// Once, when all is added.
  void finish();

  /// Who is next on the way to an address; nullptr: no route by this device, or the neighbour is
  /// not known (yet). Marks it as used. Any worker.
  const Neighbour* find(const HopAddress& to) const noexcept;
  /// Whether an address is reached by this device at all. Any worker.
  bool has_route(const HopAddress& to) const noexcept { return route_to(to) != nullptr; }
  /// The IPv4 destinations that share a gateway with `to`: those of its route, but for those of
  /// longer ones. False: it has no gateway, or there are more than two of those. Any worker.
  struct Reach {
    struct Range {
      std::uint32_t prefix, mask;  ///< in host order
    };
    Range whole;
    Range excepted[2];
    unsigned exceptions;
  };
  bool reach_of(const HopAddress& to, Reach& reach) const noexcept;
  /// Neighbours that find() has returned since the last call and that may go away. The builder's
  /// thread.
  std::vector<HopAddress> take_used() noexcept;

  std::size_t routes() const noexcept { return routes_.size(); }
  std::size_t neighbours() const noexcept { return neighbours_.size(); }

 private:
  struct Route {
    HopAddress prefix;
    HopAddress gateway;
    std::uint32_t metric;
    std::uint8_t length;
    bool has_gateway;
  };
  /// All routes of one length.
  struct Level {
    HopAddress mask;
    std::uint32_t begin, end;
    std::uint8_t length;
  };

  const Route* route_to(const HopAddress& to) const noexcept;

  std::vector<Route> routes_;  ///< longest first, then by prefix
  std::vector<Level> levels_;
  std::vector<Neighbour> neighbours_;       ///< by address
  mutable std::vector<std::uint8_t> used_;  ///< for each neighbour, by atomic accesses
};

}  // namespace sluice
