// The packet path under measurement: memory ports, one worker driven by the bench itself, or
// ports of another kind; sessions with bare or full rules. With memory ports made
// once per number of sessions and kept.
#pragma once
#include <memory>
#include <thread>
#include <vector>

#include "session/compile/record_builder.h"
#include "worker/datapath.h"

namespace bench {

/// What sessions and packets are like.
struct PathKind {
  std::uint32_t sessions = 1000;
  /// Two PDRs a direction with SDF filters, the second matching; flow QER and AMBR QER with MBR
  /// that does not drop; one URR with a volume threshold.
  bool full = true;
  bool is_protected =
      false;  ///< what goes to N6 is sealed with SM4-GCM, by a thousand associations
  bool outer_v6 = false;
  bool inner_v6 = false;
  /// Every other session has an MBR that lets hardly anything pass.
  bool metered_half = false;
  unsigned workers = 1;  ///< each with every other session
  unsigned pdrs = 2;     ///< a direction, with full rules; the last matches
  unsigned lanes = 0;    ///< 1: a thread on another core seals
  bool filters = true;   ///< false, with full rules: one PDR a direction, which takes everything

  auto operator<=>(const PathKind&) const = default;
};

struct PacketPath {
  struct Key {
    std::uint32_t teid;
    std::uint32_t ue;  ///< IPv4 address; with inner_v6 the low half of the prefix
  };
  static PacketPath& of(const PathKind& kind);
  /// With full rules, through an N3 and an N6 that the caller describes; the caller drives the
  /// worker. nullptr, and a word on standard error: the ports don't open here.
  /// @param filters  as in PathKind.
  static std::unique_ptr<PacketPath> through(std::uint32_t sessions, bool filters,
                                             sluice::PortConfig n3, sluice::PortConfig n6);

  unsigned workers() const noexcept { return kind.workers; }
  /// The worker of the session at this place of `keys`.
  unsigned owner_of(std::size_t session) const noexcept {
    return static_cast<unsigned>(session % 256 % kind.workers);
  }

  /// Packets so far, for whatever reason. Threads: any.
  std::uint64_t dropped() const;

  /// Gives a session, by its place in `keys`, the other one of its two gNB tunnels, or the first
  /// again. Threads: one, which is nobody's worker.
  void change(std::uint32_t session, bool to_other);
  /// The TEID of a session's tunnel to its gNB.
  static std::uint32_t gnb_teid(const Key& key, bool other) noexcept;

  std::jthread lane;  ///< of a path with lanes: serves until the packet path ends
  std::unique_ptr<sluice::Datapath> datapath;
  std::vector<Key> keys;                     ///< by session
  std::vector<std::uint32_t> records;        ///< one after the other
  std::vector<std::uint32_t> other_records;  ///< with the other tunnel, once one was asked for
  std::uint32_t slots = 0;                   ///< of each bucket
  PathKind kind;
};

/// Headers of a packet as it arrives, but for what differs by session.
struct PacketTemplate {
  std::byte headers[64 + 48] = {};
  unsigned bytes = 0;  ///< of the headers
  unsigned packet_bytes = 0;
  unsigned ue_at = 0;     ///< where the UE's IPv4 address is, or the low half of its prefix
  unsigned inner_at = 0;  ///< where the UE's packet begins; the TEID is at inner_at - 12
};
/// @param bytes  of the UE's packet.
PacketTemplate packet_template(const PathKind& kind, bool uplink, unsigned bytes) noexcept;

/// Ends the bench, and says what was dropped: a figure of lost packets would be none, and a loop
/// has lost track of its buffers then.
[[noreturn]] void end_for_losses(const PacketPath& path, std::uint64_t sent,
                                 std::uint64_t received) noexcept;

inline constexpr std::uint32_t kN3 = 0x0a000001, kGnb = 0x0a000002, kServer = 0xcb007109;
inline constexpr std::uint32_t kUes = 0x0b000000;  ///< of the first UE of IPv4; the others follow

}  // namespace bench
