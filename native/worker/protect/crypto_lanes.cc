#include "worker/protect/crypto_lanes.h"

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "base/topology.h"

namespace sluice {
namespace {
constexpr Nanoseconds kTurn = 100'000'000;
constexpr unsigned kSpins = 256;   ///< looks without work before a thread sleeps
constexpr int kControl = 1 << 20;  ///< the control thread, among those that hold lanes
}  // namespace

CryptoLanes::CryptoLanes(unsigned lanes, std::vector<unsigned> cores, unsigned nodes)
    : of_node_(lanes >= nodes ? nodes : 1), cores_(std::move(cores)) {
  for (unsigned i = 0; i < lanes; ++i) {
    lanes_.push_back(std::make_unique<CryptoLane>());
    of_node_[i % of_node_.size()].push_back(lanes_.back().get());
    threads_.push_back(std::make_unique<Thread>());
  }
}

bool CryptoLanes::connect(Region& region, const std::function<void()>& wake) {
  const auto make = [&region]() -> CryptoRing* {
    void* memory = region.allocate(CryptoRing::bytes(kCryptoRing));
    return memory == nullptr ? nullptr : CryptoRing::create(memory, kCryptoRing);
  };
  for (const auto& lane : lanes_) {
    CryptoRing* const there = make();
    CryptoRing* const back = make();
    if (there == nullptr || back == nullptr) return false;
    lane->connect(there, back, wake);
  }
  return true;
}

/// Tells each lane whom to wake, and each thread to look.
void CryptoLanes::assign() noexcept {
  const unsigned threads = serving();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i]->serve_by(threads == 0 ? nullptr : &threads_[i % threads]->bell);
  }
  for (const auto& thread : threads_) thread->bell.ring();
}

void CryptoLanes::limit_threads(unsigned threads) noexcept {
  // Release, here and in arrive(): pairs with serving().
  limit_.store(std::min<unsigned>(threads, static_cast<unsigned>(threads_.size())),
               std::memory_order_release);
  unsigned arrived = arrived_.load(std::memory_order_relaxed);
  while (arrived > threads && !arrived_.compare_exchange_weak(arrived, threads)) {
  }
  assign();
}

/// @return whether the thread is wanted; when those before it are there, it is counted.
bool CryptoLanes::arrive(unsigned thread) noexcept {
  if (thread >= limit_.load(std::memory_order_acquire)) return false;
  unsigned before = thread;
  // Relaxed: a late look only comes again.
  if (arrived_.load(std::memory_order_relaxed) == thread &&
      arrived_.compare_exchange_strong(before, thread + 1, std::memory_order_acq_rel)) {
    assign();
  }
  return true;
}

bool CryptoLanes::run(unsigned thread) noexcept {
  // Pairs with stop(): one of the two comes first, in the one order of both words.
  inside_.fetch_add(1, std::memory_order_seq_cst);
  const bool wanted = !stopped_.load(std::memory_order_seq_cst) && arrive(thread);
  if (wanted) serve_while_wanted(thread);
  // Release: pairs with stop().
  inside_.fetch_sub(1, std::memory_order_release);
  return wanted;
}

void CryptoLanes::serve_while_wanted(unsigned thread) noexcept {
  name_this_thread("sluice-l" + std::to_string(thread));
  // Each time, since the process may have been confined to other cores meanwhile. Unpinned is
  // slower, not wrong.
  if (!cores_.empty()) (void)pin_this_thread(cores_[thread % cores_.size()]);
  Thread& self = *threads_[thread];
  const std::uint64_t start = tsc();
  std::uint64_t turn_start = start;
  unsigned idle = 0;
  const auto wanted = [&] { return !stopped_.load(std::memory_order_seq_cst) && arrive(thread); };
  while (wanted() && Clock::machine().cycles_to_ns(turn_start - start) < kTurn) {
    const unsigned threads = serving();
    const unsigned packets = serve_once(thread, threads);
    const std::uint64_t now = tsc();
    if (packets != 0) {
      self.busy_cycles += now - turn_start;
      idle = 0;
    } else if (++idle < kSpins) {
      spin_pause();
    } else if (self.bell.sleep([&] { return has_work(thread, threads) || !wanted(); })) {
      ++self.waits;
    }
    turn_start = packets != 0 ? now : tsc();
  }
  leave_all(thread);
}

/// A burst of each lane that is this thread's; those that are another's now are given up.
unsigned CryptoLanes::serve_once(unsigned thread, unsigned threads) noexcept {
  unsigned packets = 0;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    CryptoLane& lane = *lanes_[i];
    if (threads == 0 || i % threads != thread) {
      lane.leave(static_cast<int>(thread));
    } else if (lane.claim(static_cast<int>(thread))) {
      packets += lane.serve();
    }
  }
  return packets;
}

bool CryptoLanes::has_work(unsigned thread, unsigned threads) const noexcept {
  if (threads != serving()) return true;
  for (std::size_t i = thread; threads != 0 && i < lanes_.size(); i += threads) {
    if (lanes_[i]->has_work()) return true;
  }
  return false;
}

void CryptoLanes::leave_all(unsigned thread) noexcept {
  for (const auto& lane : lanes_) lane->leave(static_cast<int>(thread));
}

void CryptoLanes::bury(unsigned thread) noexcept {
  for (const auto& lane : lanes_) lane->bury(static_cast<int>(thread));
}

void CryptoLanes::stop() noexcept {
  stopped_.store(true, std::memory_order_seq_cst);
  // Acquire: pairs with the release at the end of run().
  while (inside_.load(std::memory_order_acquire) != 0) {
    for (const auto& thread : threads_) thread->bell.ring();
    std::this_thread::yield();
  }
  for (unsigned t = 0; t < threads_.size(); ++t) bury(t);
}

unsigned CryptoLanes::serve_here() noexcept {
  unsigned packets = 0;
  for (const auto& lane : lanes_) {
    if (!lane->claim(kControl)) continue;
    for (unsigned n; (n = lane->serve()) != 0;) packets += n;
    lane->leave(kControl);
  }
  return packets;
}

LanesStatistics CryptoLanes::statistics() const {
  LanesStatistics s;
  s.threads = serving();
  s.cores = cores_;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const int thread = s.threads == 0 ? -1 : static_cast<int>(i % s.threads);
    s.lanes.push_back({lanes_[i]->packets(), lanes_[i]->bursts(), lanes_[i]->depth(), thread});
  }
  for (const auto& thread : threads_) {
    s.by_thread.push_back(
        {Clock::machine().cycles_to_ns(thread->busy_cycles.load()), thread->waits.load()});
  }
  return s;
}

}  // namespace sluice
