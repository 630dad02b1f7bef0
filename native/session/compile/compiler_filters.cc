// From SDF filters, QFIs and the addresses of the UE to boxes.
#include <algorithm>
#include <cstring>

#include "session/compile/compiler.h"
#include "wire/bytes.h"

namespace sluice {
using namespace record;
namespace {

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

/// Narrows `prefix` to what it shares with `other`; false: they share nothing.
bool intersect(Route& prefix, const Route& other) {
  const Route& shorter = prefix.length < other.length ? prefix : other;
  const Route& longer = prefix.length < other.length ? other : prefix;
  if (!shorter.contains(longer.words, prefix.is_v6)) return false;
  prefix = longer;
  return true;
}

/// The address part of one SDF filter for one IP version; false when it cannot match there.
/// @param side  where the UE's side has to be in; null: anywhere.
bool addresses_of(const std::uint32_t* f, bool is_v6, const Route* side, Filter& out) {
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
  Route local{{}, 0, is_v6, 0};
  if (destination) local.length = static_cast<std::uint8_t>(std::min(destination_length, bits));
  for (unsigned i = 0; i < 4; ++i) local.words[i] = f[filter::Destination + i] & local.mask(i);
  if (side != nullptr && !intersect(local, *side)) return false;
  if (is_v6) {
    prefix_mask(f + filter::Source, remote, out.remote, out.remote_mask);
    prefix_mask(local.words, local.length, out.local, out.local_mask);
    for (unsigned lane = 0; lane < kProtocol; ++lane) {
      out.low[lane] = 0;
      out.high[lane] = 0xffff;
    }
  } else {
    prefix_ranges(f[filter::Source], remote, out.low + kRemoteHigh, out.high + kRemoteHigh);
    prefix_ranges(local.words[0], local.length, out.low + kLocalHigh, out.high + kLocalHigh);
  }
  return true;
}

bool is_tunnel(const std::uint32_t* p) noexcept {
  return (p[pdr::FTeid] & pdr::kFTeidPresent) != 0;
}

}  // namespace

/// Ports on which a PDR without a tunnel takes packets for the UE.
PortMask Compiler::ue_ports_of(const RecordReader& record, const std::uint32_t* p) const {
  return network_.mask(false, record.text(p[pdr::Instance]));
}

/// Ports at which packets for the UE arrive without a tunnel, for any PDR.
void Compiler::list_ue_ports(const RecordReader& record) {
  ue_ports_ = 0;
  for (const std::uint8_t i : sides_[1].order) {
    if (!is_tunnel(record.pdr(i))) ue_ports_ |= ue_ports_of(record, record.pdr(i));
  }
}

/// Once routes are in play, a PDR with a UE address no longer means all that its session has.
/// In a tunnel towards the UE no table has found its address. Any other direction without
/// routes is spared the addresses, so that sessions share filter sets.
void Compiler::list_locals(const RecordReader& record, const std::uint32_t* p,
                           Direction direction) {
  locals_.clear();
  const bool down = direction == Direction::Downlink;
  if (!is_routed_[static_cast<unsigned>(direction)] && !(down && is_tunnel(p))) return;
  const std::uint32_t ue = p[pdr::Lists] >> 16 & 0xff;
  if (ue & (pdr::kPdrUeIpv4 | pdr::kPdrUeIpv4Auto)) {
    locals_.push_back({{record.header(header::UeIpv4), 0, 0, 0}, 32, false, 0});
  }
  if (ue & (pdr::kPdrUeIpv6 | pdr::kPdrUeIpv6Auto)) {
    locals_.push_back(
        {{record.header(header::UePrefixHigh), record.header(header::UePrefixLow), 0, 0},
         64,
         true,
         0});
    locals_.push_back({{0xfe800000, 0, 0, 0}, 10, true, 0});
    // What is for every host on the UE's link is for the UE too.
    if (down) locals_.push_back({{0xff020000, 0, 0, 0}, 16, true, 0});
  }
  for_each_route(record, p, [&](const Route& route) { locals_.push_back(route); });
}

/// All combinations of port ranges and QFIs, of one filter at one place on the UE's side.
void Compiler::add_boxes(const RecordReader& record, const std::uint32_t* p, const std::uint32_t* f,
                         Filter& made, std::vector<Filter>& out) const {
  const std::uint64_t qfis = p[pdr::QfisLow] | std::uint64_t{p[pdr::QfisHigh]} << 32;
  const bool any =
      (f[filter::Flags] & filter::kAnyProtocol) != 0 || !(f[filter::Flags] & filter::kFlow);
  made.low[kProtocol] = any ? 0 : static_cast<std::uint16_t>(f[filter::Protocol] & 0xff);
  made.high[kProtocol] = any ? 0xffff : made.low[kProtocol];
  for_each_range(record, f[filter::SourcePorts], [&](Ports remote, bool has_remote) {
    return for_each_range(record, f[filter::DestinationPorts], [&](Ports local, bool has_local) {
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

void Compiler::add_filters(const RecordReader& record, unsigned index, Direction direction,
                           std::uint8_t position, std::vector<Filter>& out) {
  // One wildcard stands for "no SDF filter".
  static constexpr std::uint32_t kAny[kFilterWords] = {filter::kFlow | filter::kAnyProtocol};
  const std::uint32_t* p = record.pdr(index);
  list_locals(record, p, direction);
  const std::uint32_t ue = p[pdr::Lists] >> 16 & 0xff;
  const bool any_family = (ue & 0xf) == 0;
  const bool family[2] = {any_family || (ue & (pdr::kPdrUeIpv4 | pdr::kPdrUeIpv4Auto)) != 0,
                          any_family || (ue & (pdr::kPdrUeIpv6 | pdr::kPdrUeIpv6Auto)) != 0};
  const unsigned filters = p[pdr::Filters] >> 16 & 0xff;
  const PortMask ports = is_tunnel(p) ? ue_ports_ : ue_ports_of(record, p);
  for (unsigned i = 0; i < std::max(filters, 1u); ++i) {
    const std::uint32_t* f = filters == 0 ? kAny : record.filter((p[pdr::Filters] & 0xffff) + i);
    const auto add = [&](bool is_v6, const Route* side) {
      if (out.size() > kFiltersMax) return;  // refused later, and no memory for more till then
      Filter made;
      if (!addresses_of(f, is_v6, side, made)) return;
      made.extra = extra_of(f, position);
      if (ports != ue_ports_) {
        made.extra.flags |= kExtraInstance;
        made.extra.ports = ports;
      }
      add_boxes(record, p, f, made, out);
    };
    for (const Route& side : locals_) add(side.is_v6, &side);
    for (unsigned v = 0; v < 2 && locals_.empty(); ++v) {
      if (family[v]) add(v == 1, nullptr);
    }
  }
}

}  // namespace sluice
