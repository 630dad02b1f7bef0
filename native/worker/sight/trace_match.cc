#include "worker/sight/trace_match.h"

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"
#include "worker/sight/trace_words.h"

namespace sluice {
using namespace record;
using namespace trace_words;

namespace {

std::string range(unsigned low, unsigned high) {
  return low == high ? std::to_string(low) : std::to_string(low) + "-" + std::to_string(high);
}

bool inside(const Filter& box, const TraceNote& note, unsigned lane) {
  const unsigned value = note.operand.lanes[lane];
  return value >= box.low[lane] && value <= box.high[lane];
}

bool inside6(const std::byte* address, const std::uint8_t* value, const std::uint8_t* mask) {
  for (unsigned i = 0; i < 16; ++i) {
    if ((wire::load8(address + i) & mask[i]) != value[i]) return false;
  }
  return true;
}

/// One box of a set as it was before it was laid out.
Filter box_of(const FilterSet& set, unsigned i, bool is_v6) {
  Filter box;
  box.is_v6 = is_v6;
  if (is_v6) {
    const Filter6& from = set.filters6()[i];
    std::memcpy(box.remote, from.remote, 16);
    std::memcpy(box.remote_mask, from.remote_mask, 16);
    std::memcpy(box.local, from.local, 16);
    std::memcpy(box.local_mask, from.local_mask, 16);
    std::copy_n(from.low, 4, box.low + kProtocol);
    std::copy_n(from.high, 4, box.high + kProtocol);
    box.extra = set.extra()[set.count4 + i];
  } else {
    const FilterPair& pair = set.pairs()[i / 2];
    std::copy_n(pair.low[i % 2], kLanes, box.low);
    std::copy_n(pair.high[i % 2], kLanes, box.high);
    box.extra = set.extra()[i];
  }
  return box;
}

std::uint32_t pdr_id(const TraceNote& note, const Sessions& sessions, unsigned position) {
  if (note.rules.extension != 0)
    return sessions.extension(note.rules.extension)->pdrs()[position].id;
  return note.rules.pdrs[position].id;
}

bool port_fits(const RecordReader& session, std::uint32_t list, unsigned port) {
  const auto ranges = session.word_list(list & 0xffff, list >> 16);
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [&](std::uint32_t range) {
           return port >= (range & 0xffff) && port <= range >> 16;
         });
}

/// Whether an SDF filter of the PDR that matched can be the one: what the boxes do not say.
bool filter_fits(const RecordReader& session, const std::uint32_t* f, const TraceNote& note) {
  const std::uint32_t flags = f[filter::Flags];
  const bool any = (flags & filter::kAnyProtocol) != 0 || (flags & filter::kFlow) == 0;
  if (!any && (f[filter::Protocol] & 0xff) != note.operand.lanes[kProtocol]) return false;
  const bool is_v6 = (note.flags & kInnerV6) != 0;
  if ((flags & filter::kSourceIpv4) && is_v6) return false;
  if ((flags & filter::kSourceIpv6) && !is_v6) return false;
  if (flags & (filter::kSourceIpv4 | filter::kSourceIpv6)) {
    const unsigned length = f[filter::Protocol] >> 8 & 0xff;
    const bool source = note.direction == Direction::Downlink;
    const std::byte* at = note.inner + (is_v6 ? (source ? 8 : 24) : (source ? 12 : 16));
    for (unsigned bit = 0; bit < length; bit += 32) {
      const unsigned n = std::min(32u, length - bit);
      const std::uint32_t mask = n == 32 ? ~0u : ~(~0u >> n);
      if ((wire::load32(at + bit / 8) ^ f[filter::Source + bit / 32]) & mask) return false;
    }
  }
  return port_fits(session, f[filter::SourcePorts], note.operand.lanes[kRemotePort]) &&
         port_fits(session, f[filter::DestinationPorts], note.operand.lanes[kLocalPort]);
}

}  // namespace

std::vector<PassedOver> passed_over_by(const TraceNote& note, const Sessions& sessions) {
  std::vector<PassedOver> passed;
  if (note.filter_set == 0) return passed;
  const auto& set = *sessions.rule<FilterSet>(note.filter_set);
  const bool is_v6 = (note.flags & kInnerV6) != 0;
  const unsigned count = is_v6 ? set.count6 : set.count4;
  for (unsigned i = 0; i < count; ++i) {
    const Filter box = box_of(set, i, is_v6);
    const std::uint32_t id = pdr_id(note, sessions, box.extra.pdr);
    if (note.verdict == DropReason::None && id == note.pdr.id) break;
    std::string why = outside(box, note);
    if (why.empty()) why = "a condition beside addresses and ports does not fit";
    if (passed.empty() || passed.back().id != id) passed.push_back({id, ""});
    passed.back().why = std::move(why);
  }
  return passed;
}

std::string matched_filter(const TraceNote& note, const RecordReader& session,
                           const std::uint32_t* pdr) {
  const unsigned filters = pdr[pdr::Filters] >> 16 & 0xff, first = pdr[pdr::Filters] & 0xffff;
  if (filters == 0) return " matched: it has no SDF filter";
  for (unsigned i = 0; i < filters; ++i) {
    const std::uint32_t* f = session.filter(first + i);
    if (!filter_fits(session, f, note)) continue;
    return " matched filter " + std::to_string(i + 1) + " '" +
           std::string(session.text(f[filter::Text])) + "'";
  }
  return " matched";
}

std::string outside(const Filter& box, const TraceNote& note) {
  const bool uplink = note.direction == Direction::Uplink;
  const auto address = [&](bool remote) {
    const char* what = remote ? "remote" : "UE's";
    return std::string("the ") + what + " address " + inner_address(note, uplink != remote) +
           " is not in its range";
  };
  bool remote, local;
  if (box.is_v6) {
    const std::byte *source = note.inner + 8, *destination = note.inner + 24;
    remote = inside6(uplink ? destination : source, box.remote, box.remote_mask);
    local = inside6(uplink ? source : destination, box.local, box.local_mask);
  } else {
    remote = inside(box, note, kRemoteHigh) && inside(box, note, kRemoteLow);
    local = inside(box, note, kLocalHigh) && inside(box, note, kLocalLow);
  }
  if (!remote) return address(true);
  if (!local) return address(false);
  static constexpr struct {
    Lane lane;
    const char* name;
  } kNamed[] = {{kProtocol, "protocol"},
                {kRemotePort, "the remote port"},
                {kLocalPort, "the UE's port"},
                {kQfi, "QFI"}};
  for (const auto& [lane, name] : kNamed) {
    if (inside(box, note, lane)) continue;
    const unsigned value = note.operand.lanes[lane];
    const std::string text = lane == kQfi && value == kNoQfi ? "none" : std::to_string(value);
    return std::string(name) + " is " + text + ", not " + range(box.low[lane], box.high[lane]);
  }
  if ((box.extra.flags & kExtraPorts) && (note.flags & kInnerNoPorts)) return "it has no ports";
  const bool is_v6 = (note.flags & kInnerV6) != 0;
  const unsigned tos = is_v6 ? wire::load16(note.inner) >> 4 & 0xff : wire::load8(note.inner + 1);
  if ((box.extra.flags & kExtraTos) && (tos & box.extra.tos_mask) != box.extra.tos) {
    return "its type of service is " + std::to_string(tos);
  }
  if ((box.extra.flags & kExtraFlowLabel) && is_v6 &&
      (wire::load32(note.inner) & 0xfffff) != box.extra.flow_label) {
    return "its flow label is another";
  }
  return "";
}

}  // namespace sluice
