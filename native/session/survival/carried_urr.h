// What of a URR outlives its process, and how it gets out of an account and into one.
// Thread: control, while no worker runs.
#pragma once
#include "session/usage/usage.h"

namespace sluice {

/// What of a URR lives on. A new member goes to the end, and into keep() and restore_to() in
/// carried_urr.cc: files of earlier versions are shorter, and the rest of the member is zero then.
struct CarriedUrr {
  std::uint32_t id;
  std::uint32_t definition;  ///< UrrState::definition: a URR that was changed since is another
  std::uint32_t sequence;
  std::uint32_t flags;
  std::uint32_t pending;
  std::uint32_t reserved;
  std::uint64_t bytes[kDirections];
  std::uint64_t packets[kDirections];
  std::uint64_t quota_left[3];
  std::uint64_t since_time;  ///< ns since 1970
  // Of its clock, if it has one; times are ns since 1970, 0: never.
  std::uint64_t time_quota_left;
  std::uint64_t measured;  ///< up to running_time
  std::uint64_t running_time;
  std::uint64_t period_time;
  std::uint64_t active_time;
  std::uint64_t seen;
  // Of its watch, if it has one: `watched` is 1 + split | passed << 8 then. Times as above.
  std::uint64_t watched;
  std::uint64_t threshold[3], full_threshold[3];
  std::uint64_t time_threshold, full_time_threshold;
  std::uint64_t valid_time;
  std::uint64_t dropped[2];
  std::uint64_t before_bytes[kDirections];
  std::uint64_t before_packets[kDirections];
  std::uint64_t before_measured;
  std::uint64_t before_since_time;
  std::uint64_t before_until_time;
  std::uint64_t granted_time;
};

/// @param clock, watch  null: it has none.
CarriedUrr keep_urr(const UrrState& urr, const UrrClock* clock, const UrrWatch* watch,
                    std::uint64_t realtime_offset);
/// Into a URR that was just made. Time went on while nobody ran.
void restore_urr(UrrState& urr, UrrClock* clock, UrrWatch* watch, const CarriedUrr& from,
                 std::uint64_t realtime_offset, Nanoseconds now);
UrrWatch::Split split_of(const CarriedUrr& from);

}  // namespace sluice
