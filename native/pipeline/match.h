// match: the first PDR, by precedence, whose every part fits; before it, that the packet
// is the session's at all (UE address; what else may be on the UE's side: ip/ue_side.cc).
// Part of pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include "pipeline/pipeline.h"
#include "wire/inner.h"

namespace sluice {
namespace stage {

inline constexpr unsigned kIpv6SourceOffset = 8, kIpv6DestinationOffset = 24;

/// Conditions that few filters have; the headers are read again for them.
struct ExtraCheck {
  const Burst& burst;
  std::size_t i;
  [[gnu::noinline]] bool operator()(const FilterExtra& extra) const noexcept {
    const Packet& packet = *burst.packets[i];
    if ((extra.flags & kExtraPorts) && (burst.flags[i] & kInnerNoPorts)) return false;
    if ((extra.flags & kExtraInstance) && (extra.ports >> packet.port & 1) == 0) return false;
    if ((extra.flags & ~(kExtraPorts | kExtraInstance)) == 0) return true;
    wire::InnerPacket p;
    const std::byte* const inner = packet.data() + burst.inner_offset[i];
    if (wire::parse_inner(inner, burst.inner_length[i], p) != DropReason::None) return false;
    if ((extra.flags & kExtraTos) && (p.tos & extra.tos_mask) != extra.tos) return false;
    if ((extra.flags & kExtraSpi) && !(p.has_spi && p.spi == extra.spi)) return false;
    return !(extra.flags & kExtraFlowLabel) || p.flow_label == extra.flow_label;
  }
};

inline bool is_own_source4(const FlowState& state, const Operand& operand) noexcept {
  std::uint32_t halves;  // the high half comes first
  std::memcpy(&halves, operand.lanes + kLocalHigh, sizeof(halves));
  return (halves << 16 | halves >> 16) == state.ue_ipv4;
}
inline bool is_own_source6(const FlowState& state, const std::byte* inner) noexcept {
  return state.ue_prefix != 0 && wire::load64(inner + kIpv6SourceOffset) == state.ue_prefix;
}

}  // namespace stage

/// The rules of the session, first to last. What the hit says of the packet is filled in.
[[gnu::always_inline]] inline DropReason Pipeline::match_rules(Burst& burst, unsigned i, Hit& hit,
                                                               ArenaRef filters,
                                                               bool uplink) noexcept {
  using namespace stage;
  if (__builtin_expect(filters == 0, 0)) return DropReason::NoPdr;
  const unsigned flags = burst.flags[i];
  const std::byte* const inner = hit.packet->data() + burst.inner_offset[i];
  const Operand& operand = burst.operand[i];
  const auto& set = *rule<FilterSet>(filters);
  const ExtraCheck accepts{burst, i};
  const unsigned granted = flags & kInnerNoPorts ? 0 : kExtraPorts;
  const unsigned position =
      __builtin_expect(flags & kInnerV6, 0)
          ? match_ipv6(set, operand, inner + (uplink ? kIpv6DestinationOffset : kIpv6SourceOffset),
                       inner + (uplink ? kIpv6SourceOffset : kIpv6DestinationOffset), granted,
                       accepts)
          : match_ipv4(set, operand, granted, accepts);
  if (__builtin_expect(position == kNoPdr, 0)) return DropReason::NoPdr;
  const FlowRules& rules = hit.flow->rules;
  hit.position = position;
  if (__builtin_expect(rules.extension == 0, 1)) {
    hit.pdr = &rules.pdrs[position];
    hit.far = &rules.fars[hit.pdr->far];
  } else {
    RulesExtension* extension = sessions_.extension(rules.extension);
    hit.pdr = &extension->pdrs()[position];
    hit.far = &extension->fars()[hit.pdr->far];
    // Not asked of packets that were held: it was when they came.
    if ((hit.pdr->flags & kPdrProtected) && (flags & kReleased) == 0 &&
        !came_protected(*hit.packet, extension->protections()[position])) {
      return DropReason::Unprotected;
    }
  }
  return DropReason::None;
}

template <bool kAccess>
[[gnu::always_inline]] inline DropReason Pipeline::match(Burst& burst, unsigned i,
                                                         Hit& hit) noexcept {
  using namespace stage;
  hit.packet = burst.packets[i];
  hit.flow = burst.flow[i];
  hit.length = burst.inner_length[i];
  const FlowState& state = hit.flow->state;
  const FlowRules& rules = hit.flow->rules;
  const bool is_v6 = (burst.flags[i] & kInnerV6) != 0;
  const bool uplink = kAccess && burst.direction[i] == Direction::Uplink;
  if constexpr (!kAccess) {
    // The table may be a moment ahead of or behind the session: the session itself decides.
    const bool mine = is_v6 ? state.ue_prefix == burst.prefix[i] : state.ue_ipv4 == burst.key[i];
    if (__builtin_expect((!mine && !is_for_ue(burst, i)) || (state.flags & kFlowLive) == 0 ||
                             (rules.port_mask >> burst.port & 1) == 0,
                         0)) {
      return DropReason::UnknownUe;
    }
    return match_rules(burst, i, hit, rules.filter_set, false);
  }
  if (uplink && (state.flags & kFlowCheckSource)) {
    const std::byte* inner = hit.packet->data() + burst.inner_offset[i];
    const bool mine =
        is_v6 ? is_own_source6(state, inner) : is_own_source4(state, burst.operand[i]);
    if (__builtin_expect(!mine, 0)) {
      // A copy, so that the hit itself needs no address and stays in registers.
      Hit other = hit;
      const DropReason reason = match_other_source(burst, i, other);
      hit = other;
      return reason;
    }
  }
  return match_rules(burst, i, hit, burst.filter_set[i], uplink);
}

}  // namespace sluice
