// account: the packet spends its usage set's credit; the URRs themselves are looked at
// only when the credit is gone.
// Part of pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include "pipeline/pipeline.h"

namespace sluice {

[[gnu::always_inline]] inline DropReason Pipeline::account(Burst& burst, unsigned i,
                                                           const Hit& hit) noexcept {
  const unsigned set = hit.pdr->usage_set;
  if (set == 0) return DropReason::None;
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
  SessionView session = sessions_.view(burst.session[i]);
  return usage_count_slow(session, burst.direction[i], set, bytes, burst.now, events_)
             ? DropReason::None
             : DropReason::QuotaExhausted;
}

}  // namespace sluice
