// account: the packet spends its usage set's credit; the URRs themselves are looked at
// only when the credit is gone.
#include "pipeline/pipeline.h"

namespace sluice {

void Pipeline::account(Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.count; ++i) {
    if (__builtin_expect(burst.verdict[i] != DropReason::None, 0)) continue;
    const unsigned set = burst.pdr[i].usage_set;
    if (set == 0) continue;
    FlowState& state = burst.flow[i]->state;
    const std::uint32_t bytes = burst.inner_length[i];
    std::int32_t left;
    if (__builtin_expect(set == 1, 1)) {
      left = state.usage_left -= static_cast<std::int32_t>(bytes);
      ++state.usage_packets;
    } else {
      UsageSet& more = sessions_.account(state.account)->sets(burst.direction[i])[set - 1];
      left = more.left -= static_cast<std::int32_t>(bytes);
      ++more.packets;
    }
    if (__builtin_expect(left < 0, 0)) {
      SessionView session = sessions_.view(burst.session[i]);
      if (!usage_count_slow(session, burst.direction[i], set, bytes, burst.now, events_)) {
        burst.verdict[i] = DropReason::QuotaExhausted;
      }
    }
  }
}

}  // namespace sluice
