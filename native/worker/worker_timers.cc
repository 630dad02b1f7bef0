// What a worker does because its time has come: timers, and reports that found no room.
#include "session/usage/usage.h"
#include "worker/worker.h"

namespace sluice {
namespace {
constexpr unsigned kReportsPerLoop = 16;
constexpr unsigned kTimersPerLoop = 64;
}  // namespace

void Worker::catch_up(Nanoseconds now) noexcept {
  for (Nanoseconds due; (due = wheel_.next_deadline(now)) < now;) expire_timers(due);
  expire_timers(now);
}

void Worker::expire_timers(Nanoseconds now) noexcept {
  wheel_.expire(now, kTimersPerLoop, [&](TimerNode& node) {
    if (&node == &timers_[1]) {
      realtime_offset_ = read_realtime_offset();
      wheel_.schedule(node, now + kSecond);
      return;
    }
    if (pipeline_.owns_timer(node)) return pipeline_.expire_timer(node, now);
    // The timer is an account's first member.
    SessionView session = config_.pipeline.sessions->view(reinterpret_cast<Account&>(node).session);
    const UsageStep step(session, *this);
    session_timer(session, now, *this);
  });
  next_expiry_ = wheel_.next_deadline(now + kSecond);
}

void Worker::remember(SessionView& session) noexcept {
  std::uint32_t& link = config_.pipeline.sessions->pending_link(session.index);
  if (link != 0) return;
  link = pending_head_ == 0 ? ~0u : pending_head_;
  pending_head_ = session.index + 1;
}

void Worker::retry_reports(Nanoseconds now) noexcept {
  Sessions& sessions = *config_.pipeline.sessions;
  for (unsigned n = 0; n < kReportsPerLoop && pending_head_ != 0; ++n) {
    // In two parts each, when a monitoring time lies in between.
    if (kEventRing - events_->size() < 2 * kUrrsMax) return;
    SessionView session = sessions.view(pending_head_ - 1);
    std::uint32_t& link = sessions.pending_link(session.index);
    pending_head_ = link == ~0u ? 0 : link;
    link = 0;
    usage_retry(session, now, *this);
  }
}

}  // namespace sluice
