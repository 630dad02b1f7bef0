// What time brings: periods, time thresholds and quotas, the end of traffic, monitoring times.
#include <algorithm>

#include "session/usage/usage_steps.h"

namespace sluice {
namespace {

/// The clock may be set: a monitoring time is looked for this often at least.
constexpr Nanoseconds kWallClockLook = 900'000'000'000;

bool has_volume(const std::uint64_t (&limits)[3]) noexcept {
  return limits[kTotal] != kUnlimited || limits[kUplink] != kUnlimited ||
         limits[kDownlink] != kUnlimited;
}

Nanoseconds to_monotonic(std::uint64_t time, std::uint64_t realtime_offset) noexcept {
  return time > realtime_offset ? time - realtime_offset : 0;
}

/// When a time without packets since `since` is over, or has to be looked for.
Nanoseconds silence_after(const UrrState& urr, const UrrClock& clock, Nanoseconds span,
                          Nanoseconds since, Nanoseconds now) noexcept {
  const Nanoseconds end = std::max(clock.active_at, since) + span;
  return urr.flags & kUrrTraffic ? std::min(end, now + span / kLooksPerInactivity) : end;
}

bool waits_for_silence(const UrrState& urr, const UrrWatch& watch) noexcept {
  return watch.holding != kNever && (urr.flags & (kUrrHeld | kUrrExhausted)) == 0;
}

Nanoseconds watch_deadline(const UrrState& urr, const UrrClock& clock, const UrrWatch& watch,
                           Nanoseconds now, std::uint64_t realtime_offset) noexcept {
  Nanoseconds next = watch.valid_until;
  if (waits_for_silence(urr, watch)) {
    next = std::min(next, silence_after(urr, clock, watch.holding, watch.granted_at, now));
  }
  if (watch.passed < watch.monitors) {
    const Nanoseconds at = to_monotonic(watch.list()[watch.passed].time, realtime_offset);
    next = std::min(next, std::min(at, now + kWallClockLook));
  }
  return next;
}

/// When something is due for this URR, as far as time alone brings it.
Nanoseconds deadline_of(const UrrState& urr, const UrrClock& clock, const UrrWatch* watch,
                        Nanoseconds now, std::uint64_t realtime_offset) noexcept {
  Nanoseconds next = clock.next_period;
  if (clock.runs()) {
    // A report that waits for room in the ring is offered again by usage_retry().
    if (clock.threshold != kNever && (urr.pending & kTriggerTimeThreshold) == 0) {
      const Nanoseconds left = clock.threshold - std::min(clock.threshold, clock.measured);
      next = std::min(next, clock.running_since + left);
    }
    if (clock.quota_left != kNever && (urr.flags & kUrrTimeExhausted) == 0) {
      next = std::min(next, clock.running_since + clock.quota_left);
    }
  }
  if (clock.inactivity != kNever && (urr.flags & kUrrQuiet) == 0) {
    next = std::min(next, silence_after(urr, clock, clock.inactivity, 0, now));
  }
  return watch == nullptr
             ? next
             : std::min(next, watch_deadline(urr, clock, *watch, now, realtime_offset));
}

Nanoseconds next_deadline(Account& account, Nanoseconds now,
                          std::uint64_t realtime_offset) noexcept {
  Nanoseconds next = kNever;
  for (unsigned i = 0; i < account.urr_count; ++i) {
    const UrrState& urr = account.urrs()[i];
    const UrrClock* clock = account.clock(urr);
    if (clock != nullptr) {
      const Nanoseconds at = deadline_of(urr, *clock, account.watch(urr), now, realtime_offset);
      next = std::min(next, at);
    }
  }
  return next;
}

std::uint32_t end_of_traffic(const UrrState& urr) noexcept {
  return (urr.flags & kUrrReportStop ? kTriggerStop : kTriggerNone) |
         (urr.flags & kUrrReportEnvelope ? kTriggerEnvelopeClosure : kTriggerNone);
}

/// What a quota holding time and a validity time bring, as triggers.
std::uint32_t watch_due(UrrState& urr, UrrClock& clock, UrrWatch& watch, Nanoseconds now) noexcept {
  std::uint32_t triggers = 0;
  if (waits_for_silence(urr, watch) &&
      now >= std::max(clock.active_at, watch.granted_at) + watch.holding) {
    triggers |= kTriggerQuotaHoldingTime;
    urr.flags |= kUrrHeld;
  }
  if (watch.valid_until > now) return triggers;
  watch.valid_until = kNever;
  std::uint16_t ended = 0;
  if (has_volume(urr.quota_left)) ended |= kUrrVolumeExhausted;
  if (clock.quota_left != kNever) ended |= kUrrTimeExhausted;
  // One that is used up already has been told.
  if (ended == 0 || (urr.flags & kUrrExhausted) != 0) return triggers;
  for (std::uint64_t& left : urr.quota_left) left = left == kUnlimited ? kUnlimited : 0;
  if (clock.quota_left != kNever) clock.quota_left = 0;
  exhaust(urr, &clock, ended);
  return triggers | kTriggerQuotaValidityTime;
}

/// Limits from a monitoring time on. What is left of a threshold that is not given goes on.
void take_limits(UrrState& urr, UrrClock* clock, UrrWatch& watch, const Monitor& monitor,
                 const std::uint64_t (&bytes)[kDirections], Nanoseconds measured,
                 Nanoseconds now) noexcept {
  const std::uint64_t used[3] = {bytes[0] + bytes[1], bytes[0], bytes[1]};
  const bool renewed = has_volume(monitor.threshold);
  for (unsigned v = 0; v < 3; ++v) {
    if (renewed) {
      urr.threshold[v] = watch.full_threshold[v] = monitor.threshold[v];
    } else if (urr.threshold[v] != kUnlimited) {
      urr.threshold[v] -= std::min(urr.threshold[v], used[v]);
    }
  }
  std::uint16_t granted = 0;
  if (has_volume(monitor.quota)) {
    std::copy_n(monitor.quota, 3, urr.quota_left);
    granted |= kUrrVolumeExhausted;
  }
  if (clock != nullptr) {
    if (monitor.time_threshold != kNever) {
      clock->threshold = watch.full_time_threshold = monitor.time_threshold;
    } else if (clock->threshold != kNever) {
      clock->threshold -= std::min(clock->threshold, measured);
    }
    if (monitor.time_quota != kNever) {
      clock->quota_left = monitor.time_quota;
      granted |= kUrrTimeExhausted;
    }
  }
  if (granted == 0) return;
  urr.flags = static_cast<std::uint16_t>(urr.flags & ~(granted | kUrrHeld));
  watch.granted_at = now;
  if (watch.validity != kNever) watch.valid_until = now + watch.validity;
}

/// What was counted so far is what came before the monitoring time at `at`.
void set_aside(UrrState& urr, UrrClock& clock, UrrWatch& watch, Nanoseconds at,
               Nanoseconds now) noexcept {
  if (watch.split != UrrWatch::kBefore) {
    watch.before_since = urr.since;
    watch.before_measured = 0;
    for (unsigned d = 0; d < kDirections; ++d) watch.before_bytes[d] = watch.before_packets[d] = 0;
  }
  watch.split = UrrWatch::kBefore;
  watch.before_until = std::min(std::max(at, urr.since), now);
  watch.before_measured += clock.measured;
  for (unsigned d = 0; d < kDirections; ++d) {
    watch.before_bytes[d] += urr.bytes[d];
    watch.before_packets[d] += urr.packets[d];
    urr.bytes[d] = urr.packets[d] = 0;
  }
  urr.since = watch.before_until;
  clock.measured = clock.seen = 0;
}

/// Monitoring times that have come. Nothing is reported for them: that is for the next report,
/// so that the sessions of a node don't all report in one moment.
void pass_monitors(SessionView& session, UrrState& urr, UrrClock& clock, UrrWatch& watch,
                   Nanoseconds now, EventSink& sink) noexcept {
  bool aside = false;
  for (; watch.passed < watch.monitors; ++watch.passed) {
    const Monitor& monitor = watch.list()[watch.passed];
    const Nanoseconds at = to_monotonic(monitor.time, sink.realtime_offset());
    if (at > now) return;
    const std::uint64_t bytes[kDirections] = {urr.bytes[0], urr.bytes[1]};
    const Nanoseconds measured = clock.measured;
    // Several that come at once are one cut, behind what an earlier one has set aside.
    if (!aside) {
      report_before(session, urr, watch, 0, sink);
      set_aside(urr, clock, watch, at, now);
    }
    aside = true;
    take_limits(urr, &clock, watch, monitor, bytes, measured, now);
  }
}

/// What time has brought to one URR, as triggers of its report.
std::uint32_t due(SessionView& session, UrrState& urr, UrrClock& clock, Nanoseconds now,
                  EventSink& sink) noexcept {
  std::uint32_t triggers = 0;
  UrrWatch* const watch = session.account->watch(urr);
  clock.elapse(now);
  clock.look(urr.packets[0] + urr.packets[1], now);
  if (watch != nullptr) {
    pass_monitors(session, urr, clock, *watch, now, sink);
    triggers |= watch_due(urr, clock, *watch, now);
  }
  if (clock.next_period <= now) {
    triggers |= kTriggerPeriodic;
    // The phase is that of creation, whatever the timer's delay.
    clock.next_period += ((now - clock.next_period) / clock.period + 1) * clock.period;
  }
  if (clock.runs()) {
    if (clock.measured >= clock.threshold) triggers |= kTriggerTimeThreshold;
    if (clock.quota_left == 0 && (urr.flags & kUrrTimeExhausted) == 0) {
      triggers |= kTriggerTimeQuota;
      exhaust(urr, &clock, kUrrTimeExhausted);
    }
  }
  if (clock.inactivity != kNever && (urr.flags & kUrrQuiet) == 0 &&
      now >= clock.active_at + clock.inactivity) {
    if (urr.flags & kUrrTraffic) triggers |= end_of_traffic(urr);
    urr.flags = static_cast<std::uint16_t>((urr.flags | kUrrQuiet) & ~kUrrTraffic);
    clock.halt();
    tell_inactivity(session, urr, sink);
  }
  return triggers;
}

}  // namespace

Nanoseconds usage_due(SessionView& session, Nanoseconds now, EventSink& sink) noexcept {
  Account& account = *session.account;
  if (account.clock_count == 0) return kNever;
  usage_fold(session);
  std::uint64_t reported = 0;
  for (unsigned i = 0; i < account.urr_count; ++i) {
    UrrState& urr = account.urrs()[i];
    UrrClock* clock = account.clock(urr);
    if (clock == nullptr) continue;
    const std::uint32_t triggers = due(session, urr, *clock, now, sink);
    if (triggers == 0) continue;
    usage_report(session, urr, triggers, 0, now, sink);
    reported |= 1ull << i;
  }
  usage_report_linked(session, reported, 0, now, sink);
  usage_grant(session);
  return next_deadline(account, now, sink.realtime_offset());
}

void usage_start_watch(UrrState& urr, UrrClock* clock, UrrWatch& watch, bool is_new,
                       Nanoseconds now, std::uint64_t realtime_offset) noexcept {
  constexpr std::uint64_t kNothing[kDirections] = {};
  std::copy_n(urr.threshold, 3, watch.full_threshold);
  watch.full_time_threshold = clock == nullptr ? kNever : clock->threshold;
  watch.valid_until = watch.validity == kNever ? kNever : now + watch.validity;
  watch.granted_at = now;
  for (; is_new && watch.passed < watch.monitors; ++watch.passed) {
    const Monitor& monitor = watch.list()[watch.passed];
    if (to_monotonic(monitor.time, realtime_offset) > now) return;
    take_limits(urr, clock, watch, monitor, kNothing, 0, now);
  }
}

void hasten_timer(Account& account, Nanoseconds now, EventSink& sink) noexcept {
  if (account.clock_count == 0) return;
  const Nanoseconds next = next_deadline(account, now, sink.realtime_offset());
  if (next == kNever) return;
  if (!account.timer.waiting() || next < account.timer.deadline) {
    sink.schedule(account.timer, next);
  }
}

void session_timer(SessionView& session, Nanoseconds now, EventSink& sink) noexcept {
  const Nanoseconds next = usage_due(session, now, sink);
  if (next == kNever) {
    sink.cancel(session.account->timer);
  } else {
    sink.schedule(session.account->timer, next);
  }
}

}  // namespace sluice
