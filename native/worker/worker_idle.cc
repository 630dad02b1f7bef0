// When a worker looks, pauses and sleeps, and who wakes it.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

#include "worker/worker.h"

namespace sluice {
namespace {

constexpr unsigned kSpinLoops = 512;         // then the loop pauses between looks …
constexpr unsigned kPauseLoops = 1024;       // … and then it sleeps
constexpr unsigned kWokenLoops = 32;         // looks between two sleeps that brought no packet
constexpr Nanoseconds kLookMin = 100'000;    // sleep beside a queue that cannot wake us: doubles
constexpr Nanoseconds kLookMax = 6'400'000;  // up to this while no packet comes

void relax() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

void Worker::run() noexcept {
  name_this_thread("sluice-w" + std::to_string(config_.id));
  last_loop_ = tsc();
  look_interval_ = kLookMin;
  while (!stop_.load(std::memory_order_relaxed)) {
    const unsigned handled = loop();
    if (loop_packets_ != 0) {
      empty_loops_ = 0;
      look_interval_ = kLookMin;
      continue;
    }
    // Packets come in trains, commands don't: looking on after one would only take time from
    // the thread that sends them, which may share the core.
    if (handled != 0) continue;
    ++empty_loops_;
    if (config_.place.poll == PollMode::Busy || empty_loops_ < kSpinLoops) continue;
    relax();
    if (empty_loops_ > kSpinLoops + kPauseLoops) sleep();
  }
  pipeline_.flush();
  transmit();
}

bool Worker::has_work() const noexcept {
  if (commands_->size() != 0) return true;
  // Relaxed: pairs with post(), ordered by the exchange in sleep() before this.
  if (errand_.load(std::memory_order_relaxed) != nullptr) return true;
  for (const PacketRing* ring : incoming_) {
    if (ring->size() != 0) return true;
  }
  return pipeline_.has_done();
}

void Worker::sleep() noexcept {
  sleeping_.exchange(1, std::memory_order_acq_rel);
  // Pairs with wake(): both read and write the word in one step, so one of the two comes first
  // and the other sees what was done before it.
  if (!has_work() && !stop_.load(std::memory_order_seq_cst)) {
    const Nanoseconds now = Clock::machine().now();
    const Nanoseconds limit = now + (must_poll_ ? look_interval_ : kSecond / 10);
    look_interval_ = std::min(look_interval_ * 2, kLookMax);
    const Nanoseconds until = pending_head_ != 0 ? now + 1'000'000 : wheel_.next_deadline(limit);
    const Nanoseconds span = until > now ? until - now : 0;
    const timespec timeout{0, static_cast<long>(std::min(span, kSecond - 1))};
    epoll_event ready[8];
    epoll_pwait2(epoll_fd_, ready, 8, &timeout, nullptr);
    std::uint64_t rings;
    [[maybe_unused]] const auto n = read(wake_fd_, &rings, sizeof(rings));
  }
  sleeping_.store(0, std::memory_order_relaxed);
  last_loop_ = tsc();
  // Something woke us: look a few times before the next sleep, but not as long as after work.
  empty_loops_ = kSpinLoops + kPauseLoops - kWokenLoops;
}

void Worker::wake() noexcept {
  // Pairs with sleep(): whoever put something into a ring before this step is seen there.
  if (sleeping_.fetch_add(0, std::memory_order_acq_rel) == 0) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(wake_fd_, &one, sizeof(one));
}

void Worker::stop() noexcept {
  stop_.store(true, std::memory_order_seq_cst);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(wake_fd_, &one, sizeof(one));
}

}  // namespace sluice
