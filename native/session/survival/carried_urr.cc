#include "session/survival/carried_urr.h"

#include <algorithm>

namespace sluice {
namespace {

/// A monotonic time as one since 1970, and back; never is 0 there. A machine that was started
/// anew has a younger monotonic clock: what lies before its start is its start.
std::uint64_t to_realtime(Nanoseconds time, std::uint64_t offset) {
  return time == kNever ? 0 : time + offset;
}
Nanoseconds to_monotonic(std::uint64_t time, std::uint64_t offset) {
  if (time == 0) return kNever;
  return time > offset ? time - offset : 0;
}

/// What is carried of a URR, there and back.
CarriedUrr keep(const UrrState& u, const UrrClock* clock, std::uint64_t realtime_offset) {
  CarriedUrr c{};
  c.id = u.id;
  c.definition = u.definition;
  c.sequence = u.sequence;
  c.flags = u.flags;
  c.pending = u.pending;
  std::copy(std::begin(u.bytes), std::end(u.bytes), c.bytes);
  std::copy(std::begin(u.packets), std::end(u.packets), c.packets);
  std::copy(std::begin(u.quota_left), std::end(u.quota_left), c.quota_left);
  c.since_time = u.since + realtime_offset;
  if (clock == nullptr) return c;
  c.time_quota_left = clock->quota_left;
  c.measured = clock->measured;
  c.running_time = to_realtime(clock->running_since, realtime_offset);
  c.period_time = to_realtime(clock->next_period, realtime_offset);
  c.active_time = to_realtime(clock->active_at, realtime_offset);
  c.seen = clock->seen;
  return c;
}

void keep(const UrrState& u, const UrrClock* clock, const UrrWatch& watch, std::uint64_t offset,
          CarriedUrr& c) {
  c.watched = (1u + watch.split) | static_cast<unsigned>(watch.passed) << 8;
  std::copy_n(u.threshold, 3, c.threshold);
  std::copy_n(watch.full_threshold, 3, c.full_threshold);
  c.time_threshold = clock == nullptr ? kNever : clock->threshold;
  c.full_time_threshold = watch.full_time_threshold;
  c.valid_time = to_realtime(watch.valid_until, offset);
  std::copy_n(watch.dropped, 2, c.dropped);
  std::copy_n(watch.before_bytes, kDirections, c.before_bytes);
  std::copy_n(watch.before_packets, kDirections, c.before_packets);
  c.before_measured = watch.before_measured;
  c.before_since_time = watch.before_since + offset;
  c.before_until_time = watch.before_until + offset;
  c.granted_time = to_realtime(watch.granted_at, offset);
}

/// Which monitoring times have passed is what was carried: others are due, so that usage from
/// before them is told apart. The URR was made as of now: those that passed took effect with it.
void restore_to(UrrState& u, UrrClock* clock, UrrWatch& watch, const CarriedUrr& c,
                std::uint64_t offset) {
  if (c.watched == 0) return;
  watch.passed = static_cast<std::uint8_t>(std::min<std::uint64_t>(c.watched >> 8, watch.monitors));
  watch.split = split_of(c);
  std::copy_n(c.threshold, 3, u.threshold);
  std::copy_n(c.full_threshold, 3, watch.full_threshold);
  watch.full_time_threshold = c.full_time_threshold;
  if (clock != nullptr) clock->threshold = c.time_threshold;
  watch.valid_until = to_monotonic(c.valid_time, offset);
  std::copy_n(c.dropped, 2, watch.dropped);
  std::copy_n(c.before_bytes, kDirections, watch.before_bytes);
  std::copy_n(c.before_packets, kDirections, watch.before_packets);
  watch.before_measured = c.before_measured;
  watch.before_since = c.before_since_time > offset ? c.before_since_time - offset : 0;
  watch.before_until = c.before_until_time > offset ? c.before_until_time - offset : 0;
  // 0: of a version that took the last packet for it.
  watch.granted_at = c.granted_time == 0 ? 0 : to_monotonic(c.granted_time, offset);
}

/// Time went on while nobody ran: durations, periods and inactivity as if packets had ceased.
void restore_to(UrrClock& clock, const CarriedUrr& c, std::uint64_t offset, Nanoseconds now) {
  if (c.active_time == 0) return;  // of a version that had no clocks
  clock.quota_left = c.time_quota_left;
  clock.measured = c.measured;
  clock.running_since = to_monotonic(c.running_time, offset);
  if (clock.runs()) clock.running_since = std::min(clock.running_since, now);
  if (clock.period != kNever && c.period_time != 0) {
    clock.next_period = to_monotonic(c.period_time, offset);
  }
  clock.active_at = std::min(to_monotonic(c.active_time, offset), now);
  clock.seen = c.seen;
}

void restore_to(UrrState& u, const CarriedUrr& c, std::uint64_t realtime_offset, Nanoseconds now) {
  u.sequence = c.sequence;
  // What was asked for is the session's own: of the same definition.
  u.flags = static_cast<std::uint16_t>((u.flags & kUrrRules) | (c.flags & ~kUrrRules));
  u.pending = c.pending & ~kPendingInactivity;
  // One that was not told is found out once more.
  if (c.pending & kPendingInactivity) u.flags &= static_cast<std::uint16_t>(~kUrrQuiet);
  std::copy(std::begin(c.bytes), std::end(c.bytes), u.bytes);
  std::copy(std::begin(c.packets), std::end(c.packets), u.packets);
  std::copy(std::begin(c.quota_left), std::end(c.quota_left), u.quota_left);
  // A machine that was started anew has a younger monotonic clock: then the start is its own.
  u.since = c.since_time > realtime_offset ? std::min(c.since_time - realtime_offset, now) : 0;
}

}  // namespace

UrrWatch::Split split_of(const CarriedUrr& c) {
  const std::uint64_t split = (c.watched & 0xff) - 1;
  return c.watched == 0 || split > UrrWatch::kAfter ? UrrWatch::kWhole
                                                    : static_cast<UrrWatch::Split>(split);
}

CarriedUrr keep_urr(const UrrState& urr, const UrrClock* clock, const UrrWatch* watch,
                    std::uint64_t realtime_offset) {
  CarriedUrr carried = keep(urr, clock, realtime_offset);
  if (watch != nullptr) keep(urr, clock, *watch, realtime_offset, carried);
  return carried;
}

void restore_urr(UrrState& urr, UrrClock* clock, UrrWatch* watch, const CarriedUrr& from,
                 std::uint64_t realtime_offset, Nanoseconds now) {
  restore_to(urr, from, realtime_offset, now);
  if (clock != nullptr) restore_to(*clock, from, realtime_offset, now);
  if (watch != nullptr) restore_to(urr, clock, *watch, from, realtime_offset);
}

}  // namespace sluice
