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
  const std::byte* inner;
  unsigned length;
  bool no_ports;
  bool operator()(const FilterExtra& extra) const noexcept {
    if ((extra.flags & kExtraPorts) && no_ports) return false;
    if ((extra.flags & ~kExtraPorts) == 0) return true;
    wire::InnerPacket p;
    if (wire::parse_inner(inner, length, p) != DropReason::None) return false;
    if ((extra.flags & kExtraTos) && (p.tos & extra.tos_mask) != extra.tos) return false;
    if ((extra.flags & kExtraSpi) && !(p.has_spi && p.spi == extra.spi)) return false;
    return !(extra.flags & kExtraFlowLabel) || p.flow_label == extra.flow_label;
  }
};

}  // namespace stage

/// The rules of the session, first to last.
[[gnu::always_inline]] inline DropReason Pipeline::match_rules(Burst& burst, unsigned i,
                                                               Hit& hit) noexcept {
  using namespace stage;
  const Flow& flow = *burst.flow[i];
  const std::byte* inner = burst.packets[i]->data() + burst.inner_offset[i];
  const bool is_v6 = (burst.flags[i] & kInnerV6) != 0;
  const bool uplink = burst.direction[i] == Direction::Uplink;
  const Operand& operand = burst.operand[i];
  if (__builtin_expect(burst.filter_set[i] == 0, 0)) return DropReason::NoPdr;
  const auto& set = *sessions_.rule<FilterSet>(burst.filter_set[i]);
  const ExtraCheck accepts{inner, burst.inner_length[i], (burst.flags[i] & kInnerNoPorts) != 0};
  const unsigned position =
      is_v6
          ? match_ipv6(set, operand, inner + (uplink ? kIpv6DestinationOffset : kIpv6SourceOffset),
                       inner + (uplink ? kIpv6SourceOffset : kIpv6DestinationOffset), accepts)
          : match_ipv4(set, operand, accepts);
  if (position == kNoPdr) return DropReason::NoPdr;
  const FlowRules& rules = flow.rules;
  hit.position = position;
  if (__builtin_expect(rules.extension == 0, 1)) {
    hit.pdr = &rules.pdrs[position];
    hit.far = &rules.fars[hit.pdr->far];
  } else {
    RulesExtension* extension = sessions_.extension(rules.extension);
    hit.pdr = &extension->pdrs()[position];
    hit.far = &extension->fars()[hit.pdr->far];
  }
  return DropReason::None;
}

[[gnu::always_inline]] inline DropReason Pipeline::match(Burst& burst, unsigned i,
                                                         Hit& hit) noexcept {
  const Flow& flow = *burst.flow[i];
  const FlowState& state = flow.state;
  const bool is_v6 = (burst.flags[i] & kInnerV6) != 0;
  if (burst.direction[i] == Direction::Uplink) {
    if (state.flags & kFlowCheckSource) {
      const Operand& operand = burst.operand[i];
      const std::byte* inner = burst.packets[i]->data() + burst.inner_offset[i];
      const bool mine =
          is_v6 ? state.ue_prefix != 0 &&
                      wire::load64(inner + stage::kIpv6SourceOffset) == state.ue_prefix
                : (std::uint32_t{operand.lanes[kLocalHigh]} << 16 | operand.lanes[kLocalLow]) ==
                      state.ue_ipv4;
      if (__builtin_expect(!mine, 0)) return match_other_source(burst, i, hit);
    }
  } else if (!burst.is_access) {
    // The table may be a moment ahead of or behind the session: the session itself decides.
    const bool mine = is_v6 ? state.ue_prefix == burst.prefix[i] : state.ue_ipv4 == burst.key[i];
    if (__builtin_expect((!mine && !is_for_ue(burst, i)) || (state.flags & kFlowLive) == 0 ||
                             (flow.rules.port_mask >> burst.packets[i]->port & 1) == 0,
                         0)) {
      return DropReason::UnknownUe;
    }
    burst.filter_set[i] = flow.rules.filter_set;
  }
  return match_rules(burst, i, hit);
}

}  // namespace sluice
