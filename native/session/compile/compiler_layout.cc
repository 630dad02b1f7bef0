// The second half of the compiler: sides to lines and extensions.
#include <algorithm>
#include <bit>
#include <cstring>

#include "session/compile/compiler.h"

namespace sluice {
using namespace record;
PrepareError Compiler::build_tunnels(const RecordReader& record, std::uint32_t direct_teid) {
  tunnels_.clear();
  ue_filters_.clear();
  list_ue_ports(record);
  for (unsigned d = 0; d < kDirections; ++d) {
    const auto direction = static_cast<Direction>(d);
    for (std::size_t at = 0; at < sides_[d].order.size(); ++at) {
      const auto position = static_cast<std::uint8_t>(at);
      const unsigned index = sides_[d].order[position];
      const std::uint32_t* p = record.pdr(index);
      if ((p[pdr::FTeid] & pdr::kFTeidPresent) == 0) {
        if (direction == Direction::Downlink)
          add_filters(record, index, direction, position, ue_filters_);
        continue;
      }
      const std::uint16_t mask = local_mask_of(network_, p);
      if (mask == 0 || p[pdr::Teid] == 0) return {PrepareStatus::LocalAddress, index};
      auto tunnel = std::find_if(tunnels_.begin(), tunnels_.end(), [&](const Tunnel& t) {
        return t.teid == p[pdr::Teid] && t.direction == direction && t.local_mask == mask;
      });
      if (tunnel == tunnels_.end()) {
        // The direct TEID comes first: its filters are found from the line itself.
        const bool first = p[pdr::Teid] == direct_teid && direction == Direction::Uplink;
        tunnel = tunnels_.insert(first ? tunnels_.begin() : tunnels_.end(),
                                 Tunnel{p[pdr::Teid], mask, direction, {}});
      }
      add_filters(record, index, direction, position, tunnel->filters);
    }
  }
  for (const Tunnel& t : tunnels_) {
    if (t.filters.size() > kFiltersMax) return {PrepareStatus::Resources, 0};
  }
  return {ue_filters_.size() > kFiltersMax ? PrepareStatus::Resources : PrepareStatus::Ok, 0};
}

ArenaRef Compiler::lay_out_extension(Direction direction, std::vector<TunnelEntry>& tunnels) {
  const Side& side = sides_[static_cast<unsigned>(direction)];
  const auto pdrs = static_cast<unsigned>(side.pdrs.size()),
             fars = static_cast<unsigned>(side.fars.size());
  const std::uint32_t bytes = RulesExtension::size(
      pdrs, fars, static_cast<unsigned>(tunnels.size()), static_cast<unsigned>(routes_.size()));
  const ArenaRef ref = arena_.allocate(bytes);
  if (ref == 0) return 0;
  auto* extension = arena_.at<RulesExtension>(ref);
  *extension = {bytes, static_cast<std::uint8_t>(pdrs), static_cast<std::uint8_t>(fars),
                static_cast<std::uint8_t>(tunnels.size()),
                static_cast<std::uint8_t>(routes_.size())};
  std::copy(side.masks.begin(), side.masks.end(), extension->bucket_masks());
  std::copy(side.pdrs.begin(), side.pdrs.end(), extension->pdrs());
  std::copy(side.fars.begin(), side.fars.end(), extension->fars());
  std::copy(tunnels.begin(), tunnels.end(), extension->tunnels());
  std::copy(routes_.begin(), routes_.end(), extension->routes());
  std::copy(side.protections.begin(), side.protections.end(), extension->protections());
  std::copy(side.first_sets.begin(), side.first_sets.end(), extension->first_sets());
  return ref;
}

bool Compiler::acquire_tunnel_filters(std::size_t first) {
  tunnel_entries_.clear();
  for (std::size_t i = first; i < tunnels_.size(); ++i) {
    const ArenaRef set = filter_sets_.acquire(tunnels_[i].filters);
    if (set == 0) return false;
    tunnel_entries_.push_back(
        {tunnels_[i].teid, set, tunnels_[i].local_mask, tunnels_[i].direction, 0});
  }
  return true;
}

void Compiler::lay_out_flow(const RecordReader& record, bool uplink, const Tunnel* direct,
                            Flow& flow) {
  const Side& side = sides_[uplink ? 0 : 1];
  FlowState& state = flow.state;
  state.key = record.header(header::Incarnation);
  if (uplink) state.key = direct != nullptr ? direct->teid : 0;
  state.local_mask = uplink && direct != nullptr ? direct->local_mask : 0;
  state.ue_ipv4 = record.header(header::UeIpv4);
  state.ue_prefix =
      std::uint64_t{record.header(header::UePrefixHigh)} << 32 | record.header(header::UePrefixLow);
  state.flags = kFlowLive;
  if (uplink && (state.ue_ipv4 != 0 || state.ue_prefix != 0)) state.flags |= kFlowCheckSource;
  for (unsigned i = 0; i < std::min(side.buckets.count, kHotBuckets); ++i) {
    const std::uint32_t* q = record.qer(side.buckets.qer[i]);
    state.rate_kbps[i] = bucket_rate_kbps(q, uplink ? Direction::Uplink : Direction::Downlink);
  }
  flow.rules.flags |= side.rules_flags;
  for (const FarEntry& entry : side.fars) {
    if (entry.action != FarAction::Buffer) continue;
    state.flags |= kFlowHold;
    flow.rules.flags |= kRulesBuffer;
  }
  flow.rules.incarnation = record.header(header::Incarnation);
  if (uplink) {
    flow.rules.interface_mark =
        static_cast<std::uint16_t>(record.header(header::Flags) >> header::kUeInterfaceShift);
  }
  flow.rules.far_count = static_cast<std::uint8_t>(side.fars.size());
}

PrepareError Compiler::lay_out(const RecordReader& record, Compiled& out) {
  constexpr PrepareError full{PrepareStatus::Resources, 0};
  const bool first_is_uplink = !tunnels_.empty() && tunnels_[0].direction == Direction::Uplink;
  const Tunnel* const direct = first_is_uplink ? &tunnels_[0] : nullptr;
  bool complete = acquire_tunnel_filters(first_is_uplink ? 1 : 0);
  std::vector<TunnelEntry> none;
  unsigned done = 0;
  for (unsigned d = 0; d < kDirections && complete; ++d) {
    const Side& side = sides_[d];
    FlowRules& rules = out.flows[d].rules;
    const bool uplink = d == 0;
    lay_out_flow(record, uplink, direct, out.flows[d]);
    const bool inline_fits = side.pdrs.size() <= kInlinePdrs && side.fars.size() <= kInlineFars &&
                             side.buckets.count <= kHotBuckets && routes_.empty() &&
                             !side.measures_first && !side.is_protected &&
                             (!uplink || tunnel_entries_.empty());
    if (inline_fits) {
      std::copy(side.pdrs.begin(), side.pdrs.end(), rules.pdrs);
      std::copy(side.fars.begin(), side.fars.end(), rules.fars);
    } else {
      rules.extension =
          lay_out_extension(static_cast<Direction>(d), uplink ? tunnel_entries_ : none);
      complete = rules.extension != 0;
      if (!complete) break;
    }
    ++done;
    const auto& filters =
        uplink ? (first_is_uplink ? tunnels_[0].filters : ue_filters_) : ue_filters_;
    const bool wanted = uplink ? first_is_uplink : !ue_filters_.empty();
    if (wanted) {
      rules.filter_set = filter_sets_.acquire(filters);
      complete = rules.filter_set != 0;
      const FlowState& state = out.flows[d].state;
      const bool is_checked = !uplink || (state.flags & kFlowCheckSource) != 0;
      if (complete && inline_fits && is_checked) {
        const ArenaRef set = rules.filter_set;
        if (filter_sets_.compares(set, false)) rules.flags |= kRulesInLines4;
        if (filter_sets_.compares(set, true) && state.ue_prefix != 0) {
          rules.flags |= kRulesInLines6;
        }
      }
    }
  }
  if (complete) return {};
  // release() covers the sides that were laid out; the rest is given back here.
  if (done == 0) {
    for (const auto& t : tunnel_entries_) filter_sets_.release(t.filter_set);
  }
  for (unsigned d = done; d < kDirections; ++d) {
    release_side(sides_[d]);
    out.flows[d].rules.far_count = 0;
    out.flows[d].rules.extension = 0;
  }
  return full;
}

}  // namespace sluice
