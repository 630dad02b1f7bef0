// Reports on their way to the control plane: usage, by itself and linked, and inactivity.
#include <algorithm>

#include "session/usage/usage_steps.h"

namespace sluice {
namespace {

Event event_of(SessionView& session, const UrrState& urr, EventKind kind) noexcept {
  Event event{};
  event.kind = kind;
  event.session = session.index;
  event.incarnation = session.flows[0]->rules.incarnation;
  event.id = urr.id;
  return event;
}

}  // namespace

void usage_start_window(UrrState& urr, UrrClock* clock, UrrWatch& watch) noexcept {
  watch.split = UrrWatch::kWhole;
  std::copy_n(watch.full_threshold, 3, urr.threshold);
  if (clock != nullptr) clock->threshold = watch.full_time_threshold;
}

bool tell_inactivity(SessionView& session, UrrState& urr, EventSink& sink) noexcept {
  if (sink.push(event_of(session, urr, EventKind::Inactivity))) {
    urr.pending &= ~kPendingInactivity;
    return true;
  }
  urr.pending |= kPendingInactivity;
  sink.remember(session);
  return false;
}

bool report_before(SessionView& session, UrrState& urr, UrrWatch& watch, std::uint32_t ticket,
                   EventSink& sink) noexcept {
  if (watch.split != UrrWatch::kBefore) return true;
  Event event = event_of(session, urr, EventKind::Usage);
  event.sequence = urr.sequence;
  event.triggers = kTriggerMonitoringTime;
  event.part = kUsageBeforeMonitoringTime;
  for (unsigned d = 0; d < kDirections && (urr.flags & kUrrVolume); ++d) {
    event.bytes[d] = watch.before_bytes[d];
    event.packets[d] = watch.before_packets[d];
  }
  event.start_time = watch.before_since + sink.realtime_offset();
  event.end_time = watch.before_until + sink.realtime_offset();
  event.duration_ns =
      (urr.flags & kUrrDuration) ? watch.before_measured : watch.before_until - watch.before_since;
  event.ticket = ticket;
  if (!sink.push(event)) return false;
  ++urr.sequence;
  watch.split = UrrWatch::kAfter;
  return true;
}

bool usage_is_any(SessionView& session, UrrState& urr, Nanoseconds now) noexcept {
  UrrClock* const clock = session.account->clock(urr);
  if (clock != nullptr) clock->elapse(now);
  const UrrWatch* const watch = session.account->watch(urr);
  const bool has_measured = clock != nullptr && clock->measured != 0;
  const bool has_set_aside = watch != nullptr && watch->split == UrrWatch::kBefore;
  return (urr.packets[0] | urr.packets[1]) != 0 || has_measured || has_set_aside ||
         urr.pending != 0;
}

bool usage_report(SessionView& session, UrrState& urr, std::uint32_t triggers, std::uint32_t ticket,
                  Nanoseconds now, EventSink& sink) noexcept {
  UrrClock* clock = session.account->clock(urr);
  UrrWatch* watch = session.account->watch(urr);
  if (clock != nullptr) {
    clock->elapse(now);
    clock->look(urr.packets[0] + urr.packets[1], now);
  }
  if (watch != nullptr && !report_before(session, urr, *watch, ticket, sink)) {
    urr.pending |= triggers;
    sink.remember(session);
    return false;
  }
  Event event = event_of(session, urr, EventKind::Usage);
  event.sequence = urr.sequence;
  event.triggers = triggers | (urr.pending & ~kPendingInactivity);
  for (unsigned d = 0; d < kDirections && (urr.flags & kUrrVolume); ++d) {
    event.bytes[d] = urr.bytes[d];
    event.packets[d] = urr.packets[d];
  }
  event.start_time = urr.since + sink.realtime_offset();
  event.end_time = now + sink.realtime_offset();
  event.duration_ns = (urr.flags & kUrrDuration) ? clock->measured : now - urr.since;
  event.ticket = ticket;
  if (watch != nullptr && watch->split == UrrWatch::kAfter) event.part = kUsageAfterMonitoringTime;
  if (!sink.push(event)) {
    urr.pending |= triggers;
    sink.remember(session);
    return false;
  }
  ++urr.sequence;
  urr.pending &= kPendingInactivity;
  urr.since = now;
  if (clock != nullptr) clock->measured = clock->seen = 0;
  if (watch != nullptr) usage_start_window(urr, clock, *watch);
  for (unsigned d = 0; d < kDirections; ++d) urr.bytes[d] = urr.packets[d] = 0;
  return true;
}

void usage_report_linked(SessionView& session, std::uint64_t reported, std::uint32_t ticket,
                         Nanoseconds now, EventSink& sink) noexcept {
  Account& account = *session.account;
  if (account.link_count == 0) return;
  // A URR that reports because of a link brings those linked to it; nobody reports twice.
  for (std::uint64_t todo = reported; todo != 0;) {
    // Taken out before others come in, which may stand before it.
    const int cause = std::countr_zero(todo);
    todo &= todo - 1;
    const std::uint64_t linked = account.links()[cause] & ~reported;
    for_each_urr(account, linked, [&](UrrState& urr) {
      usage_report(session, urr, kTriggerLinked, ticket, now, sink);
    });
    reported |= linked;
    todo |= linked;
  }
}

bool usage_retry(SessionView& session, Nanoseconds now, EventSink& sink) noexcept {
  if (session.account == nullptr) return true;
  const UsageStep step(session, sink);
  Account& account = *session.account;
  usage_fold(session);
  bool sent = true;
  for (unsigned i = 0; i < account.urr_count && sent; ++i) {
    UrrState& urr = account.urrs()[i];
    if (urr.pending & ~kPendingInactivity) sent = usage_report(session, urr, 0, 0, now, sink);
    if (sent && (urr.pending & kPendingInactivity)) sent = tell_inactivity(session, urr, sink);
  }
  usage_grant(session);
  hasten_timer(account, now, sink);
  return sent;
}

}  // namespace sluice
