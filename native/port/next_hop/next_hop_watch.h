// Follows the kernel's routes and neighbours of one device, and brings each change to the
// workers: a thread that mostly sleeps makes a new table, each worker fetches it when it sends.
// Threads: made and ended on the control thread; a box belongs to one worker.
#pragma once
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "port/next_hop/kernel_tables.h"

namespace sluice {

/// Where a worker finds the newest table. Without locks: the watch never waits for a worker.
class NextHopBox {
 public:
  NextHopBox() = default;
  ~NextHopBox() { delete letter_.load(std::memory_order_relaxed); }
  NextHopBox(const NextHopBox&) = delete;
  NextHopBox& operator=(const NextHopBox&) = delete;

  /// The worker. What an earlier call returned ends here.
  const NextHops& newest() noexcept {
    // Relaxed: only whether there is one; the exchange pairs with put().
    if (letter_.load(std::memory_order_relaxed) != nullptr) [[unlikely]]
      fetch();
    return *current_;
  }
  /// The watch. A table that was not fetched is replaced.
  void put(std::shared_ptr<const NextHops> hops);

 private:
  void fetch() noexcept;

  std::atomic<std::shared_ptr<const NextHops>*> letter_{nullptr};
  std::shared_ptr<const NextHops> current_ = std::make_shared<NextHops>();
};

class NextHopWatch {
 public:
  /// Fills the boxes before it returns. Errors: no netlink socket, no thread.
  static Result<std::unique_ptr<NextHopWatch>> start(unsigned interface, unsigned boxes);
  /// No worker uses its box any more.
  ~NextHopWatch();
  NextHopWatch(const NextHopWatch&) = delete;
  NextHopWatch& operator=(const NextHopWatch&) = delete;

  NextHopBox& box(unsigned worker) noexcept { return *boxes_[worker]; }
  /// As they were at start().
  const LinkState& link() const noexcept { return link_; }

 private:
  NextHopWatch() = default;
  bool publish();
  void confirm_used();
  void run();

  std::unique_ptr<KernelTables> kernel_;
  std::shared_ptr<NextHops> newest_;
  std::vector<std::unique_ptr<NextHopBox>> boxes_;
  LinkState link_;
  int stop_ = -1;
  std::thread thread_;
};

}  // namespace sluice
