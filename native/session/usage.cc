#include "session/usage.h"

#include <algorithm>
#include <bit>

#include "session/record.h"

namespace sluice {
namespace {

constexpr std::uint64_t kCreditMax = 1u << 30;

Volume volume_of(unsigned direction) noexcept { return direction == 0 ? kUplink : kDownlink; }

template <typename F>
void for_each_urr(Account& account, std::uint64_t mask, F&& f) noexcept {
  for (; mask != 0; mask &= mask - 1) f(account.urrs()[std::countr_zero(mask)]);
}

void spend(std::uint64_t& quota, std::uint64_t bytes) noexcept {
  if (quota != kUnlimited) quota -= std::min(quota, bytes);
}

void add(UrrState& urr, unsigned direction, std::uint64_t bytes, std::uint64_t packets) noexcept {
  urr.bytes[direction] += bytes;
  urr.packets[direction] += packets;
  spend(urr.quota_left[kTotal], bytes);
  spend(urr.quota_left[volume_of(direction)], bytes);
}

bool threshold_reached(const UrrState& urr) noexcept {
  return urr.bytes[0] + urr.bytes[1] >= urr.threshold[kTotal] ||
         urr.bytes[0] >= urr.threshold[kUplink] || urr.bytes[1] >= urr.threshold[kDownlink];
}

/// Bytes of this direction until something happens to the URR; 0 when it has happened.
std::uint64_t remaining(const UrrState& urr, unsigned direction) noexcept {
  // A new threshold may be reached already, in the other direction too.
  if ((urr.flags & kUrrExhausted) || threshold_reached(urr)) return 0;
  const Volume v = volume_of(direction);
  const auto until = [](std::uint64_t limit, std::uint64_t used) {
    return limit == kUnlimited ? kUnlimited : limit - std::min(limit, used);
  };
  return std::min({until(urr.threshold[kTotal], urr.bytes[0] + urr.bytes[1]),
                   until(urr.threshold[v], urr.bytes[direction]), urr.quota_left[kTotal],
                   urr.quota_left[v]});
}

bool volume_quota_used_up(const UrrState& urr) noexcept {
  return urr.quota_left[kTotal] == 0 || urr.quota_left[kUplink] == 0 ||
         urr.quota_left[kDownlink] == 0;
}

/// Has something to do at its first packet, or its first after an inactivity.
bool waits_for_packet(const UrrState& urr, const UrrClock* clock) noexcept {
  if (clock == nullptr || (urr.flags & kUrrExhausted)) return false;
  return (urr.flags & kUrrTraffic) == 0 || ((urr.flags & kUrrDuration) && !clock->runs());
}

/// A packet was added to the URR. Returns the trigger of its start, if that is to be told.
std::uint32_t note_packet(UrrState& urr, UrrClock* clock, Nanoseconds now) noexcept {
  if (clock == nullptr) return 0;
  const bool starts = (urr.flags & kUrrTraffic) == 0;
  urr.flags = static_cast<std::uint8_t>((urr.flags | kUrrTraffic) & ~kUrrQuiet);
  clock->look(urr.packets[0] + urr.packets[1], now);
  if ((urr.flags & kUrrDuration) && !clock->runs()) clock->running_since = now;
  return starts && (urr.flags & kUrrReportStart) ? kTriggerStart : kTriggerNone;
}

/// The quota is used up: without a FAR for that, no packet passes and no time is measured.
void exhaust(UrrState& urr, UrrClock* clock, std::uint8_t which) noexcept {
  urr.flags |= which;
  if (clock != nullptr && urr.quota_far[0] == 0 && urr.quota_far[1] == 0) clock->halt();
}

/// Why a packet is not covered by what is left, as the trigger of the report; 0: it is.
std::uint32_t refusal(UrrState& urr, UrrClock* clock, unsigned direction, std::uint32_t bytes,
                      Nanoseconds now) noexcept {
  if (clock != nullptr) clock->elapse(now);
  std::uint32_t triggers = 0;
  if (std::min(urr.quota_left[kTotal], urr.quota_left[volume_of(direction)]) < bytes) {
    triggers |= kTriggerVolumeQuota;
    exhaust(urr, clock, kUrrVolumeExhausted);
  }
  if (clock != nullptr && clock->quota_left == 0) {
    triggers |= kTriggerTimeQuota;
    exhaust(urr, clock, kUrrTimeExhausted);
  }
  return triggers;
}

/// Why a report is due after a packet was added.
std::uint32_t reached(UrrState& urr, UrrClock* clock) noexcept {
  std::uint32_t triggers = threshold_reached(urr) ? kTriggerVolumeThreshold : kTriggerNone;
  if ((urr.flags & kUrrVolumeExhausted) == 0 && volume_quota_used_up(urr)) {
    triggers |= kTriggerVolumeQuota;
    exhaust(urr, clock, kUrrVolumeExhausted);
  }
  return triggers;
}

Event event_of(SessionView& session, const UrrState& urr, EventKind kind) noexcept {
  Event event{};
  event.kind = kind;
  event.session = session.index;
  event.incarnation = session.flows[0]->rules.incarnation;
  event.id = urr.id;
  return event;
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

/// When something is due for this URR, as far as time alone brings it.
Nanoseconds deadline_of(const UrrState& urr, const UrrClock& clock, Nanoseconds now) noexcept {
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
    next = std::min(next, clock.active_at + clock.inactivity);
    if (urr.flags & kUrrTraffic) {
      next = std::min(next, now + clock.inactivity / kLooksPerInactivity);
    }
  }
  return next;
}

Nanoseconds next_deadline(Account& account, Nanoseconds now) noexcept {
  Nanoseconds next = kNever;
  for (unsigned i = 0; i < account.urr_count; ++i) {
    const UrrState& urr = account.urrs()[i];
    const UrrClock* clock = account.clock(urr);
    if (clock != nullptr) next = std::min(next, deadline_of(urr, *clock, now));
  }
  return next;
}

/// Has the timer fire when something is due before it would; too early does no harm.
void hasten_timer(Account& account, Nanoseconds now, EventSink& sink) noexcept {
  if (account.clock_count == 0) return;
  const Nanoseconds next = next_deadline(account, now);
  if (next == kNever) return;
  if (!account.timer.waiting() || next < account.timer.deadline) {
    sink.schedule(account.timer, next);
  }
}

/// What time has brought to one URR, as triggers of its report.
std::uint32_t due(SessionView& session, UrrState& urr, UrrClock& clock, Nanoseconds now,
                  EventSink& sink) noexcept {
  std::uint32_t triggers = 0;
  clock.elapse(now);
  clock.look(urr.packets[0] + urr.packets[1], now);
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
    if ((urr.flags & kUrrTraffic) && (urr.flags & kUrrReportStop)) triggers |= kTriggerStop;
    urr.flags = static_cast<std::uint8_t>((urr.flags | kUrrQuiet) & ~kUrrTraffic);
    clock.halt();
    tell_inactivity(session, urr, sink);
  }
  return triggers;
}

}  // namespace

