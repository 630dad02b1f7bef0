#include "pipeline/protect/crypto_lane.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace sluice {
namespace {
constexpr long kSleepMaxNs = 100'000'000;
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
}  // namespace

void LaneBell::ring() noexcept {
  // Pairs with sleep(): whoever put something into a ring before this step is seen there.
  if (sleeping_.fetch_add(0, std::memory_order_acq_rel) == 0) return;
  // Release: pairs with the acquire in sleep().
  rung_.fetch_add(1, std::memory_order_release);
  syscall(SYS_futex, &rung_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void LaneBell::wait(std::uint32_t seen) noexcept {
  const timespec timeout{0, kSleepMaxNs};
  syscall(SYS_futex, &rung_, FUTEX_WAIT_PRIVATE, seen, &timeout, nullptr, 0);
}

void CryptoLane::connect(CryptoRing* from_worker, CryptoRing* to_worker,
                         std::function<void()> wake) {
  seats_.push_back({from_worker, to_worker, std::move(wake)});
  hand_.of_worker.push_back(0);
}

unsigned CryptoLane::put(unsigned worker, const CryptoJob* jobs, unsigned count) noexcept {
  Seat& seat = seats_[worker];
  // No more than the way back has room for, so that a lane never waits for a worker.
  count = std::min(count, kCryptoRing - seat.outside);
  count = seat.waiting->enqueue_burst(jobs, count);
  seat.outside += count;
  return count;
}

unsigned CryptoLane::take_back(unsigned worker, CryptoJob* jobs, unsigned max) noexcept {
  Seat& seat = seats_[worker];
  const unsigned count = seat.done->dequeue_burst(jobs, max);
  seat.outside -= count;
  return count;
}

bool CryptoLane::has_work() const noexcept {
  return std::any_of(seats_.begin(), seats_.end(),
                     [](const Seat& seat) { return seat.waiting->size() != 0; });
}

unsigned CryptoLane::depth() const noexcept {
  unsigned total = 0;
  for (const Seat& seat : seats_) total += seat.waiting->size();
  return total;
}

unsigned CryptoLane::take() noexcept {
  const auto workers = static_cast<unsigned>(seats_.size());
  hand_.first = hand_.first + 1 < workers ? hand_.first + 1 : 0;
  hand_.done = false;
  for (unsigned i = 0; i < workers; ++i) {
    const unsigned worker = (hand_.first + i) % workers;
    const unsigned n =
        seats_[worker].waiting->dequeue_burst(hand_.jobs + hand_.count, kCryptoBurst - hand_.count);
    hand_.of_worker[worker] = n;
    hand_.count += n;
  }
  return hand_.count;
}

void CryptoLane::work() noexcept {
  do_jobs({hand_.jobs, hand_.count});
  hand_.done = true;
}

void CryptoLane::give_back() noexcept {
  const auto workers = static_cast<unsigned>(seats_.size());
  const CryptoJob* jobs = hand_.jobs;
  for (unsigned i = 0; i < workers; ++i) {
    const unsigned worker = (hand_.first + i) % workers;
    const unsigned n = std::exchange(hand_.of_worker[worker], 0);
    if (n == 0) continue;
    // There is room: put() sees to it.
    seats_[worker].done->enqueue_burst(jobs, n);
    seats_[worker].wake();
    jobs += n;
  }
  hand_.count = 0;
}

unsigned CryptoLane::serve() noexcept {
  // What one that died had in hand.
  if (hand_.count != 0) give_back();
  const unsigned count = take();
  if (count == 0) return 0;
  work();
  give_back();
  packets_ += count;
  ++bursts_;
  return count;
}

void CryptoLane::bury(int thread) noexcept {
  // Acquire: pairs with claim(); the thread is gone, and whoever told so has seen it end.
  if (holder_.load(std::memory_order_acquire) != thread) return;
  if (!hand_.done) {
    for (unsigned i = 0; i < hand_.count; ++i) hand_.jobs[i].lost = true;
  }
  leave(thread);
}

}  // namespace sluice
