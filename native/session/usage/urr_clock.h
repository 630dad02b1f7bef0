// The times of one URR: how long its traffic lasts, what is due when. Only URRs that measure
// or wait for a time have one, so that a plain volume URR stays small.
// Owner: the session's worker; made by the control thread before it is handed over.
#pragma once
#include <algorithm>

#include "base/types.h"

namespace sluice {

/// No deadline, no limit, not running.
inline constexpr Nanoseconds kNever = ~Nanoseconds{0};

struct UrrClock {
  // Rules; kNever: none.
  Nanoseconds threshold;
  Nanoseconds period;
  Nanoseconds inactivity;
  // State: all of it goes on when the rules of the URR change.
  Nanoseconds quota_left;     ///< up to `running_since`; kNever: no quota
  Nanoseconds measured;       ///< since the last report, up to `running_since`
  Nanoseconds running_since;  ///< kNever: the clock stands
  Nanoseconds next_period;    ///< kNever: no period
  Nanoseconds active_at;      ///< no packet is known to have come later; at first, creation
  std::uint64_t seen;         ///< packets of the URR at the last look

  bool runs() const noexcept { return running_since != kNever; }
  /// Adds the time that ran since the last call.
  void elapse(Nanoseconds now) noexcept {
    if (!runs()) return;
    const Nanoseconds span = now - std::min(now, running_since);
    measured += span;
    if (quota_left != kNever) quota_left -= std::min(quota_left, span);
    running_since = now;
  }
  /// Notices packets since the last look: there is no time stamp a packet.
  void look(std::uint64_t packets, Nanoseconds now) noexcept {
    if (packets != seen) active_at = now;
    seen = packets;
  }
  /// The clock stands until the next packet.
  void halt() noexcept { running_since = kNever; }
};

/// Packets are looked for this many times in an inactivity time, which is therefore found out
/// late by at most that part of it.
inline constexpr unsigned kLooksPerInactivity = 8;

}  // namespace sluice
