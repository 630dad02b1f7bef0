// What a worker does with a prepared change, between two bursts.
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
  if (change.compiled.account != 0) {
    Account* account = arena_.at<Account>(change.compiled.account);
    for (unsigned i = 0; i < account->urr_count; ++i) account->urrs()[i].since = now;
  }
}

void Sessions::carry_over(Prepared& change, SessionView& old, Nanoseconds now,
                          EventSink& sink) noexcept {
  Account* account =
      change.compiled.account ? arena_.at<Account>(change.compiled.account) : nullptr;
  const std::uint32_t ticket = static_cast<std::uint32_t>(&change - prepared_) + 1;
  if (old.account == nullptr) return;
  usage_fold(old);
  std::uint64_t kept = 0;
  for (unsigned i = 0; account != nullptr && i < account->urr_count; ++i) {
    const unsigned from = change.compiled.urr_from[i];
    if (from == 0) continue;
    // Thresholds are equal, or it would not be carried; everything counted moves over.
    account->urrs()[i] = old.account->urrs()[from - 1];
    kept |= 1ull << (from - 1);
  }
  for (unsigned i = 0; i < old.account->urr_count; ++i) {
    if ((kept >> i & 1) == 0) {
      usage_report(old, old.account->urrs()[i], kTriggerTermination, ticket, now, sink);
    }
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
  for (std::uint64_t m = change.query; m != 0; m &= m - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(m));
    if (i < fresh.account->urr_count) {
      usage_report(fresh, fresh.account->urrs()[i], kTriggerImmediate, ticket + 1, now, sink);
    }
  }
  usage_grant(fresh);
  session_timer(fresh, now, sink);
}

}  // namespace sluice
