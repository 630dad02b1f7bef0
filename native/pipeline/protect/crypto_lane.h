// A crypto lane: the rings by which packets that need SM4 leave workers and come back, a pair for
// each worker. An association has the same lane for ever, and a lane is served by one thread at a
// time, so that order is kept whatever threads come and go. Threads: workers put jobs in and take
// them back; whoever holds the lane does the rest; the control thread frees a lane of one that
// died. Start at serve().
#pragma once
#include <atomic>
#include <functional>
#include <vector>

#include "base/counter.h"
#include "memory/ring.h"
#include "pipeline/protect/crypto_job.h"

namespace sluice {

using CryptoRing = SpscRing<CryptoJob>;
inline constexpr std::uint32_t kCryptoRing = 1024;

/// Wakes one thread that sleeps until there is work.
class alignas(kCacheLine) LaneBell {
 public:
  /// Threads: any.
  void ring() noexcept;
  /// Sleeps until ring(), at most 100 ms, unless `has_work` says that there is some.
  /// @return whether it slept. Thread: the one that serves.
  template <class HasWork>
  bool sleep(HasWork&& has_work) noexcept {
    // Before the look at the rings, so that a bell after it is not slept over. Acquire: pairs with
    // the release in ring().
    const std::uint32_t seen = rung_.load(std::memory_order_acquire);
    // Pairs with the step in ring(): one of the two comes first, and the other sees what was done
    // before it.
    sleeping_.exchange(1, std::memory_order_acq_rel);
    const bool sleeps = !has_work();
    if (sleeps) wait(seen);
    sleeping_.store(0, std::memory_order_relaxed);
    return sleeps;
  }

 private:
  void wait(std::uint32_t seen) noexcept;
  std::atomic<std::uint32_t> rung_{0};
  std::atomic<std::uint32_t> sleeping_{0};
};

class CryptoLane {
 public:
  /// A pair of rings for the next worker, and how to wake it.
  void connect(CryptoRing* from_worker, CryptoRing* to_worker, std::function<void()> wake);

  // ---- a worker ----
  /// Puts in as many jobs as there is room for, so that all may come back. @return how many.
  unsigned put(unsigned worker, const CryptoJob* jobs, unsigned count) noexcept;
  /// Jobs that are done, in the order of put().
  unsigned take_back(unsigned worker, CryptoJob* jobs, unsigned max) noexcept;
  bool has_done(unsigned worker) const noexcept { return seats_[worker].done->size() != 0; }
  /// Tells who serves that there is work.
  void wake() noexcept {
    // Acquire: pairs with serve_by().
    LaneBell* bell = bell_.load(std::memory_order_acquire);
    if (bell != nullptr) bell->ring();
  }

  // ---- who serves ----
  /// Makes the lane the caller's. False: it is another's.
  bool claim(int thread) noexcept {
    // Relaxed: what one's own name says oneself has written.
    if (holder_.load(std::memory_order_relaxed) == thread) return true;
    int nobody = kNobody;
    // Acquire: pairs with the release of whoever held it before, with all that it did to the
    // associations.
    return holder_.compare_exchange_strong(nobody, thread, std::memory_order_acquire);
  }
  /// Gives it up, between two bursts.
  void leave(int thread) noexcept {
    if (holder_.load(std::memory_order_relaxed) != thread) return;
    // Release: pairs with claim().
    holder_.store(kNobody, std::memory_order_release);
  }
  /// One burst, from the worker whose turn it is and those behind it. @return its packets.
  unsigned serve() noexcept;
  bool has_work() const noexcept;
  // serve() in its three steps.
  unsigned take() noexcept;
  void work() noexcept;
  void give_back() noexcept;

  // ---- control thread ----
  void serve_by(LaneBell* bell) noexcept {
    // Release: pairs with wake().
    bell_.store(bell, std::memory_order_release);
  }
  /// The thread is gone: what it had in hand comes back as lost, when another has the lane.
  void bury(int thread) noexcept;

  // Threads: any.
  std::uint64_t packets() const noexcept { return packets_; }
  std::uint64_t bursts() const noexcept { return bursts_; }
  /// Packets that wait.
  unsigned depth() const noexcept;

 private:
  static constexpr int kNobody = -1;
  struct Seat {
    CryptoRing* waiting;
    CryptoRing* done;
    std::function<void()> wake;
    /// Of those put in, not taken back yet: the worker's.
    alignas(kCacheLine) std::uint32_t outside = 0;
  };
  /// The burst that whoever holds the lane has in hand: jobs of one worker behind each other.
  struct Hand {
    CryptoJob jobs[kCryptoBurst];
    std::vector<unsigned> of_worker;
    unsigned count = 0;
    unsigned first = 0;  ///< worker whose jobs come first
    bool done = false;
  };

  std::vector<Seat> seats_;
  Hand hand_;
  Counter packets_, bursts_;
  alignas(kCacheLine) std::atomic<int> holder_{kNobody};
  std::atomic<LaneBell*> bell_{nullptr};
};

}  // namespace sluice
