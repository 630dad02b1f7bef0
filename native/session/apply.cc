// What a worker does with a prepared change, between two bursts.
#include <algorithm>
#include <bit>

#include "session/sessions.h"
#include "session/usage/usage_steps.h"

namespace sluice {
namespace {

struct BucketPlace {
  std::uint64_t* tokens;
  std::uint32_t rate_kbps;
  Nanoseconds refilled_at;
};

BucketPlace place(FlowState& state, Account* account, Direction direction, unsigned i) {
  if (i < kHotBuckets) return {&state.tokens[i], state.rate_kbps[i], state.refilled_at};
  Bucket& bucket = account->buckets(direction)[i - kHotBuckets];
  return {&bucket.tokens, bucket.rate_kbps, bucket.refilled_at};
}

bool grants_anew(const Compiled& compiled, std::uint64_t bit) noexcept {
  return (compiled.same_volume_quota & compiled.same_time_quota & bit) == 0;
}

/// What came before a monitoring time stays apart, unless there are none any more.
void carry_split(const UrrWatch& from, UrrState& urr, UrrClock* clock, UrrWatch* to) noexcept {
  if (to != nullptr && to->monitors != 0) {
    to->split = from.split;
    std::copy_n(from.before_bytes, kDirections, to->before_bytes);
    std::copy_n(from.before_packets, kDirections, to->before_packets);
    to->before_measured = from.before_measured;
    to->before_since = from.before_since;
    to->before_until = from.before_until;
  } else if (from.split == UrrWatch::kBefore) {
    for (unsigned d = 0; d < kDirections; ++d) {
      urr.bytes[d] += from.before_bytes[d];
      urr.packets[d] += from.before_packets[d];
    }
    urr.since = from.before_since;
    if (clock != nullptr) clock->measured += from.before_measured;
  }
}

/// Monitoring times that passed under the old rules have passed; those that the new ones bring
/// for a time before now are due. Limits in force stay as far as the new rules bring the same.
void carry_watch(const UrrState& from, const UrrWatch& was, const UrrClock* was_clock, UrrState& to,
                 UrrWatch& watch, UrrClock* clock, const Compiled& compiled,
                 std::uint64_t bit) noexcept {
  const std::uint64_t last = was.passed == 0 ? 0 : was.list()[was.passed - 1].time;
  watch.passed = 0;
  while (watch.passed < watch.monitors && watch.list()[watch.passed].time <= last) ++watch.passed;
  if (watch.counts_dropped()) std::copy_n(was.dropped, 2, watch.dropped);
  // Without monitoring times there is none left whose limits could be in force.
  if (watch.monitors != 0 && (compiled.same_threshold & bit)) {
    std::copy_n(from.threshold, 3, to.threshold);
    std::copy_n(was.full_threshold, 3, watch.full_threshold);
  }
  if (watch.monitors != 0 && (compiled.same_time_threshold & bit) && clock != nullptr &&
      was_clock != nullptr) {
    clock->threshold = was_clock->threshold;
    watch.full_time_threshold = was.full_time_threshold;
  }
  // An inactivity that is asked for now counts from now.
  const bool carried = was.holding != kNever && was_clock != nullptr && clock != nullptr;
  if (carried && (clock->inactivity == kNever || was_clock->inactivity != kNever)) {
    clock->active_at = was_clock->active_at;
  }
  if (grants_anew(compiled, bit)) return;
  to.flags |= from.flags & kUrrHeld;
  if (was.holding != kNever) watch.granted_at = was.granted_at;
  if (watch.validity == was.validity) watch.valid_until = was.valid_until;
}

void carry_clock(const UrrState& from, const UrrClock& was, UrrState& to, UrrClock& clock,
                 const Compiled& compiled, std::uint64_t bit) noexcept {
  to.flags |= from.flags & (kUrrTraffic | kUrrQuiet);
  if (compiled.same_time_quota & bit) {
    clock.quota_left = was.quota_left;
    to.flags |= from.flags & kUrrTimeExhausted;
  }
  if (clock.period == was.period) clock.next_period = was.next_period;
  // Without an inactivity time nobody looked for packets.
  if (was.inactivity != kNever) clock.active_at = was.active_at;
  clock.seen = was.seen;
  if ((to.flags & kUrrDuration) == 0) return;
  clock.measured = was.measured;
  // A pause stops it; after one, it starts as that of a new URR does. So does one that is to
  // start at once from now on, if it stood.
  constexpr std::uint16_t kStart = kUrrInstantStart | kUrrPaused;
  const bool starts =
      (to.flags & kStart) == kUrrInstantStart && (from.flags & kStart) != kUrrInstantStart;
  if (to.flags & kUrrPaused)
    clock.running_since = kNever;
  else if ((from.flags & kUrrPaused) == 0 && (was.runs() || !starts))
    clock.running_since = was.running_since;
}

/// The URR goes on under new rules: what was counted and measured, its numbers and its phase
/// stay. A quota goes on as far as the new rules bring the same one.
void carry_urr(Account& before, UrrState& from, Account& after, UrrState& to,
               const Compiled& compiled, Nanoseconds now) noexcept {
  const std::uint64_t bit = 1ull << (&to - after.urrs());
  to.sequence = from.sequence;
  to.pending = from.pending;
  to.since = from.since;
  for (unsigned d = 0; d < kDirections; ++d) {
    to.bytes[d] = from.bytes[d];
    to.packets[d] = from.packets[d];
  }
  if (compiled.same_volume_quota & bit) {
    std::copy_n(from.quota_left, 3, to.quota_left);
    to.flags |= from.flags & kUrrVolumeExhausted;
  }
  UrrClock *was = before.clock(from), *clock = after.clock(to);
  if (was != nullptr) was->elapse(now);
  if (was != nullptr && clock != nullptr) carry_clock(from, *was, to, *clock, compiled, bit);
  if (clock != nullptr && is_stopped(to)) clock->halt();
  const UrrWatch* was_watch = before.watch(from);
  if (was_watch == nullptr) return;
  UrrWatch* watch = after.watch(to);
  carry_split(*was_watch, to, clock, watch);
  if (watch == nullptr) return;
  carry_watch(from, *was_watch, was, to, *watch, clock, compiled, bit);
}

}  // namespace

void Sessions::start_buckets(Prepared& change, const SessionView* old, Nanoseconds now) noexcept {
  Account* account =
      change.compiled.account ? arena_.at<Account>(change.compiled.account) : nullptr;
  for (unsigned d = 0; d < kDirections; ++d) {
    const auto direction = static_cast<Direction>(d);
    FlowState& state = change.compiled.flows[d].state;
    state.refilled_at = now;
    const unsigned more = account ? account->bucket_count[d] : 0;
    for (unsigned i = 0; i < kHotBuckets + more; ++i) {
      const BucketPlace to = place(state, account, direction, i);
      *to.tokens = bucket_depth(to.rate_kbps);
      const unsigned from = change.compiled.bucket_from[d][i];
      if (old != nullptr && from != 0) {
        const BucketPlace was = place(old->flows[d]->state, old->account, direction, from - 1);
        *to.tokens = refill(*was.tokens, was.rate_kbps, now - was.refilled_at);
      }
      if (i >= kHotBuckets) account->buckets(direction)[i - kHotBuckets].refilled_at = now;
    }
  }
}

void Sessions::apply_new(Prepared& change, Nanoseconds now,
                         std::uint64_t realtime_offset) noexcept {
  if (change.compiled.account == 0) return;
  Account* account = arena_.at<Account>(change.compiled.account);
  for (unsigned i = 0; i < account->urr_count; ++i) {
    UrrState& urr = account->urrs()[i];
    UrrClock* clock = account->clock(urr);
    urr.since = now;
    if (clock != nullptr) {
      clock->active_at = now;
      clock->next_period = clock->period == kNever ? kNever : now + clock->period;
      if ((urr.flags & (kUrrInstantStart | kUrrPaused)) == kUrrInstantStart) {
        clock->running_since = now;
      }
    }
    UrrWatch* watch = account->watch(urr);
    if (watch == nullptr) continue;
    const bool is_new = change.compiled.urr_from[i] == 0;
    usage_start_watch(urr, clock, *watch, is_new, now, realtime_offset);
  }
}

void Sessions::carry_over(Prepared& change, SessionView& old, Nanoseconds now,
                          EventSink& sink) noexcept {
  Account* account =
      change.compiled.account ? arena_.at<Account>(change.compiled.account) : nullptr;
  const std::uint32_t ticket = static_cast<std::uint32_t>(&change - prepared_) + 1;
  if (old.account == nullptr) return;
  usage_fold(old);
  const unsigned count = account != nullptr ? account->urr_count : 0;
  std::uint64_t gone =
      old.account->urr_count == kUrrsMax ? ~0ull : (1ull << old.account->urr_count) - 1;
  for (unsigned i = 0; i < count; ++i) {
    const unsigned from = change.compiled.urr_from[i];
    if (from != 0) gone &= ~(1ull << (from - 1));
  }
  for (std::uint64_t m = gone; m != 0; m &= m - 1) {
    UrrState& urr = old.account->urrs()[std::countr_zero(m)];
    usage_report(old, urr, kTriggerTermination, ticket, now, sink);
  }
  usage_report_linked(old, gone, ticket, now, sink);
  for (unsigned i = 0; i < count; ++i) {
    const unsigned from = change.compiled.urr_from[i];
    if (from == 0) continue;
    carry_urr(*old.account, old.account->urrs()[from - 1], *account, account->urrs()[i],
              change.compiled, now);
  }
}

/// An Error Indication is reported once for a tunnel, whatever else of the rules changes.
void Sessions::carry_error_marks(Prepared& change) noexcept {
  for (unsigned d = 0; d < kDirections; ++d) {
    FlowRules& old = flows_[d][change.session].rules;
    if ((old.flags & kRulesErrorReported) == 0) continue;
    for_each_own_far(arena_, old, [&](const FarEntry& was) {
      if ((was.flags & kFarErrorReported) == 0) return;
      // The tunnel may be another direction's now.
      for (Flow& flow : change.compiled.flows) {
        for_each_own_far(arena_, flow.rules, [&](FarEntry& far) {
          if (!far.leads_into_tunnel()) return;
          if (far.teid != was.teid || far.peer != was.peer) return;
          far.flags |= kFarErrorReported;
          flow.rules.flags |= kRulesErrorReported;
        });
      }
    });
  }
}

void Sessions::apply(std::uint32_t ticket, Nanoseconds now, EventSink& sink) noexcept {
  Prepared& change = prepared_[ticket];
  const SessionIndex session = change.session;
  const UsageStep step(view(session), sink);
  if (change.kind == OperationKind::Create) {
    apply_new(change, now, sink.realtime_offset());
    start_buckets(change, nullptr, now);
  } else {
    SessionView old = view(session);
    if (old.account != nullptr) sink.cancel(old.account->timer);
    apply_new(change, now, sink.realtime_offset());
    carry_over(change, old, now, sink);
    start_buckets(change, &old, now);
  }
  if ((change.flags & kOperationAfresh) == 0) carry_error_marks(change);
  for (unsigned d = 0; d < kDirections; ++d) {
    FlowState& state = change.compiled.flows[d].state;
    state.flags |= flows_[d][session].state.flags & kFlowSlow;
    if (change.kind == OperationKind::Delete) state.flags = 0;
    flows_[d][session] = change.compiled.flows[d];
  }
  SessionView fresh = view(session);
  if (fresh.account == nullptr) return;
  std::uint64_t reported = 0;
  for (unsigned i = 0; i < fresh.account->urr_count && change.query != 0; ++i) {
    // One that was asked for and is gone has told all by its termination.
    const unsigned from = change.compiled.urr_from[i];
    if (from == 0 || (change.query >> (from - 1) & 1) == 0) continue;
    UrrState& urr = fresh.account->urrs()[i];
    if ((change.flags & kOperationUsed) != 0 && !usage_is_any(fresh, urr, now)) continue;
    usage_report(fresh, urr, kTriggerImmediate, ticket + 1, now, sink);
    reported |= 1ull << i;
  }
  usage_report_linked(fresh, reported, ticket + 1, now, sink);
  usage_grant(fresh);
  // A session that comes back has its usage when what is due is looked at: not yet.
  if (change.kind == OperationKind::Create) {
    hasten_timer(*fresh.account, now, sink);
  } else {
    session_timer(fresh, now, sink);
  }
}

}  // namespace sluice
