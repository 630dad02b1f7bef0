// The third part of the compiler: URRs, and buckets beyond the hot ones, to the account.
#include <algorithm>
#include <bit>
#include <cstring>

#include "session/compile/compiler.h"

namespace sluice {
using namespace record;
namespace {

constexpr Nanoseconds kMillisecond = 1'000'000;

Nanoseconds time_of(const std::uint32_t* u, unsigned word, std::uint32_t flag) noexcept {
  return u[urr::Flags] & flag ? u[word] * kMillisecond : kNever;
}

/// As time_of(), for times that are longer than 0 in every record of ours.
Nanoseconds span_of(const std::uint32_t* u, unsigned word, std::uint32_t flag) noexcept {
  const Nanoseconds span = time_of(u, word, flag);
  return span == 0 ? kNever : span;
}

std::uint64_t volume_of(const std::uint32_t* u, unsigned word, std::uint32_t flag) noexcept {
  return u[urr::Flags] & flag ? u[word] | std::uint64_t{u[word + 1]} << 32 : kUnlimited;
}

/// Those that an octet counts: more are in no record of ours.
std::uint8_t monitors_of(const RecordReader& record, const std::uint32_t* u) noexcept {
  return static_cast<std::uint8_t>(
      std::min<std::size_t>(record.monitors(u).size() / kMonitorWords, 255));
}

void fill_clock(const std::uint32_t* u, UrrClock& clock) noexcept {
  clock.threshold = span_of(u, urr::TimeThresholdMs, urr::kTimeThreshold);
  clock.period = span_of(u, urr::PeriodMs, urr::kPeriod);
  clock.inactivity = span_of(u, urr::InactivityMs, urr::kInactivity);
  clock.quota_left = time_of(u, urr::TimeQuotaMs, urr::kTimeQuota);
  clock.running_since = kNever;
  // Without measurement there is no telling whether packets come.
  if (u[urr::Flags] & urr::kPaused) clock.inactivity = kNever;
}

void fill_watch(const RecordReader& record, const std::uint32_t* u, UrrWatch& watch) noexcept {
  const auto more = record.urr_more(u);
  const std::uint32_t has = more[urr_more::Flags];
  const auto span = [&](std::uint32_t flag, unsigned word) {
    return (has & flag) && more[word] != 0 ? more[word] * kMillisecond : kNever;
  };
  const auto count = [&](std::uint32_t flag, unsigned word) {
    return has & flag ? more[word] | std::uint64_t{more[word + 1]} << 32 : kUnlimited;
  };
  watch.holding = span(urr_more::kQuotaHolding, urr_more::QuotaHoldingMs);
  if (u[urr::Flags] & urr::kPaused) watch.holding = kNever;
  watch.validity = span(urr_more::kQuotaValidity, urr_more::QuotaValidityMs);
  watch.drop_threshold[0] = count(urr_more::kDroppedPackets, urr_more::DroppedPackets);
  watch.drop_threshold[1] = count(urr_more::kDroppedBytes, urr_more::DroppedBytes);
  const auto words = record.monitors(u);
  watch.monitors = monitors_of(record, u);
  for (unsigned i = 0; i < watch.monitors; ++i) {
    // The words behind the time are those of a URR.
    const std::uint32_t* m = &words[i * kMonitorWords];
    Monitor& monitor = watch.list()[i];
    monitor.time = m[monitor::TimeS] * std::uint64_t{1'000'000'000};
    for (unsigned v = 0; v < 3; ++v) {
      monitor.threshold[v] =
          volume_of(m, monitor::ThresholdTotal + 2 * v, urr::kThresholdTotal << v);
      monitor.quota[v] = volume_of(m, monitor::QuotaTotal + 2 * v, urr::kQuotaTotal << v);
    }
    monitor.time_threshold = span_of(m, monitor::TimeThresholdMs, urr::kTimeThreshold);
    monitor.time_quota = time_of(m, monitor::TimeQuotaMs, urr::kTimeQuota);
  }
}

std::uint16_t flags_of(const std::uint32_t* u) noexcept {
  constexpr struct {
    std::uint32_t record;
    std::uint16_t state;
  } kFlags[] = {{urr::kVolume, kUrrVolume},
                {urr::kDuration, kUrrDuration},
                {urr::kReportStart, kUrrReportStart},
                {urr::kReportStop, kUrrReportStop},
                {urr::kReportEnvelope, kUrrReportEnvelope},
                {urr::kReportEndMarker, kUrrReportEndMarker},
                {urr::kInstantStart, kUrrInstantStart},
                {urr::kPaused, kUrrPaused}};
  std::uint16_t flags = 0;
  for (const auto& [record, state] : kFlags) {
    if (u[urr::Flags] & record) flags |= state;
  }
  return flags;
}

bool same_limits(const std::uint32_t* a, const std::uint32_t* b, std::uint32_t flags,
                 unsigned first, unsigned count) noexcept {
  return ((a[urr::Flags] ^ b[urr::Flags]) & flags) == 0 &&
         std::equal(a + first, a + first + count, b + first);
}

bool same_quota(const std::uint32_t* a, const std::uint32_t* b, std::uint32_t flags, unsigned first,
                unsigned count) noexcept {
  // The number of the grant tells a new quota from the same one.
  return a[urr::QuotaFar] >> 8 == b[urr::QuotaFar] >> 8 && same_limits(a, b, flags, first, count);
}

}  // namespace

bool needs_clock(const RecordReader& record, const std::uint32_t* u) noexcept {
  constexpr std::uint32_t kTimed = urr::kDuration | urr::kTimeThreshold | urr::kTimeQuota |
                                   urr::kPeriod | urr::kInactivity | urr::kReportStart |
                                   urr::kReportStop | urr::kReportEnvelope;
  const auto more = record.urr_more(u);
  const bool watched =
      !more.empty() &&
      ((more[urr_more::Flags] & (urr_more::kQuotaHolding | urr_more::kQuotaValidity)) != 0 ||
       !record.monitors(u).empty());
  return (u[urr::Flags] & kTimed) != 0 || watched;
}

bool needs_watch(const std::uint32_t* u) noexcept { return (u[urr::Flags] & urr::kMore) != 0; }

std::uint32_t urr_definition(const RecordReader& record, const std::uint32_t* u) noexcept {
  std::uint32_t hash = 0x811c9dc5;
  const auto add = [&](std::uint32_t word) { hash = (hash ^ word) * 0x01000193; };
  // The words behind are places of lists, which another version of the record moves.
  for (unsigned i = 0; i < urr::Linked; ++i) add(u[i]);
  add(u[urr::QuotaFar] >> 8);
  const auto more = record.urr_more(u);
  for (unsigned i = 0; i < more.size(); ++i) {
    if (i != urr_more::Monitors) add(more[i]);
  }
  for (const std::uint32_t word : record.monitors(u)) add(word);
  return hash;
}

void carry_urrs(const RecordReader& record, const RecordReader& before, Compiled& out) noexcept {
  constexpr std::uint32_t kVolumeQuotas =
      urr::kQuotaTotal | urr::kQuotaUplink | urr::kQuotaDownlink;
  constexpr std::uint32_t kVolumeThresholds =
      urr::kThresholdTotal | urr::kThresholdUplink | urr::kThresholdDownlink;
  for (unsigned i = 0; i < record.urrs(); ++i) {
    const std::uint32_t* u = record.urr(i);
    for (unsigned k = 0; before.valid() && k < before.urrs(); ++k) {
      const std::uint32_t* old = before.urr(k);
      if (u[urr::Id] != old[urr::Id]) continue;
      out.urr_from[i] = static_cast<std::uint8_t>(k + 1);
      const std::uint64_t bit = 1ull << i;
      if (same_quota(u, old, kVolumeQuotas, urr::QuotaTotal, 6)) out.same_volume_quota |= bit;
      if (same_quota(u, old, urr::kTimeQuota, urr::TimeQuotaMs, 1)) out.same_time_quota |= bit;
      if (same_limits(u, old, kVolumeThresholds, urr::ThresholdTotal, 6)) out.same_threshold |= bit;
      if (same_limits(u, old, urr::kTimeThreshold, urr::TimeThresholdMs, 1)) {
        out.same_time_threshold |= bit;
      }
    }
  }
}

void Compiler::fill_urrs(const RecordReader& record, Account& account) const {
  std::uint8_t clocks = 0;
  std::uint32_t watched = 0;
  for (unsigned i = 0; i < record.urrs(); ++i) {
    const std::uint32_t* u = record.urr(i);
    UrrState& state = account.urrs()[i];
    state.id = u[urr::Id];
    state.definition = urr_definition(record, u);
    state.flags = flags_of(u);
    for (unsigned v = 0; v < 3; ++v) {
      state.threshold[v] = volume_of(u, urr::ThresholdTotal + 2 * v, urr::kThresholdTotal << v);
      state.quota_left[v] = volume_of(u, urr::QuotaTotal + 2 * v, urr::kQuotaTotal << v);
    }
    for (unsigned d = 0; d < kDirections; ++d) state.quota_far[d] = sides_[d].quota_fars[i];
    if (needs_clock(record, u)) {
      state.clock = ++clocks;
      fill_clock(u, *account.clock(state));
    }
    if (needs_watch(u)) {
      state.watch = static_cast<std::uint16_t>(watched / 8 + 1);
      fill_watch(record, u, *account.watch(state));
      watched += UrrWatch::size(monitors_of(record, u));
    }
    if (account.link_count == 0) continue;
    for (const std::uint8_t to : record.linked_indices(u)) {
      if (to != i) account.links()[to] |= 1ull << i;
    }
  }
}

PrepareError Compiler::make_account(const RecordReader& record, const RecordReader& before,
                                    Compiled& out) {
  Account counts{};
  unsigned more[kDirections];
  bool linked = false;
  std::uint32_t watched = 0;
  for (unsigned d = 0; d < kDirections; ++d) {
    more[d] = sides_[d].buckets.count - std::min(sides_[d].buckets.count, kHotBuckets);
    counts.set_count[d] = static_cast<std::uint8_t>(sides_[d].sets.size());
    counts.bucket_count[d] = static_cast<std::uint8_t>(more[d]);
  }
  if (record.urrs() == 0 && more[0] + more[1] == 0) return {};
  for (unsigned i = 0; i < record.urrs(); ++i) {
    const std::uint32_t* u = record.urr(i);
    if (needs_clock(record, u)) ++counts.clock_count;
    if (needs_watch(u)) watched += UrrWatch::size(monitors_of(record, u));
    linked = linked || !record.linked_indices(u).empty();
  }
  counts.urr_count = static_cast<std::uint8_t>(record.urrs());
  counts.link_count = linked ? counts.urr_count : 0;
  counts.bytes = counts.size() + watched;
  if (counts.bytes > kAccountBytesMax) return {PrepareStatus::Resources, 0};
  out.account = arena_.allocate(counts.bytes);
  if (out.account == 0) return {PrepareStatus::Resources, 0};
  auto* account = arena_.at<Account>(out.account);
  std::memset(static_cast<void*>(account), 0, counts.bytes);
  *account = counts;
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
  fill_urrs(record, *account);
  carry_urrs(record, before, out);
  return {};
}

}  // namespace sluice
