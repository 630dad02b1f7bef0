// How the rows that go all the way through are run: the node on the first core, the far ends on
// the second, as many packets as get through with a bounded number on their way.
#pragma once
#include <sched.h>

#include <atomic>
#include <thread>

#include "base/clock.h"
#include "base/topology.h"
#include "bench/bench.h"
#include "bench/through/node.h"

namespace bench {

/// Has a thread of its own, because the namespace is a thread's.
/// @param Ends     FarEnds or SuperFrames
/// @param none     what is returned when this can't run here.
/// @param measure  takes the Ends.
template <class Ends, class Result, class Measure>
Result through(const ThroughCase& wanted, Result none, const Measure& measure) {
  if (core(1) == kNoCore) return none;
  Result result = none;
  std::thread thread([&] {
    if (!make_wires()) return;
    const auto node = Node::open(wanted);
    if (!node) return;
    std::atomic<bool> ends_now{false};
    std::thread worker([&] {
      sluice::pin_this_thread(core(0));
      // Relaxed: nothing else is handed over by it.
      while (!ends_now.load(std::memory_order_relaxed)) {
        node->turn();
        if (wanted.in_threads) sched_yield();  // those of its devices have the same core
      }
    });
    sluice::pin_this_thread(core(1));
    Ends ends(wanted, *node);
    if (ends.open() && (!wanted.in_threads || poll_in_threads(core(0), core(1)))) {
      result = measure(ends);
    }
    ends_now.store(true, std::memory_order_relaxed);
    worker.join();
    node->stop();
  });
  thread.join();
  return result;
}

/// Packets that get through in a second, in thousands.
template <class Ends>
double rate_of(Ends& ends, std::uint64_t wanted) {
  constexpr unsigned kWindow = 512;                       // packets on their way at most
  constexpr sluice::Nanoseconds kPatience = 100'000'000;  // then what is missing is lost
  const sluice::Clock& clock = sluice::Clock::machine();
  std::uint64_t start = 0;
  sluice::Nanoseconds last = clock.now();
  // The first tenth finds neighbours, caches and frequencies.
  for (const std::uint64_t warm = wanted / 10; ends.received() < wanted + warm;) {
    if (ends.on_the_way() + Ends::kStep <= kWindow) ends.send();
    const sluice::Nanoseconds now = clock.now();
    if (ends.receive() != 0) {
      last = now;
    } else if (now - last > kPatience) {
      if (ends.received() == 0) return -1;
      ends.forget_lost();
      last = now;
    }
    if (start == 0 && ends.received() >= warm) {
      start = now;
      wanted = ends.received() - warm + wanted;
    }
  }
  return static_cast<double>(wanted) * 1e6 / static_cast<double>(clock.now() - start);
}

}  // namespace bench
