// The second half of the compiler: filters to boxes, sides to lines and extensions, URRs
// to the account.
#include <algorithm>
#include <bit>
#include <cstring>

#include "session/compile/compiler.h"
#include "wire/bytes.h"

namespace sluice {
using namespace record;
namespace {

constexpr std::uint32_t kFiltersMax = 4096;

struct Ports {
  std::uint16_t low = 0, high = 0xffff;
};

void prefix_ranges(std::uint32_t address, unsigned length, std::uint16_t* low,
                   std::uint16_t* high) {
  const std::uint32_t mask = length == 0 ? 0 : ~0u << (32 - length);
  const std::uint32_t first = address & mask, last = first | ~mask;
  low[0] = static_cast<std::uint16_t>(first >> 16);
  high[0] = static_cast<std::uint16_t>(last >> 16);
  // Below /16 the low half runs over all values; above, the high half is one value.
  low[1] = length <= 16 ? 0 : static_cast<std::uint16_t>(first);
  high[1] = length <= 16 ? 0xffff : static_cast<std::uint16_t>(last);
}

void prefix_mask(const std::uint32_t* words, unsigned length, std::uint8_t* value,
                 std::uint8_t* mask) {
  std::memset(mask, 0, 16);
  for (unsigned bit = 0; bit < length && bit < 128; bit += 8) {
    mask[bit / 8] =
        static_cast<std::uint8_t>(length - bit >= 8 ? 0xff : 0xff << (8 - (length - bit)));
  }
  for (unsigned i = 0; i < 4; ++i) {
    wire::store32(reinterpret_cast<std::byte*>(value) + 4 * i, words[i]);
  }
  for (unsigned i = 0; i < 16; ++i) value[i] &= mask[i];
}

/// Ranges of one side; none written means all ports.
template <typename F>
bool for_each_range(const RecordReader& record, std::uint32_t word, F&& f) {
  const auto ranges = record.word_list(word & 0xffff, word >> 16);
  if (ranges.empty()) return f(Ports{}, false);
  for (const std::uint32_t r : ranges) {
    if (!f(Ports{static_cast<std::uint16_t>(r), static_cast<std::uint16_t>(r >> 16)}, true))
      return false;
  }
  return true;
}

FilterExtra extra_of(const std::uint32_t* f, std::uint8_t position) {
  FilterExtra extra{};
  extra.pdr = position;
  const std::uint32_t flags = f[filter::Flags];
  if (flags & filter::kTos) {
    extra.flags |= kExtraTos;
    extra.tos_mask = static_cast<std::uint8_t>(f[filter::Tos] >> 8);
    extra.tos = static_cast<std::uint8_t>(f[filter::Tos] & extra.tos_mask);
  }
  if (flags & filter::kSpi) {
    extra.flags |= kExtraSpi;
    extra.spi = f[filter::Spi];
  }
  if (flags & filter::kFlowLabel) {
    extra.flags |= kExtraFlowLabel;
    extra.flow_label = f[filter::FlowLabel] & 0xfffff;
  }
  return extra;
}

/// The address part of one SDF filter for one IP version; false when it cannot match there.
bool addresses_of(const std::uint32_t* f, bool is_v6, Filter& out) {
  const std::uint32_t flags = f[filter::Flags];
  const std::uint32_t other = is_v6 ? filter::kSourceIpv4 | filter::kDestinationIpv4
                                    : filter::kSourceIpv6 | filter::kDestinationIpv6;
  if (flags & other) return false;
  if (!is_v6 && (flags & filter::kFlowLabel)) return false;
  const unsigned source_length = f[filter::Protocol] >> 8 & 0xff;
  const unsigned destination_length = f[filter::Protocol] >> 16 & 0xff;
  out.is_v6 = is_v6;
  const unsigned bits = is_v6 ? 128 : 32;
  const bool source = (flags & (filter::kSourceIpv4 | filter::kSourceIpv6)) != 0;
  const bool destination = (flags & (filter::kDestinationIpv4 | filter::kDestinationIpv6)) != 0;
  const unsigned remote = source ? std::min(source_length, bits) : 0;
  const unsigned local = destination ? std::min(destination_length, bits) : 0;
  if (is_v6) {
    prefix_mask(f + filter::Source, remote, out.remote, out.remote_mask);
    prefix_mask(f + filter::Destination, local, out.local, out.local_mask);
    for (unsigned lane = 0; lane < kProtocol; ++lane) {
      out.low[lane] = 0;
      out.high[lane] = 0xffff;
    }
  } else {
    prefix_ranges(f[filter::Source], remote, out.low + kRemoteHigh, out.high + kRemoteHigh);
    prefix_ranges(f[filter::Destination], local, out.low + kLocalHigh, out.high + kLocalHigh);
  }
  return true;
}

/// Which local addresses the F-TEID of a PDR is at.
std::uint16_t local_mask_of(const NetworkMap& network, const std::uint32_t* p) {
  std::uint16_t mask = 0;
  for (unsigned i = 0; i < network.locals.size(); ++i) {
    const LocalAddress& local = network.locals[i];
    const bool mine =
        local.is_v6 ? (p[pdr::FTeid] & pdr::kFTeidIpv6) &&
                          std::equal(local.words, local.words + 4, p + pdr::LocalIpv6)
                    : (p[pdr::FTeid] & pdr::kFTeidIpv4) && local.words[0] == p[pdr::LocalIpv4];
    if (mine) mask = static_cast<std::uint16_t>(mask | 1u << i);
  }
  return mask;
}

}  // namespace

void Compiler::add_filters(const RecordReader& record, const std::uint32_t* p,
                           std::uint8_t position, std::vector<Filter>& out) const {
  // One wildcard stands for "no SDF filter".
  static constexpr std::uint32_t kAny[kFilterWords] = {filter::kFlow | filter::kAnyProtocol};
  const std::uint32_t ue = p[pdr::Lists] >> 16 & 0xff;
  const bool any_family = (ue & 0xf) == 0;
  const bool family[2] = {any_family || (ue & (pdr::kPdrUeIpv4 | pdr::kPdrUeIpv4Auto)) != 0,
                          any_family || (ue & (pdr::kPdrUeIpv6 | pdr::kPdrUeIpv6Auto)) != 0};
  const unsigned filters = p[pdr::Filters] >> 16 & 0xff;
  const std::uint64_t qfis = p[pdr::QfisLow] | std::uint64_t{p[pdr::QfisHigh]} << 32;
  for (unsigned i = 0; i < std::max(filters, 1u); ++i) {
    const std::uint32_t* f = filters == 0 ? kAny : record.filter((p[pdr::Filters] & 0xffff) + i);
    for (unsigned v = 0; v < 2; ++v) {
      if (out.size() > kFiltersMax) return;  // refused later, and no memory for more till then
      Filter made;
      if (!family[v] || !addresses_of(f, v == 1, made)) continue;
      const bool any =
          (f[filter::Flags] & filter::kAnyProtocol) != 0 || !(f[filter::Flags] & filter::kFlow);
      made.low[kProtocol] = any ? 0 : static_cast<std::uint16_t>(f[filter::Protocol] & 0xff);
      made.high[kProtocol] = any ? 0xffff : made.low[kProtocol];
      made.extra = extra_of(f, position);
      for_each_range(record, f[filter::SourcePorts], [&](Ports remote, bool has_remote) {
        return for_each_range(record, f[filter::DestinationPorts],
                              [&](Ports local, bool has_local) {
                                made.low[kRemotePort] = remote.low;
                                made.high[kRemotePort] = remote.high;
                                made.low[kLocalPort] = local.low;
                                made.high[kLocalPort] = local.high;
                                made.extra.flags &= static_cast<std::uint8_t>(~kExtraPorts);
                                if (has_remote || has_local) made.extra.flags |= kExtraPorts;
                                for (unsigned qfi = 0; qfi < 64; ++qfi) {
                                  if (qfis != 0 && (qfis >> qfi & 1) == 0) continue;
                                  made.low[kQfi] = qfis ? static_cast<std::uint16_t>(qfi) : 0;
                                  made.high[kQfi] = qfis ? static_cast<std::uint16_t>(qfi) : 0xffff;
                                  out.push_back(made);
                                  if (qfis == 0) break;
                                }
                                return out.size() <= kFiltersMax;
                              });
      });
    }
  }
}

PrepareError Compiler::build_tunnels(const RecordReader& record, std::uint32_t direct_teid) {
  tunnels_.clear();
  ue_filters_.clear();
  for (unsigned d = 0; d < kDirections; ++d) {
    const auto direction = static_cast<Direction>(d);
    for (std::size_t at = 0; at < sides_[d].order.size(); ++at) {
      const auto position = static_cast<std::uint8_t>(at);
      const unsigned index = sides_[d].order[position];
      const std::uint32_t* p = record.pdr(index);
      if ((p[pdr::FTeid] & pdr::kFTeidPresent) == 0) {
        if (direction == Direction::Downlink) add_filters(record, p, position, ue_filters_);
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
      add_filters(record, p, position, tunnel->filters);
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
  const std::uint32_t bytes =
      RulesExtension::size(pdrs, fars, static_cast<unsigned>(tunnels.size()));
  const ArenaRef ref = arena_.allocate(bytes);
  if (ref == 0) return 0;
  auto* extension = arena_.at<RulesExtension>(ref);
  *extension = {bytes, static_cast<std::uint8_t>(pdrs), static_cast<std::uint8_t>(fars),
                static_cast<std::uint8_t>(tunnels.size()), 0};
  std::copy(side.masks.begin(), side.masks.end(), extension->bucket_masks());
  std::copy(side.pdrs.begin(), side.pdrs.end(), extension->pdrs());
  std::copy(side.fars.begin(), side.fars.end(), extension->fars());
  std::copy(tunnels.begin(), tunnels.end(), extension->tunnels());
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
  flow.rules.incarnation = record.header(header::Incarnation);
  flow.rules.pdr_count = static_cast<std::uint8_t>(side.pdrs.size());
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
                             side.buckets.count <= kHotBuckets &&
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

PrepareError Compiler::make_account(const RecordReader& record, const RecordReader& before,
                                    Compiled& out) {
  unsigned more[kDirections];
  for (unsigned d = 0; d < kDirections; ++d) {
    more[d] = sides_[d].buckets.count - std::min(sides_[d].buckets.count, kHotBuckets);
  }
  if (record.urrs() == 0 && more[0] + more[1] == 0) return {};
  const auto sets0 = static_cast<unsigned>(sides_[0].sets.size()),
             sets1 = static_cast<unsigned>(sides_[1].sets.size());
  const std::uint32_t bytes = Account::size(sets0 + sets1, record.urrs(), more[0] + more[1]);
  out.account = arena_.allocate(bytes);
  if (out.account == 0) return {PrepareStatus::Resources, 0};
  auto* account = arena_.at<Account>(out.account);
  std::memset(static_cast<void*>(account), 0, bytes);
  account->bytes = bytes;
  account->session = record.header(header::SessionIndex);
  account->urr_count = static_cast<std::uint8_t>(record.urrs());
  account->set_count[0] = static_cast<std::uint8_t>(sets0);
  account->set_count[1] = static_cast<std::uint8_t>(sets1);
  account->bucket_count[0] = static_cast<std::uint8_t>(more[0]);
  account->bucket_count[1] = static_cast<std::uint8_t>(more[1]);
  for (unsigned d = 0; d < kDirections; ++d) {
    out.flows[d].state.account = out.account;
    for (unsigned s = 0; s < sides_[d].sets.size(); ++s) {
      account->sets(static_cast<Direction>(d))[s].urrs = sides_[d].sets[s];
    }
    for (unsigned i = 0; i < more[d]; ++i) {
      const std::uint32_t* q = record.qer(sides_[d].buckets.qer[kHotBuckets + i]);
      account->buckets(static_cast<Direction>(d))[i].rate_kbps =
          bucket_rate_kbps(q, static_cast<Direction>(d));
    }
  }
  for (unsigned i = 0; i < record.urrs(); ++i) {
    const std::uint32_t* u = record.urr(i);
    UrrState& state = account->urrs()[i];
    state.id = u[urr::Id];
    for (unsigned v = 0; v < 3; ++v) {
      const auto value = [&](unsigned word, std::uint32_t flag) {
        return u[urr::Flags] & (flag << v)
                   ? u[word + 2 * v] | std::uint64_t{u[word + 2 * v + 1]} << 32
                   : kUnlimited;
      };
      state.threshold[v] = value(urr::ThresholdTotal, urr::kThresholdTotal);
      state.quota_left[v] = value(urr::QuotaTotal, urr::kQuotaTotal);
    }
    for (unsigned k = 0; before.valid() && k < before.urrs(); ++k) {
      // The last two words are places of lists, not content; lists are compared by the engine.
      if (std::equal(u, u + urr::Linked, before.urr(k)))
        out.urr_from[i] = static_cast<std::uint8_t>(k + 1);
    }
  }
  return {};
}

PrepareError Compiler::keys(const RecordReader& record, std::uint32_t direct_teid,
                            std::vector<TableKey>& out) const {
  out.clear();
  const auto add = [&](std::uint64_t key, TableKey::Kind kind, unsigned qualifier, unsigned pdr) {
    const TableKey made{key, kind, static_cast<std::uint8_t>(qualifier),
                        static_cast<std::uint16_t>(pdr)};
    for (const auto& there : out) {
      if (there.same_place(made)) return;
    }
    out.push_back(made);
  };
  std::uint8_t ue_ports = 0;
  unsigned ue_pdr = 0;
  for (unsigned i = 0; i < record.pdrs(); ++i) {
    const std::uint32_t* p = record.pdr(i);
    Direction d;
    if (!direction_of(p, d)) continue;
    const bool tunnel = (p[pdr::FTeid] & pdr::kFTeidPresent) != 0;
    if (tunnel && (p[pdr::Teid] != direct_teid || d != Direction::Uplink)) {
      for (unsigned m = local_mask_of(network_, p); m != 0; m &= m - 1) {
        const auto l = static_cast<unsigned>(std::countr_zero(m));
        add(std::uint64_t{l} << 32 | p[pdr::Teid], TableKey::Kind::Teid, l, i);
      }
    }
    if (!tunnel && d == Direction::Downlink) {
      const std::uint8_t mask = network_.mask(false, record.text(p[pdr::Instance]));
      if (mask == 0) return {PrepareStatus::Instance, i};
      ue_ports |= mask;
      ue_pdr = i;
    }
  }
  const std::uint32_t flags = record.header(header::Flags);
  for (unsigned m = ue_ports; m != 0; m &= m - 1) {
    const auto port = static_cast<unsigned>(std::countr_zero(m));
    if (flags & header::kUeIpv4)
      add(record.header(header::UeIpv4), TableKey::Kind::Ipv4, port, ue_pdr);
    if (flags & header::kUeIpv6) {
      add(std::uint64_t{record.header(header::UePrefixHigh)} << 32 |
              record.header(header::UePrefixLow),
          TableKey::Kind::Ipv6, port, ue_pdr);
    }
  }
  return {};
}

}  // namespace sluice
