// The two cache lines that a packet of one direction touches: FlowState, which its owner
// worker alone writes, and FlowRules, compiled by the control thread and copied in by the
// worker between two bursts. Both are found by session index, so that they are prefetched
// together. What does not fit is in a RulesExtension or an Account (offsets, slow path).
#pragma once
#include <cstdint>

#include "base/types.h"
#include "session/table/route.h"
#include "session/teid.h"

namespace sluice {

enum class Direction : std::uint8_t { Uplink = 0, Downlink = 1 };
inline constexpr unsigned kDirections = 2;

/// Offset ÷ 8 of an object in the rules arena; 0: none.
using ArenaRef = std::uint32_t;

inline constexpr unsigned kHotBuckets = 2;

struct alignas(kCacheLine) FlowState {
  std::uint32_t key;                  ///< uplink: direct TEID; downlink: incarnation. 0: not live
  std::uint32_t ue_ipv4;              ///< as loaded from the packet in host order; 0: none
  std::uint64_t ue_prefix;            ///< the /64 in host order; 0: none
  std::uint64_t tokens[kHotBuckets];  ///< µbit; see policer.h
  Nanoseconds refilled_at;
  std::uint32_t rate_kbps[kHotBuckets];
  std::int32_t usage_left;      ///< bytes until the accounting wants to look again
  std::uint32_t usage_packets;  ///< counted since the last fold
  std::uint16_t local_mask;     ///< bit n: local GTP-U address n may receive for this TEID
  std::uint16_t flags;          ///< kFlow…
  ArenaRef account;             ///< mutable state beyond this line
};
static_assert(sizeof(FlowState) == kCacheLine);

inline constexpr std::uint16_t kFlowLive = 1;         ///< the session is installed
inline constexpr std::uint16_t kFlowCheckSource = 2;  ///< inner source must be the UE's (uplink)
inline constexpr std::uint16_t kFlowHold = 4;     ///< packets are held, or still drain, in order
inline constexpr std::uint16_t kFlowCapture = 8;  ///< packets are copied to a capture
inline constexpr std::uint16_t kFlowLent = 16;    ///< has a place in a table of memory/lent_flow.h
/// What takes a packet off the common way, asked for in one test. Set and cleared by the owner;
/// a change of rules leaves them as they are.
inline constexpr std::uint16_t kFlowSlow = kFlowHold | kFlowCapture | kFlowLent;

/// Puts back what packets change of a line; the rest of it is a change of rules'.
inline void restore_mutable(FlowState& to, const FlowState& from) noexcept {
  for (unsigned i = 0; i < kHotBuckets; ++i) to.tokens[i] = from.tokens[i];
  to.refilled_at = from.refilled_at;
  to.usage_left = from.usage_left;
  to.usage_packets = from.usage_packets;
  to.flags = from.flags;
}

/// What a matching PDR does, in 8 bytes.
struct PdrEntry {
  std::uint16_t id;
  std::uint8_t far;
  std::uint8_t qfi;        ///< marked in the container when the FAR makes an outer header
  std::uint8_t buckets;    ///< bits 0 and 1: hot buckets; kMoreBuckets: a mask in the extension
  std::uint8_t usage_set;  ///< 0: none, 1: counted in FlowState, n: Account's set n
  std::uint8_t flags;      ///< kPdr…
  std::uint8_t ppi;        ///< paging policy indicator + 1, 0: none
};
static_assert(sizeof(PdrEntry) == 8);
inline constexpr std::uint8_t kMoreBuckets = 0x80;
inline constexpr std::uint8_t kPdrGateClosed = 1;
inline constexpr std::uint8_t kPdrRqi = 4;
/// Some of its URRs count before policing; which is in the extension.
inline constexpr std::uint8_t kPdrMeasureFirst = 2;
/// Its packets come under a protection; which is in the extension.
inline constexpr std::uint8_t kPdrProtected = 8;
inline constexpr std::uint8_t kPdrDefaultQfi = 16;  ///< the packet's own QFI comes first

enum class FarAction : std::uint8_t {
  Drop = 0,
  ToCore = 1,
  ToTunnel = 2,
  Buffer = 3,
  NoTunnel = 4,
  // With the outer header that it came in (OUTER_HEADER_REMOVAL_NONE).
  WholeToCore = 5,
  WholeToTunnel = 6,
  Duplicate = 7,  ///< the entry behind it is the packet's own, those behind that are its copies'
  ToUe = 8,       ///< never compiled: the pipeline's own, for a packet that turns round
  ToSelf = 9      ///< ToTunnel, to an address of the UPF itself: another session's, if all is well
};

struct FarEntry {
  std::uint32_t teid;  ///< remote; plain IP: the protection; Buffer, Duplicate: see below
  std::uint16_t peer;  ///< index in the PeerTable
  FarAction action;
  std::uint8_t flags;   ///< kFar…
  std::uint8_t port;    ///< outgoing port, or kProtectedPort + it
  std::uint8_t id_low;  ///< low octet of the FAR ID, for traces
  /// Type of the PDU Session Container: who is on the other side decides, not where the
  /// packet came from (0: downlink, towards a gNB; 1: uplink).
  std::uint8_t container;
  std::uint8_t tos;  ///< of the outer header: a DSCP, in the octet's upper six bits

