// Framed routes: prefixes behind a UE, found by longest match. One entry a route in a table
// by folded prefix, and a bitmap of the lengths in use, so that a look asks for few lengths
// and, where nobody has routes, for none. One writer, the control thread; any worker reads.
//
// Two prefixes may fold to one key. Then the second is refused like one that is taken, and a
// reader checks what it finds against the session's own list: never a mix-up.
#pragma once
#include <array>
#include <atomic>

#include "session/table/address_table.h"
#include "session/table/route.h"

namespace sluice {

class RouteTable {
 public:
  static std::size_t bytes(std::uint32_t keys) noexcept { return WideTable::bytes(keys); }
  /// @param memory  zeroed, bytes(keys) long, line aligned.
  RouteTable(void* memory, std::uint32_t keys, HashSecret secret) noexcept
      : table_(memory, keys, secret) {}

  /// The session with the longest route that contains the address. Threads: any.
  bool find(const std::uint32_t (&address)[4], bool is_v6, std::uint8_t port,
            SessionIndex& session) const noexcept;
  /// Control thread.
  bool find_exact(std::uint64_t folded, std::uint8_t port, SessionIndex& session) const noexcept {
    return table_.size() != 0 && table_.find(folded, port, session);
  }
  /// Control thread. False when the table is full; the route must not be there.
  bool insert(const Route& route, std::uint8_t port, SessionIndex session) noexcept;
  void erase(const Route& route, std::uint8_t port) noexcept;

 private:
  static constexpr unsigned kLengths = 129;
  // Bit n of a family: some route has length n. Relaxed: a reader that sees an older bitmap
  // misses a route that is being made, as one does that looks a moment earlier.
  std::array<std::array<std::atomic<std::uint64_t>, 3>, 2> lengths_{};
  std::array<std::array<std::uint32_t, kLengths>, 2> counts_{};
  WideTable table_;
};

}  // namespace sluice
