// Sessions by the tunnels that they send into: whom an Error Indication is about. An entry is
// a hash of peer and TEID in 8 bytes, so the session's own rules have the last word. One
// writer, the control thread; workers read while it writes.
#pragma once
#include "session/table/address_table.h"
#include "session/table/peer_table.h"
#include "wire/bytes.h"

namespace sluice {

/// Address of a tunnel peer, as in a record: IPv4 in the first word.
struct RemoteAddress {
  std::uint32_t words[4];
  bool is_v6;
  bool operator==(const RemoteAddress&) const = default;

  /// @param p  4 or 16 bytes, network byte order.
  static RemoteAddress of(const std::byte* p, bool is_v6) noexcept {
    RemoteAddress a{{}, is_v6};
    for (unsigned i = 0; i < (is_v6 ? 4u : 1u); ++i) a.words[i] = wire::load32(p + 4 * i);
    return a;
  }
  static RemoteAddress of(const Peer& peer) noexcept {
    return of(reinterpret_cast<const std::byte*>(peer.header) + (peer.is_v6 ? 24 : 16), peer.is_v6);
  }
};

class RemoteTable {
 public:
  /// Sessions that may be listed for one tunnel (by rights there is one).
  static constexpr unsigned kTurns = 4;
  static std::size_t bytes(std::uint32_t sessions) noexcept { return Ipv4Table::bytes(sessions); }
  RemoteTable(void* memory, std::uint32_t sessions, HashSecret secret) noexcept
      : table_(memory, sessions, secret), secret_(secret) {}

  /// Lists a session; one too many for the tunnel is not listed. False: the table is full.
  bool insert(const RemoteAddress& peer, std::uint32_t teid, SessionIndex session) noexcept {
    for (unsigned turn = 0; turn < kTurns; ++turn) {
      const Place place = place_of(peer, teid, turn);
      SessionIndex other = kNoSession;
      if (table_.size() == 0 || !table_.find(place.key, place.qualifier, other)) {
        return table_.insert(place.key, place.qualifier, session);
      }
      if (other == session) return true;
    }
    return true;
  }
  void erase(const RemoteAddress& peer, std::uint32_t teid, SessionIndex session) noexcept {
    for (unsigned turn = 0; turn < kTurns; ++turn) {
      const Place place = place_of(peer, teid, turn);
      SessionIndex found = kNoSession;
      if (!table_.find(place.key, place.qualifier, found) || found != session) continue;
      table_.erase(place.key, place.qualifier);
      return;
    }
  }
  /// Any worker. A session that probably sends into the tunnel; ask each turn.
  bool find(const RemoteAddress& peer, std::uint32_t teid, unsigned turn,
            SessionIndex& session) const noexcept {
    const Place place = place_of(peer, teid, turn);
    return table_.find(place.key, place.qualifier, session);
  }

 private:
  struct Place {
    std::uint32_t key;
    std::uint8_t qualifier;
  };
  Place place_of(const RemoteAddress& peer, std::uint32_t teid, unsigned turn) const noexcept {
    std::uint64_t x = secret_(teid | std::uint64_t{turn} << 32);
    for (unsigned i = 0; i < (peer.is_v6 ? 4u : 1u); ++i) x = secret_(x ^ peer.words[i]);
    return {static_cast<std::uint32_t>(x >> 24), static_cast<std::uint8_t>(x >> 56)};
  }
  Ipv4Table table_;
  HashSecret secret_;
};

}  // namespace sluice
