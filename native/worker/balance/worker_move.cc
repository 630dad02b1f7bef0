// What a worker does at a standstill, and how it gives a session to another one there.
#include "worker/worker.h"

namespace sluice {
namespace {

/// Together less than a ring to another worker has room for.
constexpr unsigned kDrainedMax = kHandoffRing - 2 * kRxBurst;

}  // namespace

unsigned Worker::settle(Nanoseconds now) noexcept {
  unsigned moved = 0;
  for (unsigned n = 1; n != 0; moved += n) n = drain_commands(now);
  for (unsigned n = 1; n != 0; moved += n) {
    n = take_over(now);
    pipeline_.reenter_waiting(now);
    pipeline_.flush();
    transmit();
  }
  while (pipeline_.has_held_work()) moved += drain_held(now);
  for (unsigned w = 0; w < config_.workers; ++w) moved += pipeline_.handoff(w).count;
  return moved;
}

bool Worker::drain_queues(Nanoseconds now) noexcept {
  const auto queues = static_cast<unsigned>(config_.queues.size());
  for (unsigned taken = 0; taken + queues * kRxBurst <= kDrainedMax;) {
    const unsigned n = receive(now);
    if (n == 0) return true;
    taken += n;
    pipeline_.flush();
    transmit();
    hand_over();
  }
  return false;
}

bool Worker::has_room_to_hold(unsigned packets) const noexcept {
  return config_.pipeline.holds->has_room(packets);
}

unsigned Worker::held_by(SessionIndex session) noexcept {
  unsigned packets = 0;
  for (const Direction direction : {Direction::Uplink, Direction::Downlink}) {
    const Hold* hold = config_.pipeline.holds->find(session, direction);
    if (hold != nullptr) packets += hold->count;
  }
  return packets;
}

void Worker::give(SessionIndex session, Worker& to) noexcept {
  const SessionView view = config_.pipeline.sessions->view(session);
  if (view.account != nullptr && wheel_.cancel(view.account->timer))
    to.schedule(view.account->timer, view.account->timer.deadline);
  for (const Direction direction : {Direction::Uplink, Direction::Downlink}) {
    Hold* const hold = config_.pipeline.holds->find(session, direction);
    if (hold == nullptr) continue;
    const bool waits = wheel_.cancel(hold->timer);
    Hold& there = config_.pipeline.holds->give(*hold, *to.config_.pipeline.holds);
    if (waits) to.schedule(there.timer, there.timer.deadline);
  }
}

void Worker::give_reports(const std::array<bool, kBuckets>& buckets, Worker& to) noexcept {
  Sessions& sessions = *config_.pipeline.sessions;
  std::uint32_t next = pending_head_;
  pending_head_ = 0;
  while (next != 0) {
    SessionView session = sessions.view(next - 1);
    std::uint32_t& link = sessions.pending_link(session.index);
    next = link == ~0u ? 0 : link;
    link = 0;
    Worker& owner = buckets[sessions.scheme().bucket(session.index)] ? to : *this;
    owner.remember(session);
  }
}

}  // namespace sluice