std::uint32_t urr_definition(const std::uint32_t* urr) noexcept {
  // The words behind are places of lists, which another version of the record moves.
  std::uint32_t hash = 0x811c9dc5;
  for (unsigned i = 0; i < record::urr::Linked; ++i) hash = (hash ^ urr[i]) * 0x01000193;
  hash = (hash ^ (urr[record::urr::QuotaFar] >> 8)) * 0x01000193;
  return hash;
}

void usage_fold(SessionView& session) noexcept {
  Account& account = *session.account;
  for (unsigned d = 0; d < kDirections; ++d) {
    UsageSet* sets = account.sets(static_cast<Direction>(d));
    FlowState& state = session.flows[d]->state;
    for (unsigned s = 0; s < account.set_count[d]; ++s) {
      UsageSet& set = sets[s];
      if (s == 0) {
        set.left = state.usage_left;
        set.packets = state.usage_packets;
        state.usage_left = 0;
        state.usage_packets = 0;
      }
      const auto used = static_cast<std::uint64_t>(set.granted - set.left);
      if (set.packets != 0) {
        for_each_urr(account, set.urrs, [&](UrrState& u) { add(u, d, used, set.packets); });
      }
      set.granted = set.left = 0;
      set.packets = 0;
    }
  }
}

void usage_grant(SessionView& session) noexcept {
  Account& account = *session.account;
  // How many credits a URR's remaining bytes are divided among.
  std::uint8_t sharing[kUrrsMax] = {};
  for (unsigned d = 0; d < kDirections; ++d) {
    for (unsigned s = 0; s < account.set_count[d]; ++s) {
      for (std::uint64_t m = account.sets(static_cast<Direction>(d))[s].urrs; m != 0; m &= m - 1) {
        ++sharing[std::countr_zero(m)];
      }
    }
  }
  for (unsigned d = 0; d < kDirections; ++d) {
    for (unsigned s = 0; s < account.set_count[d]; ++s) {
      UsageSet& set = account.sets(static_cast<Direction>(d))[s];
      std::uint64_t credit = kCreditMax;
      for (std::uint64_t m = set.urrs; m != 0; m &= m - 1) {
        const auto n = static_cast<unsigned>(std::countr_zero(m));
        UrrState& urr = account.urrs()[n];
        const bool waits = waits_for_packet(urr, account.clock(urr));
        const std::uint64_t left = waits ? 0 : remaining(urr, d);
        credit = std::min(credit, left == 0 ? 0 : (left - 1) / sharing[n]);
      }
      set.granted = set.left = static_cast<std::int32_t>(credit);
      if (s == 0) session.flows[d]->state.usage_left = set.left;
    }
  }
}

