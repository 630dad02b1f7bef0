// account: the packet spends its usage set's credit; the URRs themselves are looked at
// only when the credit is gone. URRs that measure before policing are spent from in police.
// Part of pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include "pipeline/pipeline.h"

namespace sluice {

/// Spends from one usage set. A packet that no quota covers is dropped, or takes another FAR.
[[gnu::always_inline]] inline DropReason Pipeline::spend(Burst& burst, unsigned i, unsigned set,
                                                         Hit& hit) noexcept {
  FlowState& state = hit.flow->state;
  const std::uint32_t bytes = hit.length;
  std::int32_t left;
  if (__builtin_expect(set == 1, 1)) {
    left = state.usage_left -= static_cast<std::int32_t>(bytes);
    ++state.usage_packets;
  } else {
    UsageSet& more = sessions_.account(state.account)->sets(burst.direction[i])[set - 1];
    left = more.left -= static_cast<std::int32_t>(bytes);
    ++more.packets;
  }
  if (__builtin_expect(left >= 0, 1)) return DropReason::None;
  const FarEntry* far = hit.far;
  const DropReason verdict = spend_slow(burst, i, set, hit, &far);
  hit.far = far;
  return verdict;
}

[[gnu::always_inline]] inline DropReason Pipeline::account(Burst& burst, unsigned i,
                                                           Hit& hit) noexcept {
  const unsigned set = hit.pdr->usage_set;
  return set == 0 ? DropReason::None : spend(burst, i, set, hit);
}

}  // namespace sluice
