// Framed routes: prefixes behind a UE, found by longest match. One entry a route in a table by
// folded prefix. Which lengths to ask for is kept for each prefix of whole octets: those of the
// routes that begin with it and are up to 8 bits longer, a bit each, in one octet; so a look asks
// for the lengths that are there, mostly one, and where nobody has routes, for none. One writer,
// the control thread; any worker reads.
//
// Two prefixes may fold to one key. Then the second is refused like one that is taken, and a
// reader checks what it finds against the session's own list: never a mix-up. Prefixes of whole
// octets that share an octet of lengths cost looks in vain.
#pragma once
#include <array>
#include <atomic>
#include <bit>
#include <unordered_map>

#include "session/table/address_table.h"
#include "session/table/route.h"

namespace sluice {

class RouteTable {
 public:
  static std::size_t bytes(std::uint32_t keys) noexcept {
    return WideTable::bytes(keys) + octets(keys);
  }
  /// @param memory  zeroed, bytes(keys) long, line aligned.
  RouteTable(void* memory, std::uint32_t keys, HashSecret secret) noexcept
      : table_(memory, keys, secret),
        lengths_(reinterpret_cast<std::atomic<std::uint8_t>*>(static_cast<std::byte*>(memory) +
                                                              WideTable::bytes(keys))),
        shift_(64 - std::countr_zero(octets(keys))),
        secret_(secret) {}

  /// The session with the longest route that contains the address. Threads: any.
  bool find(const std::uint32_t (&address)[4], bool is_v6, std::uint8_t port,
            SessionIndex& session) const noexcept;
  /// Control thread.
  bool find_exact(std::uint64_t folded, std::uint8_t port, SessionIndex& session) const noexcept {
    return table_.size() != 0 && table_.find(folded, port, session);
  }
  /// Control thread. False when the table is full; the route must not be there.
  bool insert(const Route& route, std::uint8_t port, SessionIndex session);
  void erase(const Route& route, std::uint8_t port) noexcept;

 private:
  // Level n has the lengths from 8 (n - 1) + 1 to 8 n, and level 0 the length 0.
  static constexpr unsigned kLevels = 17;
  static unsigned level_of(unsigned length) noexcept { return (length + 7) / 8; }
  static unsigned first_length(unsigned level) noexcept { return level == 0 ? 0 : 8 * level - 7; }
  static std::uint32_t octets(std::uint32_t keys) noexcept { return std::bit_ceil(2 * keys + 1); }
  template <bool kV6>
  static Route prefix_of(const std::uint32_t (&address)[4], unsigned length) noexcept {
    Route route{{}, static_cast<std::uint8_t>(length), kV6, 0};
    for (unsigned i = 0; i < (kV6 ? 4 : 1); ++i) route.words[i] = address[i] & route.mask(i);
    return route;
  }
  /// Where the lengths of a level are for an address.
  template <bool kV6>
  std::uint32_t place_of(const std::uint32_t (&address)[4], unsigned level) const noexcept {
    const unsigned octets = level == 0 ? 0 : level - 1;
    const std::uint64_t key = prefix_of<kV6>(address, 8 * octets).fold() + level;
    return static_cast<std::uint32_t>(secret_(key) >> shift_);
  }
  std::uint32_t place_of(const Route& route, unsigned level) const noexcept {
    return route.is_v6 ? place_of<true>(route.words, level) : place_of<false>(route.words, level);
  }
  template <bool kV6>
  bool find_in(const std::uint32_t (&address)[4], std::uint8_t port,
               SessionIndex& session) const noexcept;

  WideTable table_;
  std::atomic<std::uint8_t>* lengths_;  ///< bit n: routes of the level's first length + n
  unsigned shift_;
  HashSecret secret_;
  // Bit n of a family: some route is of level n. Relaxed, as the lengths: a reader that sees an
  // older one misses a route that is being made, as one does that looks a moment earlier.
  std::array<std::atomic<std::uint32_t>, 2> levels_{};
  // Control thread: how many routes there are of a level, by family; and of a bit of lengths_.
  std::array<std::array<std::uint32_t, kLevels>, 2> of_level_{};
  std::unordered_map<std::uint32_t, std::uint32_t> of_bit_;
};

}  // namespace sluice
