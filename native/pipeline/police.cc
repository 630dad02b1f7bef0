// police: gates, then every bucket of the PDR has to have the tokens before any pays.
#include <bit>

#include "pipeline/pipeline.h"

namespace sluice {

/// A PDR with buckets beyond the two in the line: all of them, in turn.
bool Pipeline::police_more(Burst& burst, unsigned i) noexcept {
  Flow& flow = *burst.flow[i];
  FlowState& state = flow.state;
  const std::uint64_t mask =
      sessions_.extension(flow.rules.extension)->bucket_masks()[burst.pdr_position[i]];
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

void Pipeline::police(Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.count; ++i) {
    if (__builtin_expect(burst.verdict[i] != DropReason::None, 0)) continue;
    const PdrEntry pdr = burst.pdr[i];
    if (__builtin_expect(pdr.flags & kPdrGateClosed, 0)) {
      burst.verdict[i] = DropReason::GateClosed;
      continue;
    }
    if (pdr.buckets == 0) continue;
    FlowState& state = burst.flow[i]->state;
    const Nanoseconds elapsed = burst.now - state.refilled_at;
    state.refilled_at = burst.now;
    const std::uint64_t t0 = refill(state.tokens[0], state.rate_kbps[0], elapsed);
    const std::uint64_t t1 = refill(state.tokens[1], state.rate_kbps[1], elapsed);
    if (__builtin_expect(pdr.buckets & kMoreBuckets, 0)) {
      state.tokens[0] = t0;
      state.tokens[1] = t1;
      if (!police_more(burst, i)) burst.verdict[i] = DropReason::MbrExceeded;
      continue;
    }
    // Branch-free: a bucket that is not asked costs nothing and always has enough.
    const std::uint64_t cost = burst.inner_length[i] * kMicrobitsPerByte;
    const std::uint64_t c0 = pdr.buckets & 1 ? cost : 0, c1 = pdr.buckets & 2 ? cost : 0;
    const bool pass = (t0 >= c0) & (t1 >= c1);
    state.tokens[0] = t0 - (pass ? c0 : 0);
    state.tokens[1] = t1 - (pass ? c1 : 0);
    burst.verdict[i] = pass ? DropReason::None : DropReason::MbrExceeded;
  }
}

}  // namespace sluice
