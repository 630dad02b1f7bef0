// What a worker does with a prepared change, between two bursts.
#include <algorithm>
#include <bit>

#include "session/session_timer.h"
#include "session/sessions.h"

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
  if (was == nullptr || clock == nullptr) return;
  was->elapse(now);
  to.flags |= from.flags & (kUrrTraffic | kUrrQuiet);
  if (compiled.same_time_quota & bit) {
    clock->quota_left = was->quota_left;
    to.flags |= from.flags & kUrrTimeExhausted;
  }
  if (clock->period == was->period) clock->next_period = was->next_period;
  // Without an inactivity time nobody looked for packets.
  if (was->inactivity != kNever) clock->active_at = was->active_at;
  clock->seen = was->seen;
  if ((to.flags & kUrrDuration) == 0) return;
  clock->measured = was->measured;
  clock->running_since = was->running_since;
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

void Sessions::apply_new(Prepared& change, Nanoseconds now) noexcept {
  if (change.compiled.account == 0) return;
  Account* account = arena_.at<Account>(change.compiled.account);
  for (unsigned i = 0; i < account->urr_count; ++i) account->urrs()[i].since = now;
  for (unsigned i = 0; i < account->clock_count; ++i) {
    UrrClock& clock = account->clocks()[i];
    clock.active_at = now;
    clock.next_period = clock.period == kNever ? kNever : now + clock.period;
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
    FlowRules& fresh = change.compiled.flows[d].rules;
    if ((old.flags & kRulesErrorReported) == 0) continue;
    for_each_own_far(arena_, old, [&](const FarEntry& was) {
      if ((was.dscp & kFarErrorReported) == 0) return;
      for_each_own_far(arena_, fresh, [&](FarEntry& far) {
        if (!far.leads_into_tunnel()) return;
        if (far.teid != was.teid || far.peer != was.peer) return;
        far.dscp |= kFarErrorReported;
        fresh.flags |= kRulesErrorReported;
      });
    });
  }
}

void Sessions::apply(std::uint32_t ticket, Nanoseconds now, EventSink& sink) noexcept {
  Prepared& change = prepared_[ticket];
  const SessionIndex session = change.session;
  const UsageStep step(view(session), sink);
  if (change.kind == OperationKind::Create) {
    apply_new(change, now);
    start_buckets(change, nullptr, now);
  } else {
    SessionView old = view(session);
    if (old.account != nullptr) sink.cancel(old.account->timer);
    apply_new(change, now);
    carry_over(change, old, now, sink);
    start_buckets(change, &old, now);
  }
  carry_error_marks(change);
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
    usage_report(fresh, fresh.account->urrs()[i], kTriggerImmediate, ticket + 1, now, sink);
    reported |= 1ull << i;
  }
  usage_report_linked(fresh, reported, ticket + 1, now, sink);
  usage_grant(fresh);
  session_timer(fresh, now, sink);
}

}  // namespace sluice
