// plain: the way from match to forward of the common packet, in one piece: IPv4 or IPv6 with ports
// inside, within its usage credit, by buckets of the session's own line, to N6 or into a tunnel
// over either. All that is asked comes before anything is written, so that a packet which turns out
// to be another kind goes the general way from its start, as if it had never been here. Part of
// pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include <array>
#include <bit>

#include "pipeline/forward.h"
#include "pipeline/match.h"
#include "pipeline/police.h"

namespace sluice {

/// Packets that are taken together.
enum class PlainKind : std::uint8_t {
  Alike4,  ///< IPv4, of a session whose rules are in its two lines, in a burst that has no other
  InLines4,
  InLines6,
  Other4,  ///< and of other sessions: further PDRs, tunnels, filters that have an index
  Other6
};
constexpr bool is_v6(PlainKind kind) noexcept {
  return kind == PlainKind::InLines6 || kind == PlainKind::Other6;
}
constexpr bool is_in_lines(PlainKind kind) noexcept { return kind <= PlainKind::InLines6; }

/// Where packets that are taken together go.
enum class PlainWay : std::uint8_t {
  Common,    ///< by rules in the lines, to N6 or into a tunnel over IPv4 with a container
  OverIpv6,  ///< by rules in the lines, into a tunnel over IPv6 with a container
  Any        ///< by other rules, or into a tunnel without a container
};

namespace stage {

/// What a PDR must not have: gates, measuring before policing, a protection to come under, buckets
/// or usage sets elsewhere, a paging policy.
/// One test of the word that they share.
inline bool is_plain(const PdrEntry& pdr) noexcept {
  constexpr PdrEntry kElsewhere{.id = 0,
                                .far = 0,
                                .qfi = 0,
                                .buckets = kMoreBuckets,
                                .usage_set = 0xfe,
                                .flags = kPdrGateClosed | kPdrMeasureFirst | kPdrProtected,
                                .ppi = 0xff};
  using Words = std::array<std::uint32_t, 2>;
  return (std::bit_cast<Words>(pdr)[1] & std::bit_cast<Words>(kElsewhere)[1]) == 0;
}

/// Whether there is credit for a packet, and its buckets can be asked by the short arithmetic.
[[gnu::always_inline]] inline bool may_pay(const FlowState& state, const PdrEntry& pdr,
                                           unsigned length, Nanoseconds now) noexcept {
  return (pdr.usage_set == 0 || state.usage_left >= static_cast<std::int32_t>(length)) &&
         (pdr.buckets == 0 || is_refill_short(state, now));
}

/// Tokens and usage credit, for a packet that may pay. False: a bucket has not enough, and nothing
/// was paid.
[[gnu::always_inline]] inline bool pay_all(FlowState& state, const PdrEntry& pdr, unsigned length,
                                           Nanoseconds now) noexcept {
  if (pdr.buckets != 0 && __builtin_expect(!pay_hot(state, pdr.buckets, length, now), 0)) {
    return false;
  }
  if (pdr.usage_set != 0) {
    state.usage_left -= static_cast<std::int32_t>(length);
    ++state.usage_packets;
  }
  return true;
}

/// What a packet of the plain way may be besides its family.
inline constexpr unsigned kMayBe = kHasContainer | kResolved;

/// Alive, of a family, from the UE where it came from access, and nothing that wants a closer look.
template <bool kAccess, bool kV6>
[[gnu::always_inline]] inline bool is_common(const Burst& burst, unsigned i) noexcept {
  return burst.verdict[i] == DropReason::None &&
         (burst.flags[i] & ~kMayBe) == (kV6 ? kInnerV6 : 0u) &&
         (!kAccess || burst.direction[i] == Direction::Uplink);
}

/// Whether all packets of a burst are so and of IPv4, at once. What lies behind the last one may
/// say that they are not.
template <bool kAccess>
[[gnu::always_inline]] inline bool are_common(const Burst& burst) noexcept {
  static_assert(static_cast<unsigned>(DropReason::None) == 0);
  static_assert(static_cast<unsigned>(Direction::Uplink) == 0);
  unsigned odd = 0;
  for (unsigned i = 0; i < kBurstMax; ++i) {
    odd |= static_cast<unsigned>(burst.verdict[i]) | (burst.flags[i] & ~kMayBe) |
           (kAccess ? static_cast<unsigned>(burst.direction[i]) : 0u);
  }
  return odd == 0;
}

/// The rules for a packet: another tunnel of a session has some of its own.
template <bool kAccess>
[[gnu::always_inline]] inline ArenaRef filters_of(const Burst& burst, unsigned i) noexcept {
  return kAccess ? burst.filter_set[i] : burst.flow[i]->rules.filter_set;
}

}  // namespace stage

/// Whether a packet and its flow may be common: what it is at all, whose it is, nothing held or
/// captured, no address that wants a closer look.
template <bool kAccess, PlainKind kKind>
[[gnu::always_inline]] inline bool Pipeline::may_be_plain(const Burst& burst,
                                                          unsigned i) const noexcept {
  using namespace stage;
  constexpr bool kV6 = is_v6(kKind);
  if (kKind != PlainKind::Alike4 && __builtin_expect(!is_common<kAccess, kV6>(burst, i), 0)) {
    return false;
  }
  const Flow& flow = *burst.flow[i];
  const FlowState& state = flow.state;
  const FlowRules& rules = flow.rules;
  const Operand& operand = burst.operand[i];
  constexpr std::uint8_t kInLines = kV6 ? kRulesInLines6 : kRulesInLines4;
  if (is_in_lines(kKind) && __builtin_expect((rules.flags & kInLines) == 0, 0)) return false;
  if constexpr (kAccess) {
    constexpr unsigned kAsked = (is_in_lines(kKind) ? 0u : kFlowCheckSource) | kFlowSlow;
    if (__builtin_expect((state.flags & kAsked) != (kAsked & kFlowCheckSource), 0)) return false;
    const bool mine = kV6 ? is_own_source6(state, burst.packets[i]->data() + burst.inner_offset[i])
                          : is_own_source4(state, operand);
    if (__builtin_expect(!mine, 0)) return false;
  } else {
    const bool mine = kV6 ? state.ue_prefix == burst.prefix[i] : state.ue_ipv4 == burst.key[i];
    if (__builtin_expect((state.flags & (kFlowLive | kFlowSlow)) != kFlowLive || !mine ||
                             (rules.port_mask >> burst.port & 1) == 0,
                         0)) {
      return false;
    }
  }
  if (!is_in_lines(kKind) && __builtin_expect(filters_of<kAccess>(burst, i) == 0, 0)) return false;
  const unsigned direction = kAccess ? 0 : 1;
  return __builtin_expect(
      !sieve_.wants_look(operand.lanes[kRemoteHigh], operand.lanes[kRemoteLow], kV6, direction), 1);
}

/// Where the PDR is that a packet may go the plain way by, or kNoPlace. Nothing changes.
template <bool kAccess, PlainKind kKind>
[[gnu::always_inline]] inline unsigned Pipeline::find_plain(const Burst& burst,
                                                            std::size_t i) const noexcept {
  using namespace stage;
  if (!may_be_plain<kAccess, kKind>(burst, i)) return kNoPlace;
  const ExtraCheck accepts{burst, i};
  const FlowRules& rules = burst.flow[i]->rules;
  const auto& set =
      *rule<FilterSet>(is_in_lines(kKind) ? rules.filter_set : filters_of<kAccess>(burst, i));
  const Operand& operand = burst.operand[i];
  unsigned position;
  if constexpr (is_v6(kKind)) {
    const std::byte* const inner = burst.packets[i]->data() + burst.inner_offset[i];
    const std::byte* const remote = inner + (kAccess ? kIpv6DestinationOffset : kIpv6SourceOffset);
    const std::byte* const local = inner + (kAccess ? kIpv6SourceOffset : kIpv6DestinationOffset);
    position = is_in_lines(kKind) ? compare_ipv6(set, operand, remote, local, kExtraPorts, accepts)
                                  : match_ipv6(set, operand, remote, local, kExtraPorts, accepts);
  } else {
    position = is_in_lines(kKind) ? compare_ipv4(set, operand, kExtraPorts, accepts)
                                  : match_ipv4(set, operand, kExtraPorts, accepts);
  }
  if (is_in_lines(kKind) || rules.extension == 0) return position;
  return std::min(kInlinePdrs + position, kNoPlace);
}

/// A packet that pays if it leaves into a tunnel; kNotPlain: by none that its way has.
template <bool kAccess, PlainWay kWay>
[[gnu::always_inline]] inline DropReason Pipeline::plain_into_tunnel(
    Burst& burst, std::size_t i, const PdrEntry& pdr, const FarEntry& far, const PipelinePort& port,
    unsigned offset, unsigned length) noexcept {
  using namespace stage;
  Packet* const packet = burst.packets[i];
  FlowState& state = burst.flow[i]->state;
  const Operand& operand = burst.operand[i];
  const Peer& peer = peers_[far.peer];
  if (kAccess && __builtin_expect((packet->flags & kPacketPdcpNumber) != 0, 0)) return kNotPlain;
  // A packet of the core has no container.
  const unsigned qfi = kAccess ? qfi_of(pdr, burst.qfi[i]) : pdr.qfi;
  if (kWay != PlainWay::OverIpv6 &&
      __builtin_expect(is_plain_tunnel(peer, qfi, offset, length, port), 1)) {
    if (!pay_all(state, pdr, length, burst.now)) return DropReason::MbrExceeded;
    write_plain_tunnel(packet, offset, length, far, peer, source_port_of(port, operand),
                       container_of(far, pdr, qfi));
    return DropReason::None;
  }
  if constexpr (kWay == PlainWay::Common) return kNotPlain;
  if (peer.is_v6 == (qfi == 0) || (kWay == PlainWay::OverIpv6 && !peer.is_v6)) return kNotPlain;
  const unsigned header =
      kWay == PlainWay::OverIpv6 || peer.is_v6 ? kPlainOuter6Bytes : kBareOuterBytes;
  if (offset < sizeof(Packet) + header || length + header > port.plain_bytes) return kNotPlain;
  if (!pay_all(state, pdr, length, burst.now)) return DropReason::MbrExceeded;
  const unsigned source_port = source_port_of(port, operand);
  if (header == kPlainOuter6Bytes) {
    write_plain_tunnel6(packet, offset, length, far, peer, source_port, container_of(far, pdr, qfi),
                        !port.fills_udp_checksum);
  } else {
    write_bare_tunnel(packet, offset, length, far, peer, source_port);
  }
  return DropReason::None;
}

/// The way of a packet whose PDR was found, while there is room for it in every list. None: it is
/// on its way out. kNotPlain: nothing has happened yet.
template <bool kAccess, PlainWay kWay>
[[gnu::always_inline]] inline DropReason Pipeline::plain(Burst& burst, std::size_t i,
                                                         std::size_t place) noexcept {
  using namespace stage;
  constexpr bool kInLines = kWay != PlainWay::Any;
  if (__builtin_expect(place >= (kInLines ? kInlinePdrs : kNoPlace), 0)) return kNotPlain;
  FlowState& state = burst.flow[i]->state;
  const FlowRules& rules = burst.flow[i]->rules;
  Packet* const packet = burst.packets[i];
  unsigned length = burst.inner_length[i];
  unsigned offset = packet->offset + (kAccess ? burst.inner_offset[i] : 0);
  // Each in a register of its own: from its 16 bits the compiler would make it again at every use.
  asm("" : "+r"(length), "+r"(offset));
  // Packets before it may have had its flow begin to hold.
  if (__builtin_expect((state.flags & kFlowSlow) != 0, 0)) return kNotPlain;
  const PdrEntry* found = nullptr;
  const FarEntry* fars = rules.fars;
  if (kInLines || place < kInlinePdrs) {
    found = &rules.pdrs[place];
  } else {
    RulesExtension& extension = *sessions_.extension(rules.extension);
    found = &extension.pdrs()[place - kInlinePdrs];
    fars = extension.fars();
  }
  // References, not copies: a line that is near is cheaper to read again than to spill.
  const PdrEntry& pdr = *found;
  const FarEntry& far = fars[pdr.far];
  if (__builtin_expect(!is_plain(pdr), 0)) return kNotPlain;
  if (__builtin_expect(!may_pay(state, pdr, length, burst.now), 0)) return kNotPlain;
  // Other actions have no port, so that it is looked at only here.
  if (far.action != FarAction::ToTunnel &&
      (kWay == PlainWay::OverIpv6 || far.action != FarAction::ToCore)) {
    return kNotPlain;
  }
  const PipelinePort* out = &ports_[far.port];
  asm("" : "+r"(out));
  const PipelinePort& port = *out;
  if (kWay == PlainWay::OverIpv6 || far.action == FarAction::ToTunnel) {
    const DropReason reason =
        plain_into_tunnel<kAccess, kWay>(burst, i, pdr, far, port, offset, length);
    if (__builtin_expect(reason != DropReason::None, 0)) return reason;
  } else {
    if (__builtin_expect(length > port.plain_bytes, 0)) return kNotPlain;
    if (!pay_all(state, pdr, length, burst.now)) return DropReason::MbrExceeded;
    packet->offset = static_cast<std::uint16_t>(offset);
    packet->length = static_cast<std::uint16_t>(length);
  }
  port.output->add(packet);
  return DropReason::None;
}

/// Of all packets of a burst, apart from their way: what is asked and what is done want all
/// registers each. First of the most common kind, then, where any are left, of the others.
/// @param places  kNoPlace for packets that are dead or not plain.
template <bool kAccess>
[[gnu::noinline]] void Pipeline::find_all_plain(const Burst& burst,
                                                std::uint16_t* __restrict places) const noexcept {
  const unsigned left = (burst.flags[0] & kInnerV6) != 0
                            ? find_most_plain<kAccess, PlainKind::InLines6>(burst, places)
                        : stage::are_common<kAccess>(burst)
                            ? find_most_plain<kAccess, PlainKind::Alike4>(burst, places)
                            : find_most_plain<kAccess, PlainKind::InLines4>(burst, places);
  if (__builtin_expect(left >= kInlinePdrs, 0)) find_other_plain<kAccess>(burst, places);
}

/// @return at least kInlinePdrs when any are left.
template <bool kAccess, PlainKind kKind>
[[gnu::always_inline]] inline unsigned Pipeline::find_most_plain(
    const Burst& burst, std::uint16_t* __restrict places) const noexcept {
  const std::size_t count = burst.count;
  unsigned left = 0;
  for (std::size_t i = 0; i < count; ++i) {
    // Those of an access burst have been read already, by the lookup.
    if (!kAccess && i + kNearAhead < count) fetch_near_pair(burst.flow[i + kNearAhead]);
    const unsigned place = find_plain<kAccess, kKind>(burst, i);
    places[i] = static_cast<std::uint16_t>(place);
    left |= place;
  }
  return left;
}

/// Those that are left.
template <bool kAccess>
[[gnu::noinline]] void Pipeline::find_other_plain(const Burst& burst,
                                                  std::uint16_t* __restrict places) const noexcept {
  const std::size_t count = burst.count;
  for (std::size_t i = 0; i < count; ++i) {
    if (places[i] != kNoPlace) continue;
    const unsigned place = (burst.flags[i] & kInnerV6) != 0
                               ? find_plain<kAccess, PlainKind::Other6>(burst, i)
                               : find_plain<kAccess, PlainKind::Other4>(burst, i);
    places[i] = static_cast<std::uint16_t>(place);
  }
}

/// Packets from `first` on, until one is not plain. What such a packet needs is another's, so that
/// nothing here has to outlive a call. Those that a bucket has nothing for are verdicts for later,
/// unless their session counts them: a drop among others then is not the end of the loop.
template <bool kAccess, PlainWay kWay>
[[gnu::noinline]] Pipeline::PlainRun Pipeline::run_plain(Burst& burst, std::size_t first,
                                                         const std::uint16_t* places) noexcept {
  const std::size_t count = burst.count;
  PlainRun run{.next = first, .lost = 0};
  if (__builtin_expect(!has_room(count), 0)) return run;
  for (; run.next < count; ++run.next) {
    const std::size_t i = run.next;
    const DropReason verdict = plain<kAccess, kWay>(burst, i, places[i]);
    if (__builtin_expect(verdict == DropReason::None, 1)) continue;
    if (verdict == kNotPlain) break;
    burst.verdict[i] = verdict;
    if (burst.flow[i]->rules.flags & kRulesCountDropped) break;
    ++run.lost;
  }
  return run;
}

}  // namespace sluice
