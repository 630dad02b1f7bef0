// What police() and account() do for few packets: buckets beyond the two in the session's
// line, measurement before policing, and credits that are used up.
#include <bit>

#include "pipeline/account.h"
#include "pipeline/police.h"

namespace sluice {
namespace stage {
alignas(16) const std::uint64_t kLeastTokens[2] = {kBucketBytesMin * kMicrobitsPerByte,
                                                   kBucketBytesMin* kMicrobitsPerByte};
}  // namespace stage

/// All of them, in turn; those in the line are refilled already.
bool Pipeline::police_more(Burst& burst, unsigned i, Hit hit) noexcept {
  Flow& flow = *burst.flow[i];
  FlowState& state = flow.state;
  const std::uint64_t mask =
      sessions_.extension(flow.rules.extension)->bucket_masks()[hit.position];
  Bucket* more = sessions_.account(state.account)->buckets(burst.direction[i]);
  const std::uint64_t cost = burst.inner_length[i] * kMicrobitsPerByte;
  bool pass = true;
  for (std::uint64_t m = mask >> kHotBuckets; m != 0; m &= m - 1) {
    Bucket& bucket = more[std::countr_zero(m)];
    bucket.tokens = refill(bucket.tokens, bucket.rate_kbps, burst.now - bucket.refilled_at);
    bucket.refilled_at = burst.now;
    pass = pass && bucket.tokens >= cost;
  }
  for (unsigned k = 0; k < kHotBuckets; ++k) {
    if (mask >> k & 1) pass = pass && state.tokens[k] >= cost;
  }
  if (!pass) return false;
  for (std::uint64_t m = mask >> kHotBuckets; m != 0; m &= m - 1)
    more[std::countr_zero(m)].tokens -= cost;
  for (unsigned k = 0; k < kHotBuckets; ++k) {
    if (mask >> k & 1) state.tokens[k] -= cost;
  }
  return true;
}

/// Gates, and before them the URRs that count what a gate or a bucket drops, too.
/// @param far  the FAR that the packet takes after that.
DropReason Pipeline::measure_first(Burst& burst, unsigned i, Hit hit,
                                   const FarEntry** far) noexcept {
  const std::uint8_t flags = hit.pdr->flags;
  if (flags & kPdrMeasureFirst) {
    RulesExtension* rules = sessions_.extension(hit.flow->rules.extension);
    const DropReason verdict = spend(burst, i, rules->first_sets()[hit.position], hit);
    if (verdict != DropReason::None) return verdict;
    *far = hit.far;
  }
  return flags & kPdrGateClosed ? DropReason::GateClosed : DropReason::None;
}

/// URRs of the PDR at this position: bit n, URR n.
std::uint64_t Pipeline::urrs_of(const Flow& flow, Direction direction, unsigned position) noexcept {
  if (flow.state.account == 0) return 0;
  const FlowRules& rules = flow.rules;
  RulesExtension* more = rules.extension == 0 ? nullptr : sessions_.extension(rules.extension);
  const PdrEntry& pdr = more == nullptr ? rules.pdrs[position] : more->pdrs()[position];
  const UsageSet* sets = sessions_.account(flow.state.account)->sets(direction);
  const std::uint64_t urrs = pdr.usage_set == 0 ? 0 : sets[pdr.usage_set - 1].urrs;
  const unsigned first = pdr.flags & kPdrMeasureFirst ? more->first_sets()[position] : 0;
  return first == 0 ? urrs : urrs | sets[first - 1].urrs;
}

/// What is left of a credit does not cover the packet. None: it goes on, by a quota's FAR perhaps,
/// which has to bear the same look as the PDR's.
DropReason Pipeline::spend_slow(Burst& burst, unsigned i, unsigned set, Hit hit,
                                const FarEntry** far) noexcept {
  SessionView session = sessions_.view(burst.session[i]);
  const Spent spent =
      usage_count_slow(session, burst.direction[i], set, hit.length, burst.now, events_);
  if (!spent.passes) return DropReason::QuotaExhausted;
  if (spent.far == 0) return DropReason::None;
  const FlowRules& rules = hit.flow->rules;
  const FarEntry* fars =
      rules.extension == 0 ? rules.fars : sessions_.extension(rules.extension)->fars();
  hit.far = &fars[spent.far - 1];
  burst.flags[i] &= static_cast<std::uint8_t>(~kTurnsRound);
  const DropReason reason = look_closer(burst, i, hit);
  *far = hit.far;
  return reason;
}

}  // namespace sluice
