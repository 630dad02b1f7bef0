// Credits: what is spent, what is granted, and the packets that find none left.
#include <algorithm>

#include "session/usage/usage_steps.h"

namespace sluice {
namespace {

constexpr std::uint64_t kCreditMax = 1u << 30;

Volume volume_of(unsigned direction) noexcept { return direction == 0 ? kUplink : kDownlink; }

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

bool volume_quota_used_up(const UrrState& urr) noexcept {
  return urr.quota_left[kTotal] == 0 || urr.quota_left[kUplink] == 0 ||
         urr.quota_left[kDownlink] == 0;
}

/// Bytes of this direction until something happens to the URR; 0 when it has happened.
std::uint64_t remaining(const UrrState& urr, unsigned direction) noexcept {
  // A new threshold may be reached already, and a new quota be one of nothing, in the other
  // direction too.
  if ((urr.flags & kUrrExhausted) || threshold_reached(urr) || volume_quota_used_up(urr)) return 0;
  const Volume v = volume_of(direction);
  const auto until = [](std::uint64_t limit, std::uint64_t used) {
    return limit == kUnlimited ? kUnlimited : limit - std::min(limit, used);
  };
  return std::min({until(urr.threshold[kTotal], urr.bytes[0] + urr.bytes[1]),
                   until(urr.threshold[v], urr.bytes[direction]), urr.quota_left[kTotal],
                   urr.quota_left[v]});
}

/// Has something to do at its first packet, or its first after an inactivity.
bool waits_for_packet(const UrrState& urr, const UrrClock* clock) noexcept {
  if (clock == nullptr || (urr.flags & kUrrExhausted)) return false;
  return (urr.flags & kUrrTraffic) == 0 || (urr.flags & kUrrHeld) ||
         ((urr.flags & kUrrDuration) && !clock->runs());
}

/// A packet was added to the URR. Returns the trigger of its start, if that is to be told.
std::uint32_t note_packet(UrrState& urr, UrrClock* clock, Nanoseconds now) noexcept {
  if (clock == nullptr) return 0;
  const bool starts = (urr.flags & kUrrTraffic) == 0;
  urr.flags = static_cast<std::uint16_t>((urr.flags | kUrrTraffic) & ~(kUrrQuiet | kUrrHeld));
  clock->look(urr.packets[0] + urr.packets[1], now);
  if ((urr.flags & kUrrDuration) && !clock->runs()) clock->running_since = now;
  return starts && (urr.flags & kUrrReportStart) ? kTriggerStart : kTriggerNone;
}

/// Why a packet is not covered by what is left, as the trigger of the report; 0: it is.
std::uint32_t refusal(UrrState& urr, UrrClock* clock, unsigned direction, std::uint32_t bytes,
                      Nanoseconds now) noexcept {
  if (clock != nullptr) clock->elapse(now);
  std::uint32_t triggers = 0;
  // A quota that is used up is so for both directions, whichever it is of.
  if (volume_quota_used_up(urr) ||
      std::min(urr.quota_left[kTotal], urr.quota_left[volume_of(direction)]) < bytes) {
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

}  // namespace

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

namespace {
/// URRs of a session report for one cause, and those that are linked to them.
void report_all(SessionView& session, std::uint64_t urrs, std::uint32_t triggers, Nanoseconds now,
                EventSink& sink) noexcept {
  const UsageStep step(session, sink);
  usage_fold(session);
  for_each_urr(*session.account, urrs,
               [&](UrrState& urr) { usage_report(session, urr, triggers, 0, now, sink); });
  usage_report_linked(session, urrs, 0, now, sink);
  usage_grant(session);
  hasten_timer(*session.account, now, sink);
}
}  // namespace

void usage_count_dropped(SessionView& session, std::uint64_t urrs, std::uint32_t bytes,
                         Nanoseconds now, EventSink& sink) noexcept {
  Account& account = *session.account;
  std::uint64_t reached = 0;
  for_each_urr(account, urrs, [&](UrrState& urr) {
    UrrWatch* watch = account.watch(urr);
    if (watch == nullptr || !watch->counts_dropped()) return;
    watch->dropped[0] += 1;
    watch->dropped[1] += bytes;
    if (watch->dropped[0] < watch->drop_threshold[0] &&
        watch->dropped[1] < watch->drop_threshold[1]) {
      return;
    }
    reached |= 1ull << (&urr - account.urrs());
    watch->dropped[0] = watch->dropped[1] = 0;
  });
  if (reached != 0) report_all(session, reached, kTriggerDroppedDownlink, now, sink);
}

void usage_end_marker(SessionView& session, std::uint64_t urrs, Nanoseconds now,
                      EventSink& sink) noexcept {
  std::uint64_t told = 0;
  for_each_urr(*session.account, urrs, [&](UrrState& urr) {
    if (urr.flags & kUrrReportEndMarker) told |= 1ull << (&urr - session.account->urrs());
  });
  if (told != 0) report_all(session, told, kTriggerEndMarker, now, sink);
}

}  // namespace sluice
