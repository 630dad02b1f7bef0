// One burst on its way through the stages: what each stage found out about each packet, as
// arrays; and the lists by which packets leave. Owner: one worker. A packet with a verdict other
// than None is dead; later stages pass over it. Start at pipeline.cc.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/types.h"
#include "memory/packet.h"
#include "session/compile/filter_set.h"
#include "session/flow.h"
#include "session/table/network_map.h"

namespace sluice {

inline constexpr unsigned kBurstMax = 64;

/// A verdict for packets that are neither sent nor dropped here; Burst::fate says where they are.
inline constexpr DropReason kTakenAway = DropReason::Count;

/// Between two stages only: no verdict yet, and the general way has to find it.
inline constexpr DropReason kNotPlain{static_cast<std::uint8_t>(DropReason::Count) + 1};

enum class Fate : std::uint8_t {
  HandedOver,   ///< to the worker that owns its session
  Held,         ///< until new rules let it go
  Waits,        ///< a fragment, for the others of its packet
  InPieces,     ///< sent, as several
  TurnedRound,  ///< comes in again, on its way to another UE
  Answered,     ///< its buffer has become the answer
  Opened        ///< ESP: what is inside comes in
};

/// Of the plain way: positions in FlowRules::pdrs are places, those behind it the extension's.
inline constexpr unsigned kNoPlace = kNoPdr;

inline constexpr std::uint8_t kInnerV6 = 1;
inline constexpr std::uint8_t kInnerNoPorts = 2;
inline constexpr std::uint8_t kResolved = 4;  ///< the session was found by the worker before
inline constexpr std::uint8_t kHasContainer = 8;
inline constexpr std::uint8_t kReleased = 16;     ///< was held, and is looked at again
inline constexpr std::uint8_t kFits = 32;         ///< looked at, and small enough to leave
inline constexpr std::uint8_t kCaptured = 64;     ///< Burst::capture names its copy
inline constexpr std::uint8_t kTurnsRound = 128;  ///< when its copies have left

/// What match found for one packet, and what later stages read again and again. Valid until
/// the rules change, that is within the burst.
struct Hit {
  Packet* packet;
  Flow* flow;
  unsigned length;  ///< inner octets
  const PdrEntry* pdr;
  const FarEntry* far;
  unsigned position;  ///< of the PDR in its direction's list
};

struct alignas(kCacheLine) Burst {
  Operand operand[kBurstMax];
  Packet* packets[kBurstMax];
  Flow* flow[kBurstMax];
  std::uint64_t prefix[kBurstMax];  ///< IPv6 downlink: the /64 in host order
  std::uint32_t key[kBurstMax];     ///< TEID, or UE IPv4 address
  const void* line[kBurstMax];      ///< core: where the address table has the key, if anywhere
  SessionIndex session[kBurstMax];
  ArenaRef filter_set[kBurstMax];  ///< of an access burst: the tunnel's; else it is the flow's
  std::uint16_t inner_offset[kBurstMax];  ///< from the packet's data
  std::uint16_t inner_length[kBurstMax];  ///< octets that QERs and URRs count
  DropReason verdict[kBurstMax];
  Direction direction[kBurstMax];
  std::uint8_t flags[kBurstMax];
  std::uint8_t local[kBurstMax];     ///< index of the local address that the tunnel packet came to
  std::uint8_t qfi[kBurstMax];       ///< of the container, or kNoQfi
  std::uint32_t capture[kBurstMax];  ///< with kCaptured: where its copy is, see capture_tap.h
  Fate fate[kBurstMax];              ///< with kTakenAway
  unsigned count = 0;
  bool is_access = false;
  std::uint8_t port = 0;  ///< that all packets came in by
  Nanoseconds now = 0;

  DropReason take_away(unsigned i, Fate where) noexcept {
    fate[i] = where;
    return kTakenAway;
  }
};

/// Packets on their way out of one port, or over to one worker.
struct PacketList {
  /// A burst with all its copies, and more. With it the size is a power of two, so that a list is
  /// found by its number with a shift.
  static constexpr unsigned kMax = 16 * kBurstMax - 1;
  unsigned count = 0;
  Packet* packets[kMax];

  bool has_room(std::size_t more) const noexcept { return count + more <= kMax; }
  void add(Packet* packet) noexcept { packets[count++] = packet; }
};
static_assert(std::has_single_bit(sizeof(PacketList)));

}  // namespace sluice
