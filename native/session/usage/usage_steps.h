// What the sources of this folder share: steps of an account that are no call of their own.
// Thread: the session's worker.
#pragma once
#include <bit>

#include "session/usage/usage.h"

namespace sluice {

template <typename F>
void for_each_urr(Account& account, std::uint64_t mask, F&& f) noexcept {
  for (; mask != 0; mask &= mask - 1) f(account.urrs()[std::countr_zero(mask)]);
}

/// A quota is used up, and there is no FAR for that: nothing passes.
inline bool is_stopped(const UrrState& urr) noexcept {
  return (urr.flags & kUrrExhausted) != 0 && urr.quota_far[0] == 0 && urr.quota_far[1] == 0;
}

/// The quota is used up: without a FAR for that, no packet passes and no time is measured.
inline void exhaust(UrrState& urr, UrrClock* clock, std::uint16_t which) noexcept {
  urr.flags |= which;
  if (clock != nullptr && is_stopped(urr)) clock->halt();
}

/// Tells of an inactivity; what finds no room is kept for later.
bool tell_inactivity(SessionView& session, UrrState& urr, EventSink& sink) noexcept;
/// Reports what came before a monitoring time. False: there is no room for it now.
bool report_before(SessionView& session, UrrState& urr, UrrWatch& watch, std::uint32_t ticket,
                   EventSink& sink) noexcept;

}  // namespace sluice
