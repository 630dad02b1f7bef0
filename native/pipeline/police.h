// police: gates, then every bucket of the PDR has to have the tokens before any pays.
// Part of pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include "pipeline/pipeline.h"

namespace sluice {

[[gnu::always_inline]] inline DropReason Pipeline::police(Burst& burst, unsigned i,
                                                          const Hit& hit) noexcept {
  const PdrEntry pdr = *hit.pdr;
  if (__builtin_expect(pdr.flags & kPdrGateClosed, 0)) return DropReason::GateClosed;
  if (pdr.buckets == 0) return DropReason::None;
  FlowState& state = burst.flow[i]->state;
  const Nanoseconds elapsed = burst.now - state.refilled_at;
  state.refilled_at = burst.now;
  const std::uint64_t t0 = refill(state.tokens[0], state.rate_kbps[0], elapsed);
  const std::uint64_t t1 = refill(state.tokens[1], state.rate_kbps[1], elapsed);
  if (__builtin_expect(pdr.buckets & kMoreBuckets, 0)) {
    state.tokens[0] = t0;
    state.tokens[1] = t1;
    return police_more(burst, i, hit) ? DropReason::None : DropReason::MbrExceeded;
  }
  // Branch-free: a bucket that is not asked costs nothing and always has enough.
  const std::uint64_t cost = burst.inner_length[i] * kMicrobitsPerByte;
  const std::uint64_t c0 = pdr.buckets & 1 ? cost : 0, c1 = pdr.buckets & 2 ? cost : 0;
  const bool pass = (t0 >= c0) & (t1 >= c1);
  state.tokens[0] = t0 - (pass ? c0 : 0);
  state.tokens[1] = t1 - (pass ? c1 : 0);
  return pass ? DropReason::None : DropReason::MbrExceeded;
}

}  // namespace sluice
