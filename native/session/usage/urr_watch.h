// What few URRs ask for beside volumes and times: monitoring times with limits of their own, and
// how long a quota is good for; the usage before a monitoring time, until it is reported.
// Owner: the session's worker; made by the control thread before it is handed over.
#pragma once
#include "session/usage/urr_clock.h"

namespace sluice {

/// From `time` on, limits that are not kUnlimited are those of the URR.
struct Monitor {
  std::uint64_t time;  ///< ns since 1970
  std::uint64_t threshold[3];
  std::uint64_t quota[3];
  Nanoseconds time_threshold;
  Nanoseconds time_quota;
};

struct UrrWatch {
  enum Split : std::uint8_t {
    kWhole = 0,   ///< no monitoring time since the last report
    kBefore = 1,  ///< `before` has what came before it
    kAfter = 2,   ///< that was reported, what came after it was not
  };
  // Rules; kNever, kUnlimited: none.
  Nanoseconds holding;
  Nanoseconds validity;
  std::uint64_t drop_threshold[2];  ///< packets, octets
  // State: all of it goes on when the rules of the URR change.
  std::uint64_t full_threshold[3];  ///< what a new window starts with
  Nanoseconds full_time_threshold;
  Nanoseconds valid_until;   ///< of the quota; kNever
  Nanoseconds granted_at;    ///< the holding time counts from the grant on
  std::uint64_t dropped[2];  ///< downlink packets and octets since the last report of them
  std::uint64_t before_bytes[2];
  std::uint64_t before_packets[2];
  Nanoseconds before_measured;
  Nanoseconds before_since;
  Nanoseconds before_until;
  std::uint8_t monitors;  ///< how many follow
  std::uint8_t passed;    ///< of these
  Split split;
  std::uint8_t reserved[5];
  bool counts_dropped() const noexcept {
    return (drop_threshold[0] & drop_threshold[1]) != ~std::uint64_t{0};
  }
  // Then Monitor monitors[monitors], in ascending order of time.
  Monitor* list() noexcept { return reinterpret_cast<Monitor*>(this + 1); }
  const Monitor* list() const noexcept { return reinterpret_cast<const Monitor*>(this + 1); }
  static std::uint32_t size(unsigned monitors) noexcept {
    return static_cast<std::uint32_t>(sizeof(UrrWatch) + monitors * sizeof(Monitor));
  }
};
static_assert(sizeof(UrrWatch) % 8 == 0 && sizeof(Monitor) % 8 == 0);

}  // namespace sluice