  bool leads_into_tunnel() const noexcept {
    return action == FarAction::ToTunnel || action == FarAction::WholeToTunnel ||
           action == FarAction::ToSelf;
  }
  /// Duplicate: how many. The FAR's own action is in the entry behind, then come the copies'.
  unsigned copies() const noexcept { return teid; }
  const FarEntry& own() const noexcept {
    return action == FarAction::Duplicate ? *(this + 1) : *this;
  }
  // Buffer: the notification's delay, in units of 10 ms, and the most packets to hold.
  void set_buffer(std::uint32_t delay_ms, std::uint32_t packets) noexcept {
    const auto units = (std::uint64_t{delay_ms} + 9) / 10;
    teid = static_cast<std::uint32_t>(units > 0xffff ? 0xffff : units) |
           (packets > 0xffff ? 0xffff : packets) << 16;
  }
  Nanoseconds notification_delay() const noexcept {
    return Nanoseconds{teid & 0xffff} * 10'000'000;
  }
  /// 0: the default.
  unsigned packet_limit() const noexcept { return teid >> 16; }
};
static_assert(sizeof(FarEntry) == 12);
inline bool goes_nowhere(const FarEntry& far) noexcept {
  return far.action == FarAction::Drop || far.action == FarAction::NoTunnel;
}
inline constexpr std::uint8_t kFarNotify = 1;  ///< Buffer only: downlink data is reported
inline constexpr std::uint8_t kFarMarks = 2;   ///< a DSCP was asked for, though it be 0
inline constexpr std::uint8_t kFarToSelf = 4;  ///< the tunnel ends at an address of the UPF itself
/// Tunnels only: an Error Indication was reported. The worker's own mark in the rules.
inline constexpr std::uint8_t kFarErrorReported = 0x80;

inline constexpr unsigned kInlinePdrs = 3;
inline constexpr unsigned kInlineFars = 2;

struct alignas(kCacheLine) FlowRules {
  ArenaRef filter_set;  ///< interned FilterSet of this direction's first tunnel
  ArenaRef extension;   ///< RulesExtension, 0: everything is in this line
  union {
    PortMask port_mask;            ///< downlink: core ports that may deliver for this UE
    std::uint16_t interface_mark;  ///< uplink: of the UE's link-local address, 0: any
  };
  std::uint8_t far_count;
  std::uint8_t flags;  ///< kRules…
  std::uint32_t incarnation;
  PdrEntry pdrs[kInlinePdrs];
  FarEntry fars[kInlineFars];
};
static_assert(sizeof(FlowRules) == kCacheLine);
inline constexpr std::uint8_t kRulesBuffer = 1;         ///< a FAR of this direction buffers
inline constexpr std::uint8_t kRulesErrorReported = 2;  ///< a FAR has kFarErrorReported
inline constexpr std::uint8_t kRulesCountDropped = 4;   ///< downlink: URRs count what is discarded
inline constexpr std::uint8_t kRulesTellEndMarker = 8;  ///< URRs report End Markers
/// All of the direction is in its two lines, has a UE's address to check (uplink) and filters that
/// are compared one by one: for IPv4, for IPv6.
inline constexpr std::uint8_t kRulesInLines4 = 16, kRulesInLines6 = 32;

/// Sixteen bits that stand for the interface identifier that a UE was assigned: never 0. Two may
/// have the same; what it guards goes to the control plane function or nowhere.
inline std::uint16_t interface_mark(std::uint32_t high, std::uint32_t low) noexcept {
  const std::uint32_t mark = (high ^ low * 0x9e3779b1u) * 0x85ebca6bu >> 16;
  return static_cast<std::uint16_t>(mark == 0 ? 1 : mark);
}

/// One direction of one session: two adjacent lines.
struct Flow {
  FlowState state;
  FlowRules rules;
};
static_assert(sizeof(Flow) == 2 * kCacheLine);

/// A further tunnel of a session (a TEID that is not its direct one).
struct TunnelEntry {
  std::uint32_t teid;
  ArenaRef filter_set;
  std::uint16_t local_mask;
  Direction direction;
  std::uint8_t reserved;
};
static_assert(sizeof(TunnelEntry) == 12);

/// Rules that do not fit a line. Immutable; one per direction of a session that needs it.
struct RulesExtension {
  std::uint32_t bytes;
  std::uint8_t pdr_count;
  std::uint8_t far_count;
  std::uint8_t tunnel_count;  ///< uplink extension only: tunnels 1…n of both directions
  std::uint8_t route_count;   ///< framed routes of the session, in the extensions of both
  // Then, each 8-byte aligned: uint64_t bucket_masks[pdr_count]; PdrEntry pdrs[pdr_count];
  // FarEntry fars[far_count]; TunnelEntry tunnels[tunnel_count]; Route routes[route_count];
  // uint16_t protections[pdr_count]; uint8_t first_sets[pdr_count].
  static std::uint32_t size(unsigned pdrs, unsigned fars, unsigned tunnels,
                            unsigned routes) noexcept {
    return static_cast<std::uint32_t>(8 + pdrs * 16 + ((fars * sizeof(FarEntry) + 7) & ~7u) +
                                      tunnels * sizeof(TunnelEntry) + routes * sizeof(Route) +
                                      pdrs * 3);
  }
  std::uint64_t* bucket_masks() noexcept { return reinterpret_cast<std::uint64_t*>(this + 1); }
  PdrEntry* pdrs() noexcept { return reinterpret_cast<PdrEntry*>(bucket_masks() + pdr_count); }
  FarEntry* fars() noexcept { return reinterpret_cast<FarEntry*>(pdrs() + pdr_count); }
  TunnelEntry* tunnels() noexcept {
    return reinterpret_cast<TunnelEntry*>(reinterpret_cast<std::byte*>(fars()) +
                                          ((far_count * sizeof(FarEntry) + 7) & ~7u));
  }
  Route* routes() noexcept { return reinterpret_cast<Route*>(tunnels() + tunnel_count); }
  /// What the packets of PDRs with kPdrProtected come under; 0 for others.
  std::uint16_t* protections() noexcept {
    return reinterpret_cast<std::uint16_t*>(routes() + route_count);
  }
  /// Usage sets of PDRs with kPdrMeasureFirst.
  std::uint8_t* first_sets() noexcept {
    return reinterpret_cast<std::uint8_t*>(protections() + pdr_count);
  }
  /// Whether an address lies behind the UE.
  bool has_route_to(const std::uint32_t (&address)[4], bool is_v6) noexcept {
    for (unsigned i = 0; i < route_count; ++i) {
      if (routes()[i].contains(address, is_v6)) return true;
    }
    return false;
  }
};
static_assert(sizeof(RulesExtension) == 8);

}  // namespace sluice
