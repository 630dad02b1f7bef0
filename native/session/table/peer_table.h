// Tunnel peers, interned: one line each with the outer header's constant part, shared by
// all sessions behind one gNB or UPF. Control thread writes an entry before any rules
// refer to it; workers read.
#pragma once
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "session/table/network_map.h"
#include "session/table/path.h"

namespace sluice {

/// Bytes of the common outer header: IPv4, UDP, GTP-U, a PDU Session Container with a QFI.
inline constexpr unsigned kPlainOuterBytes = 44;
/// The same over IPv6.
inline constexpr unsigned kPlainOuter6Bytes = 64;
/// IPv4, UDP, GTP-U.
inline constexpr unsigned kBareOuterBytes = 36;

/// Outer IP and UDP header without lengths, flow label, source port and DSCP.
struct alignas(64) Peer {
  std::uint8_t header[48];      ///< IPv4: 20 + 8 bytes, then GTP-U and container; IPv6: 40 + 8
  std::uint32_t checksum_seed;  ///< one's complement sum of the constant words (IPv4 header; IPv6
                                ///< pseudo header)
  std::uint8_t port;            ///< outgoing port, or kProtectedPort + it
  bool is_v6;
  std::uint16_t protection;  ///< that packets to it are sealed with, 0: none
  std::uint8_t reserved[8];
};
static_assert(sizeof(Peer) == 64);

class PeerTable {
 public:
  static constexpr std::uint16_t kNone = 0xffff;
  /// @param peers  zeroed, 64-byte aligned, of at most 65,535 entries.
  /// @param paths  zeroed, as many.
  PeerTable(std::span<Peer> peers, Path* paths) noexcept : peers_(peers), paths_(paths) {}

  /// From now on a worker asks the peers: an entry is reused when it has let go of it.
  void watch(bool on) noexcept { watched_ = on; }
  /// Entries that were ever used. Threads: any.
  std::uint32_t entries() const noexcept { return entries_; }
  /// Calls f(index, destination, udp_port) for the peers in use. Control thread.
  template <typename F>
  void for_each(F&& f) const {
    for (const auto& [key, use] : by_key_) {
      f(use.peer, key.destination, static_cast<std::uint16_t>(key.port_and_udp));
    }
  }

  /// One more reference; kNone when the table is full.
  std::uint16_t acquire(const LocalAddress& source, const std::uint32_t (&destination)[4],
                        std::uint16_t udp_port, std::uint16_t protection = 0);
  void release(std::uint16_t peer);
  const Peer& operator[](std::uint16_t peer) const noexcept { return peers_[peer]; }
  const Peer* data() const noexcept { return peers_.data(); }

 private:
  struct Key {
    std::uint32_t destination[4];
    std::uint32_t port_and_udp;
    std::uint32_t protection;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  struct Use {
    std::uint16_t peer;
    std::uint32_t references;
  };
  void collect_left();

  std::span<Peer> peers_;
  Path* paths_;
  bool watched_ = false;
  Figure<std::uint32_t> entries_;
  std::unordered_map<Key, Use, Hash> by_key_;
  std::vector<Key> keys_;
  std::vector<std::uint16_t> free_;
  std::deque<std::uint16_t> left_;  ///< the worker has not let go of them yet
};

}  // namespace sluice
