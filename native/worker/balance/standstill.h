// All workers at rest between two bursts, for a change that concerns several of them: who owns a
// bucket of sessions. While they rest nothing is received, and nothing is on its way from one to
// another, so that the control thread may touch what is theirs. It lasts microseconds; what arrives
// meanwhile waits in the ports' queues.
//
// Control thread; each worker takes part in its own thread, as an errand.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "worker/worker.h"

namespace sluice {

class Standstill {
 public:
  /// Null: a worker has another errand, so later.
  /// @param threads  whether they run by themselves; else the caller's thread is theirs.
  /// @param now      for workers without threads.
  static std::unique_ptr<Standstill> begin(std::span<const std::unique_ptr<Worker>> workers,
                                           bool threads, Nanoseconds now);
  /// Has them go on.
  ~Standstill();
  Standstill(const Standstill&) = delete;
  Standstill& operator=(const Standstill&) = delete;

  /// Applies what changes of sessions wait, and takes packets to the end of their way.
  /// False: they have not come to an end.
  bool settle();

 private:
  enum class Order : std::uint32_t { Arrive, Take, Hand, Go };
  class Rest;
  Standstill(std::span<const std::unique_ptr<Worker>> workers, bool threads, Nanoseconds now);
  unsigned ask(Order order) noexcept;

  std::span<const std::unique_ptr<Worker>> workers_;
  const bool threads_;
  std::uint32_t number_ = 0;
  std::vector<std::unique_ptr<Rest>> rests_;
};

}  // namespace sluice
