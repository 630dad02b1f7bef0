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

/// Bytes of this direction until something happens to the URR; 0 when it has happened.
std::uint64_t remaining(const UrrState& urr, unsigned direction) noexcept {
  if (urr.flags & kUrrExhausted) return 0;
  const Volume v = volume_of(direction);
  const auto until = [](std::uint64_t limit, std::uint64_t used) {
    return limit == kUnlimited ? kUnlimited : limit - std::min(limit, used);
  };
  return std::min({until(urr.threshold[kTotal], urr.bytes[0] + urr.bytes[1]),
                   until(urr.threshold[v], urr.bytes[direction]), urr.quota_left[kTotal],
                   urr.quota_left[v]});
}

bool threshold_reached(const UrrState& urr) noexcept {
  return urr.bytes[0] + urr.bytes[1] >= urr.threshold[kTotal] ||
         urr.bytes[0] >= urr.threshold[kUplink] || urr.bytes[1] >= urr.threshold[kDownlink];
}

bool quota_used_up(const UrrState& urr) noexcept {
  return urr.quota_left[kTotal] == 0 || urr.quota_left[kUplink] == 0 ||
         urr.quota_left[kDownlink] == 0;
}

}  // namespace

std::uint32_t urr_definition(const std::uint32_t* urr) noexcept {
  // The words behind are places of lists, which another version of the record moves.
  std::uint32_t hash = 0x811c9dc5;
  for (unsigned i = 0; i < record::urr::Linked; ++i) hash = (hash ^ urr[i]) * 0x01000193;
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
        const std::uint64_t left = remaining(account.urrs()[n], d);
        credit = std::min(credit, left == 0 ? 0 : (left - 1) / sharing[n]);
      }
      set.granted = set.left = static_cast<std::int32_t>(credit);
      if (s == 0) session.flows[d]->state.usage_left = set.left;
    }
  }
}

bool usage_report(SessionView& session, UrrState& urr, std::uint32_t triggers, std::uint32_t ticket,
                  Nanoseconds now, EventSink& sink) noexcept {
  Event event{};
  event.kind = EventKind::Usage;
  event.session = session.index;
  event.incarnation = session.flows[0]->rules.incarnation;
  event.id = urr.id;
  event.sequence = urr.sequence;
  event.triggers = triggers | urr.pending;
  for (unsigned d = 0; d < kDirections; ++d) {
    event.bytes[d] = urr.bytes[d];
    event.packets[d] = urr.packets[d];
  }
  event.start_time = urr.since + sink.realtime_offset();
  event.end_time = now + sink.realtime_offset();
  event.duration_ns = now - urr.since;
  event.ticket = ticket;
  if (!sink.push(event)) {
    urr.pending |= triggers;
    sink.remember(session);
    return false;
  }
  ++urr.sequence;
  urr.pending = 0;
  urr.since = now;
  for (unsigned d = 0; d < kDirections; ++d) urr.bytes[d] = urr.packets[d] = 0;
  return true;
}

bool usage_count_slow(SessionView& session, Direction direction, unsigned set_index,
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
  bool covered = true;
  for_each_urr(account, set.urrs, [&](UrrState& urr) {
    if (urr.flags & kUrrExhausted) {
      covered = false;
    } else if (std::min(urr.quota_left[kTotal], urr.quota_left[volume_of(d)]) < bytes) {
      covered = false;
      urr.flags |= kUrrExhausted;
      usage_report(session, urr, kTriggerVolumeQuota, 0, now, sink);
    }
  });
  if (covered) {
    for_each_urr(account, set.urrs, [&](UrrState& urr) {
      add(urr, d, bytes, 1);
      std::uint32_t triggers = 0;
      if (threshold_reached(urr)) triggers |= kTriggerVolumeThreshold;
      if (quota_used_up(urr)) {
        triggers |= kTriggerVolumeQuota;
        urr.flags |= kUrrExhausted;
      }
      if (triggers != 0) usage_report(session, urr, triggers, 0, now, sink);
    });
  }
  usage_grant(session);
  return covered;
}

bool usage_retry(SessionView& session, Nanoseconds now, EventSink& sink) noexcept {
  if (session.account == nullptr) return true;
  const UsageStep step(session, sink);
  Account& account = *session.account;
  usage_fold(session);
  bool sent = true;
  for (unsigned i = 0; i < account.urr_count && sent; ++i) {
    UrrState& urr = account.urrs()[i];
    if (urr.pending != 0) sent = usage_report(session, urr, 0, 0, now, sink);
  }
  usage_grant(session);
  return sent;
}

}  // namespace sluice