bool usage_report(SessionView& session, UrrState& urr, std::uint32_t triggers, std::uint32_t ticket,
                  Nanoseconds now, EventSink& sink) noexcept {
  UrrClock* clock = session.account->clock(urr);
  if (clock != nullptr) {
    clock->elapse(now);
    clock->look(urr.packets[0] + urr.packets[1], now);
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
  if (!sink.push(event)) {
    urr.pending |= triggers;
    sink.remember(session);
    return false;
  }
  ++urr.sequence;
  urr.pending &= kPendingInactivity;
  urr.since = now;
  if (clock != nullptr) clock->measured = clock->seen = 0;
  for (unsigned d = 0; d < kDirections; ++d) urr.bytes[d] = urr.packets[d] = 0;
  return true;
}

void usage_report_linked(SessionView& session, std::uint64_t reported, std::uint32_t ticket,
                         Nanoseconds now, EventSink& sink) noexcept {
  Account& account = *session.account;
  if (account.link_count == 0) return;
  // A URR that reports because of a link brings those linked to it; nobody reports twice.
  for (std::uint64_t todo = reported; todo != 0; todo &= todo - 1) {
    const std::uint64_t linked = account.links()[std::countr_zero(todo)] & ~reported;
    for_each_urr(account, linked, [&](UrrState& urr) {
      usage_report(session, urr, kTriggerLinked, ticket, now, sink);
    });
    reported |= linked;
    todo |= linked;
  }
}

Spent usage_count_slow(SessionView& session, Direction direction, unsigned set_index,
                       std::uint32_t bytes, Nanoseconds now, EventSink& sink) noexcept {
  const UsageStep step(session, sink);
  Account& account = *session.account;
  const auto d = static_cast<unsigned>(direction);
  UsageSet& set = account.sets(direction)[set_index - 1];
  // The packet at hand is taken back out first: a quota may not cover it.
  if (set_index == 1) {
    session.flows[d]->state.usage_left += static_cast<std::int32_t>(bytes);
    --session.flows[d]->state.usage_packets;
  } else {
    set.left += static_cast<std::int32_t>(bytes);
    --set.packets;
  }
  usage_fold(session);
  Spent spent{true, 0};
  std::uint64_t reported = 0;
  const auto report = [&](UrrState& urr, std::uint32_t triggers) {
    if (triggers == 0) return;
    usage_report(session, urr, triggers, 0, now, sink);
    reported |= 1ull << (&urr - account.urrs());
  };
  for_each_urr(account, set.urrs, [&](UrrState& urr) {
    if ((urr.flags & kUrrExhausted) == 0) {
      report(urr, refusal(urr, account.clock(urr), d, bytes, now));
    }
    if ((urr.flags & kUrrExhausted) == 0) return;
    spent.passes = spent.passes && urr.quota_far[d] != 0;
    if (spent.far == 0) spent.far = urr.quota_far[d];
  });
  if (spent.passes) {
    for_each_urr(account, set.urrs, [&](UrrState& urr) {
      UrrClock* clock = account.clock(urr);
      add(urr, d, bytes, 1);
      const std::uint32_t starts = note_packet(urr, clock, now);
      report(urr, starts | reached(urr, clock));
    });
  }
  usage_report_linked(session, reported, 0, now, sink);
  usage_grant(session);
  hasten_timer(account, now, sink);
  return spent;
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
  return next_deadline(account, now);
}

}  // namespace sluice
