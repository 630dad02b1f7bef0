#include "session/compile/compiler.h"

#include <algorithm>
#include <bit>

namespace sluice {
using namespace record;
namespace {
constexpr unsigned kRemovalNone = 2;

std::uint64_t word64(const std::uint32_t* low) noexcept {
  return low[0] | std::uint64_t{low[1]} << 32;
}
/// Rate of a QER in a direction; false: unlimited.
bool mbr(const std::uint32_t* q, Direction d, std::uint64_t& kbps) noexcept {
  const bool uplink = d == Direction::Uplink;
  if ((q[qer::Flags] & (uplink ? qer::kUplinkMbr : qer::kDownlinkMbr)) == 0) return false;
  kbps = word64(q + (uplink ? qer::UplinkMbrLow : qer::DownlinkMbrLow));
  return true;
}
bool gate_closed(const std::uint32_t* q, Direction d) noexcept {
  const bool uplink = d == Direction::Uplink;
  std::uint64_t kbps = 0;
  return (q[qer::Flags] & (uplink ? qer::kUplinkClosed : qer::kDownlinkClosed)) != 0 ||
         (mbr(q, d, kbps) && kbps == 0);
}
/// Each mark is that of the first QER that has it, so a QER may add RQI and PPI to another's QFI.
void mark(const std::uint32_t* q, PdrEntry& entry) noexcept {
  if ((q[qer::Flags] & qer::kQfi) && entry.qfi == 0) entry.qfi = q[qer::Qfi] & 0x3f;
  if (q[qer::Flags] & qer::kRqi) entry.flags |= kPdrRqi;
  if ((q[qer::Flags] & qer::kPpi) && entry.ppi == 0) {
    entry.ppi = static_cast<std::uint8_t>((q[qer::Qfi] >> 8 & 7) + 1);
  }
}
bool same_bucket(const RecordReader& a, unsigned qa, const RecordReader& b, unsigned qb) noexcept {
  const auto name_a = a.text(a.qer(qa)[qer::SharedBucket]);
  const auto name_b = b.text(b.qer(qb)[qer::SharedBucket]);
  if (!name_a.empty() || !name_b.empty()) return name_a == name_b;
  return a.qer(qa)[qer::Id] == b.qer(qb)[qer::Id];
}
}  // namespace

bool direction_of(const std::uint32_t* p, Direction& out) noexcept {
  const unsigned source = p[pdr::Id] >> 16 & 0xff;
  if (source == 0 || source > kInterfaceCpFunction) return false;
  out = source == kInterfaceAccess ? Direction::Uplink : Direction::Downlink;
  return true;
}

std::uint32_t bucket_rate_kbps(const std::uint32_t* q, Direction direction) noexcept {
  std::uint64_t kbps = 0;
  mbr(q, direction, kbps);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(kbps, kRateMaxKbps));
}

int BucketList::find(const RecordReader& record, unsigned qer_index) const noexcept {
  for (unsigned i = 0; i < count; ++i) {
    if (same_bucket(record, qer[i], record, qer_index)) return static_cast<int>(i);
  }
  return -1;
}

bool list_buckets(const RecordReader& record, Direction direction, BucketList& out) noexcept {
  out.count = 0;
  for (unsigned i = 0; i < record.pdrs(); ++i) {
    Direction d;
    if (!direction_of(record.pdr(i), d) || d != direction) continue;
    for (const std::uint8_t q : record.qer_indices(record.pdr(i))) {
      std::uint64_t kbps = 0;
      if (!mbr(record.qer(q), d, kbps) || kbps == 0 || out.find(record, q) >= 0) continue;
      if (out.count == kBucketsMax) return false;
      out.qer[out.count++] = q;
    }
  }
  return true;
}

void Compiler::sort_pdrs(const RecordReader& record) {
  for (auto& side : sides_) side.order.clear();
  for (unsigned i = 0; i < record.pdrs(); ++i) {
    Direction d;
    if (direction_of(record.pdr(i), d)) {
      sides_[static_cast<unsigned>(d)].order.push_back(static_cast<std::uint8_t>(i));
    }
  }
  for (auto& side : sides_) {
    std::sort(side.order.begin(), side.order.end(), [&](std::uint8_t a, std::uint8_t b) {
      const auto *pa = record.pdr(a), *pb = record.pdr(b);
      if (pa[pdr::Precedence] != pb[pdr::Precedence]) {
        return pa[pdr::Precedence] < pb[pdr::Precedence];
      }
      return (pa[pdr::Id] & 0xffff) < (pb[pdr::Id] & 0xffff);
    });
  }
}

