// Next hops on a link that the kernel has no part in (a memif, a NIC bound to VFIO): one gateway a
// family that is asked for by ARP and ND, and answers to whoever asks for the port's own addresses.
// Threads: made on the control thread, then any worker; one of them asks.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/types.h"
#include "port/next_hop/next_hop_table.h"
#include "wire/bytes.h"
#include "wire/ipv6.h"

namespace sluice {

/// What a frame was.
enum class LinkHeard : std::uint8_t {
  Other,          ///< neither ARP nor ND
  Answer,         ///< a question, and the frame is the answer now: send it
  Taken,          ///< an answer, or nothing of ours
  Malformed,      ///< too short, or fields that no such message has
  FalseSender,    ///< no one host's link address, or not the one that the frame came from
  AddressInUse,   ///< another host says that it has an address of the port
  WrongChecksum,  ///< of ICMPv6
};

class Gateways {
 public:
  /// Most octets of a frame that hear() or ask() writes.
  static constexpr std::size_t kFrameBytesMax = 86;

  /// @param own        the port's link address.
  /// @param addresses  answered for; the link-local one that goes with `own` is added.
  /// @param gateways   at most one of each family.
  Gateways(const LinkAddress& own, const std::vector<HopAddress>& addresses,
           const std::vector<HopAddress>& gateways);

  /// The link address of a family's gateway. False: there is none, or it has not answered.
  bool find(bool is_v4, LinkAddress& to) const noexcept {
    // Relaxed: pairs with the stores in learn() and ask(); the word is all there is to see.
    const std::uint64_t link = gateways_[is_v4 ? 0 : 1].link.load(std::memory_order_relaxed);
    if (link == kUnknown) return false;
    for (unsigned i = 0; i < to.size(); ++i)
      to[i] = static_cast<std::uint8_t>(link >> (40 - 8 * i));
    return true;
  }
  /// Whether a frame is for hear(): ARP, or ICMPv6 that no router has passed on.
  static bool concerns(const std::byte* frame, std::size_t bytes) noexcept {
    if (bytes < 14) return false;
    const unsigned type = wire::load16(frame + 12);
    if (type == 0x0806) return true;
    return type == 0x86dd && bytes >= 14 + wire::kIpv6Bytes && wire::load16(frame + 20) == 0x3aff;
  }
  /// Reads a frame, Ethernet header first. An Answer is written over it: `frame` has room for
  /// kFrameBytesMax octets. RFC 826, RFC 4861 7.1 and 7.2, RFC 5227 2.4.
  LinkHeard hear(std::byte* frame, std::uint16_t& bytes, Nanoseconds now) noexcept;
  /// Writes the next question that is due; 0: none is. The asking worker alone.
  std::uint16_t ask(std::byte* frame, Nanoseconds now) noexcept;

 private:
  static constexpr std::uint64_t kUnknown = 0;
  struct Gateway {
    HopAddress address{};
    bool is_there = false;
    std::atomic<std::uint64_t> link{kUnknown};
    std::atomic<Nanoseconds> heard{0};
    Nanoseconds asked = 0;  ///< the asking worker's
  };
  /// What a neighbour solicitation or advertisement says.
  struct Message;

  LinkHeard hear_arp(std::byte* frame, std::uint16_t& bytes, Nanoseconds now) noexcept;
  LinkHeard hear_nd(std::byte* frame, std::uint16_t& bytes, Nanoseconds now) noexcept;
  LinkHeard hear_solicitation(std::byte* frame, std::uint16_t& bytes, const Message& message,
                              Nanoseconds now) noexcept;
  LinkHeard hear_advertisement(const Message& message, Nanoseconds now) noexcept;
  void learn(const HopAddress& address, const std::byte* link, bool replaces,
             Nanoseconds now) noexcept;
  bool is_own(const HopAddress& address) const noexcept;
  bool is_own_link(const std::byte* link) const noexcept;
  std::uint16_t write_request(std::byte* frame, const Gateway& gateway) const noexcept;
  std::uint16_t write_solicitation(std::byte* frame, const Gateway& gateway) const noexcept;

  LinkAddress own_;
  HopAddress link_local_;
  std::vector<HopAddress> addresses_;
  std::array<Gateway, 2> gateways_;  ///< IPv4, IPv6
};

}  // namespace sluice
