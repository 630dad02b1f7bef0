// What a worker does at a standstill, and how it gives a session to another one there.
#include <algorithm>
#include <bit>

#include "worker/worker.h"

namespace sluice {
namespace {

/// More than the buffer of a socket holds: who waits for so many goes on, though more have come.
constexpr unsigned kBacklogMax = 1u << 15;

}  // namespace

unsigned Worker::settle(Nanoseconds now) noexcept {
  if (config_.lender != nullptr) config_.lender->end();
  unsigned moved = 0;
  for (unsigned n = 1; n != 0; moved += n) n = drain_commands(now);
  for (unsigned n = 1; n != 0; moved += n) {
    n = take_over(now);
    pipeline_.reenter_waiting(now);
    pipeline_.flush();
    transmit();
  }
  for (unsigned n = 1; n != 0 && pipeline_.has_held_work(); moved += n) n = drain_held(now);
  for (unsigned w = 0; w < config_.workers; ++w) moved += pipeline_.handoff(w).count;
  return moved;
}

void Worker::wait_for(Worker& other) noexcept {
  waits_ = true;
  awaited_.fetch_add(1, std::memory_order_relaxed);
  other.followers_.push_back(this);
  other.leads_ = true;
  other.backlog_ = kBacklogMax;
  other.emptied_ = 0;
}

/// Whether it may receive again. What the others handed over comes before anything in the queues.
bool Worker::has_waited(Nanoseconds now) noexcept {
  // Acquire: pairs with let_followers_go(); all that was handed over until then is in the rings.
  if (awaited_.load(std::memory_order_acquire) != 0) return false;
  while (take_over(now) != 0) {
    pipeline_.flush();
    transmit();
  }
  waits_ = false;
  return true;
}

void Worker::note_backlog(std::size_t queue, unsigned received) noexcept {
  if (received == 0) emptied_ |= std::uint64_t{1} << queue;
  backlog_ -= std::min(backlog_, received);
}

/// Behind hand_over(): once each queue was found empty, all that was in it has been handed over.
void Worker::let_followers_go() noexcept {
  const bool is_empty = std::popcount(emptied_) == std::ssize(config_.queues);
  if (!is_empty && backlog_ != 0) return;
  for (Worker* follower : followers_) {
    follower->awaited_.fetch_sub(1, std::memory_order_release);
    follower->wake();
  }
  followers_.clear();
  leads_ = false;
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
