// The crypto lanes of a packet path, and the threads that serve them. Threads come from outside
// (src/datapath/lanes), numbered from 0: thread t of n serves lanes t, t + n, t + 2n …, so that
// a pool that grows or shrinks moves whole lanes, between two bursts of each. Owner: the control
// thread; run() is the lane threads'.
#pragma once
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "memory/region.h"
#include "pipeline/protect/crypto_lane.h"

namespace sluice {

inline constexpr unsigned kLanesMax = 16;

struct LaneRow {
  std::uint64_t packets, bursts;
  unsigned depth;  ///< packets that wait
  int thread;      ///< that serves it; -1: none
};
struct LaneThreadRow {
  std::uint64_t busy_ns, waits;  ///< since the start; a wait is a sleep
};
struct LanesStatistics {
  unsigned threads = 0;
  std::vector<LaneRow> lanes;
  std::vector<LaneThreadRow> by_thread;
  std::vector<unsigned> cores;  ///< that threads are pinned to, in turn; none: anywhere
};

class CryptoLanes {
 public:
  /// Bytes of region that create() takes at most.
  static std::size_t bytes(unsigned lanes, unsigned workers) noexcept {
    return std::size_t{2} * lanes * workers * CryptoRing::bytes(kCryptoRing);
  }
  /// @param cores  of which each thread is pinned to one; none: wherever the system likes
  /// @param nodes  NUMA nodes with workers: lanes are theirs in turn, so that a thread serves one
  /// of
  ///   them where there are as many threads, or a multiple. Fewer lanes are everybody's.
  CryptoLanes(unsigned lanes, std::vector<unsigned> cores, unsigned nodes = 1);
  /// Rings for the next worker, of the region's memory for it. False: the region is full.
  bool connect(Region& region, const std::function<void()>& wake);
  /// Those that workers of a node use: a place among nodes with workers.
  std::span<CryptoLane* const> lanes(unsigned node) const noexcept {
    return of_node_[node % of_node_.size()];
  }
  const std::vector<unsigned>& cores() const noexcept { return cores_; }

  // ---- control thread ----
  /// At most so many threads serve from now on; those beyond leave between two bursts.
  void limit_threads(unsigned threads) noexcept;
  /// A thread that has ended without being told to. Another may take its number then.
  void bury(unsigned thread) noexcept;
  /// Ends all run(), and waits until nobody is inside: at most one burst.
  void stop() noexcept;
  /// Serves what waits on the calling thread, for a packet path that has stopped, or that has no
  /// threads. @return packets.
  unsigned serve_here() noexcept;
  LanesStatistics statistics() const;

  // ---- a lane's thread ----
  /// Serves for about 100 ms, so that the thread can be ended by others. Threads come in the order
  /// of their numbers.
  /// @return false: it is not wanted any more.
  bool run(unsigned thread) noexcept;

 private:
  struct alignas(kCacheLine) Thread {
    LaneBell bell;
    Counter busy_cycles, waits;
  };
  /// Threads that serve: those that came, as far as they are wanted.
  unsigned serving() const noexcept {
    return std::min(limit_.load(std::memory_order_acquire),
                    arrived_.load(std::memory_order_acquire));
  }
  bool arrive(unsigned thread) noexcept;
  void serve_while_wanted(unsigned thread) noexcept;
  unsigned serve_once(unsigned thread, unsigned threads) noexcept;
  bool has_work(unsigned thread, unsigned threads) const noexcept;
  void leave_all(unsigned thread) noexcept;
  void assign() noexcept;

  std::vector<std::unique_ptr<CryptoLane>> lanes_;
  std::vector<std::vector<CryptoLane*>> of_node_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<unsigned> cores_;
  std::atomic<unsigned> limit_{0};
  std::atomic<unsigned> arrived_{0};
  std::atomic<unsigned> inside_{0};
  std::atomic<bool> stopped_{false};
};

}  // namespace sluice