PrepareError Compiler::compile_urrs(const RecordReader& record, const std::uint32_t* p,
                                    Direction direction, PdrEntry& entry) {
  Side& side = sides_[static_cast<unsigned>(direction)];
  std::uint64_t urrs = 0, first = 0;
  for (const std::uint8_t u : record.urr_indices(p)) {
    const std::uint32_t* words = record.urr(u);
    if (words[urr::Flags] & urr::kPaused) continue;
    (words[urr::Flags] & urr::kBeforePolicing ? first : urrs) |= 1ull << u;
    if (words[urr::Flags] & urr::kReportEndMarker) side.rules_flags |= kRulesTellEndMarker;
    const auto more = record.urr_more(words);
    constexpr std::uint32_t kDropped = urr_more::kDroppedPackets | urr_more::kDroppedBytes;
    if (direction == Direction::Downlink && !more.empty() && (more[urr_more::Flags] & kDropped)) {
      side.rules_flags |= kRulesCountDropped;
    }
    const unsigned far = words[urr::QuotaFar] & 0xff;
    // A FAR that drops is the same as none: what it takes is not counted either.
    if (far == 0 || (record.far(far - 1)[far::Action] & 0xff) == far::kDrop) continue;
    std::uint8_t position = 0;
    if (const auto error = compile_far(record, far - 1, false, direction, position);
        error.status != PrepareStatus::Ok) {
      return error;
    }
    side.quota_fars[u] = static_cast<std::uint8_t>(position + 1);
  }
  const auto set_of = [&](std::uint64_t mask) -> std::uint8_t {
    if (mask == 0) return 0;
    const auto at = std::find(side.sets.begin(), side.sets.end(), mask);
    const auto set = static_cast<std::uint8_t>(at - side.sets.begin() + 1);
    if (at == side.sets.end()) side.sets.push_back(mask);
    return set;
  };
  entry.usage_set = set_of(urrs);
  side.first_sets.push_back(set_of(first));
  if (first != 0) {
    entry.flags |= kPdrMeasureFirst;
    side.measures_first = true;
  }
  return {};
}

PrepareError Compiler::compile_protection(const std::uint32_t* p, unsigned index, Side& side,
                                          PdrEntry& entry) {
  const auto protection = static_cast<std::uint16_t>(p[pdr::FramedRoutes] >> 16);
  if (protection != 0) {
    if (!protections_.acquire(protection)) return {PrepareStatus::Protection, 256 + index};
    entry.flags |= kPdrProtected;
    side.is_protected = true;
  }
  side.protections.push_back(protection);
  return {};
}

PrepareError Compiler::compile_pdrs(const RecordReader& record, Direction direction) {
  Side& side = sides_[static_cast<unsigned>(direction)];
  side.pdrs.clear();
  side.masks.clear();
  side.fars.clear();
  side.far_index.clear();
  side.sets.clear();
  side.first_sets.clear();
  side.protections.clear();
  side.measures_first = side.is_protected = false;
  side.rules_flags = 0;
  side.quota_fars.fill(0);
  if (!list_buckets(record, direction, side.buckets)) return {PrepareStatus::Resources, 0};
  for (const std::uint8_t i : side.order) {
    const std::uint32_t* p = record.pdr(i);
    PdrEntry entry{};
    entry.id = static_cast<std::uint16_t>(p[pdr::Id]);
    // Without a tunnel there is no outer header that could stay.
    const bool keeps_outer =
        (p[pdr::FTeid] & pdr::kFTeidPresent) != 0 && p[pdr::Id] >> 24 == kRemovalNone;
    if (const auto error =
            compile_far(record, p[pdr::FTeid] >> 16 & 0xff, keeps_outer, direction, entry.far);
        error.status != PrepareStatus::Ok) {
      return error;
    }
    std::uint64_t mask = 0;
    for (const std::uint8_t q : record.qer_indices(p)) {
      const std::uint32_t* words = record.qer(q);
      if (gate_closed(words, direction)) entry.flags |= kPdrGateClosed;
      if (const int bucket = side.buckets.find(record, q); bucket >= 0) mask |= 1ull << bucket;
      mark(words, entry);
    }
    if (entry.qfi == 0 && direction == Direction::Downlink) {
      entry.qfi = default_qfi_;
      entry.flags |= kPdrDefaultQfi;
    }
    entry.buckets = static_cast<std::uint8_t>(mask & 3);
    if (mask >> kHotBuckets != 0) entry.buckets |= kMoreBuckets;
    if (const auto error = compile_urrs(record, p, direction, entry);
        error.status != PrepareStatus::Ok) {
      return error;
    }
    if (const auto error = compile_protection(p, i, side, entry);
        error.status != PrepareStatus::Ok) {
      return error;
    }
    side.pdrs.push_back(entry);
    side.masks.push_back(mask);
  }
  return {};
}

