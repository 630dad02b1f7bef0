// What police() does for a PDR with buckets beyond the two in the session's line.
#include <bit>

#include "pipeline/pipeline.h"

namespace sluice {

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

}  // namespace sluice
