// police: gates, then every bucket of the PDR has to have the tokens before any pays. Before
// them come the URRs that measure before policing.
// Part of pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include "pipeline/pipeline.h"

namespace sluice {

[[gnu::always_inline]] inline DropReason Pipeline::police(Burst& burst, unsigned i,
                                                          Hit& hit) noexcept {
  const PdrEntry pdr = *hit.pdr;
  if (__builtin_expect(pdr.flags & (kPdrGateClosed | kPdrMeasureFirst), 0)) {
    const FarEntry* far = hit.far;
    const DropReason verdict = measure_first(burst, i, hit, &far);
    if (verdict != DropReason::None) return verdict;
    hit.far = far;
  }
  if (pdr.buckets == 0) return DropReason::None;
  FlowState& state = hit.flow->state;
  const Nanoseconds elapsed = burst.now - state.refilled_at;
  state.refilled_at = burst.now;
  const std::uint64_t t0 = refill(state.tokens[0], state.rate_kbps[0], elapsed);
  const std::uint64_t t1 = refill(state.tokens[1], state.rate_kbps[1], elapsed);
  if (__builtin_expect(pdr.buckets & kMoreBuckets, 0)) {
    state.tokens[0] = t0;
    state.tokens[1] = t1;
    return police_more(burst, i, hit) ? DropReason::None : DropReason::MbrExceeded;
  }
  // Branch-free, with masks: a bucket that is not asked costs nothing and always has enough.
  const std::uint64_t cost = hit.length * kMicrobitsPerByte;
  const std::uint64_t c0 = cost & (0 - std::uint64_t{pdr.buckets & 1u});
  const std::uint64_t c1 = cost & (0 - std::uint64_t{pdr.buckets >> 1 & 1u});
  const bool pass = (t0 >= c0) & (t1 >= c1);
  const std::uint64_t pays = 0 - std::uint64_t{pass};
  state.tokens[0] = t0 - (c0 & pays);
  state.tokens[1] = t1 - (c1 & pays);
  return pass ? DropReason::None : DropReason::MbrExceeded;
}

}  // namespace sluice