PrepareError Compiler::compile(const RecordReader& record, const RecordReader& before,
                               std::uint32_t direct_teid, Compiled& out) {
  if (!record.valid()) return {PrepareStatus::Malformed, 0};
  if (record.urrs() > kUrrsMax) return {PrepareStatus::Resources, 0};
  default_qfi_ = 0;
  for (unsigned q = 0; q < record.qers() && default_qfi_ == 0; ++q) {
    if (record.qer(q)[qer::Flags] & qer::kQfi) default_qfi_ = record.qer(q)[qer::Qfi] & 0x3f;
  }
  sort_pdrs(record);
  out = Compiled{};
  PrepareError error = collect_routes(record);
  if (error.status != PrepareStatus::Ok) return error;
  error = compile_pdrs(record, Direction::Uplink);
  if (error.status == PrepareStatus::Ok)
    error = compile_pdrs(record, Direction::Downlink);
  else
    sides_[1] = {};
  if (error.status == PrepareStatus::Ok) error = build_tunnels(record, direct_teid);
  if (error.status != PrepareStatus::Ok) {
    for (auto& side : sides_) release_side(side);
    return error;
  }
  error = lay_out(record, out);
  if (error.status == PrepareStatus::Ok) error = make_account(record, before, out);
  if (error.status != PrepareStatus::Ok) {
    release(out.flows);
    return error;
  }
  carry_buckets(record, before, out);
  return {};
}

void Compiler::release_side(Side& side) {
  for (const auto& far : side.fars) release_far(far);
  for (const std::uint16_t protection : side.protections) {
    if (protection != 0) protections_.release(protection);
  }
}

void Compiler::release(const Flow (&flows)[kDirections]) {
  for (const Flow& flow : flows) {
    const FlowRules& rules = flow.rules;
    auto* extension = rules.extension ? arena_.at<RulesExtension>(rules.extension) : nullptr;
    const FarEntry* fars = extension ? extension->fars() : rules.fars;
    for (unsigned i = 0; i < rules.far_count; ++i) release_far(fars[i]);
    if (rules.filter_set != 0) filter_sets_.release(rules.filter_set);
    if (extension == nullptr) continue;
    for (unsigned i = 0; i < extension->pdr_count; ++i) {
      if (extension->protections()[i] != 0) protections_.release(extension->protections()[i]);
    }
    for (unsigned i = 0; i < extension->tunnel_count; ++i) {
      if (extension->tunnels()[i].filter_set)
        filter_sets_.release(extension->tunnels()[i].filter_set);
    }
    arena_.free(rules.extension, extension->bytes);
  }
}

void Compiler::release_account(ArenaRef account) {
  if (account != 0) arena_.free(account, arena_.at<Account>(account)->bytes);
}

void Compiler::carry_buckets(const RecordReader& record, const RecordReader& before,
                             Compiled& out) {
  for (unsigned d = 0; d < kDirections; ++d) {
    const auto direction = static_cast<Direction>(d);
    BucketList old;
    if (!before.valid() || !list_buckets(before, direction, old)) continue;
    const BucketList& list = sides_[d].buckets;
    for (unsigned i = 0; i < list.count; ++i) {
      for (unsigned k = 0; k < old.count; ++k) {
        std::uint64_t rate = 0, old_rate = 1;
        mbr(record.qer(list.qer[i]), direction, rate);
        mbr(before.qer(old.qer[k]), direction, old_rate);
        if (rate == old_rate && same_bucket(record, list.qer[i], before, old.qer[k])) {
          out.bucket_from[d][i] = static_cast<std::uint8_t>(k + 1);
        }
      }
    }
  }
}

}  // namespace sluice
