// Two workers, each on a core of its own with a generator and a sink of its own (packet_loop.h):
// what the second one is worth, and what it costs when half of a worker's packets are the other's.
#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "base/topology.h"
#include "bench/bench.h"
#include "bench/path/packet_loop.h"

namespace {
using namespace sluice;
using bench::PacketLoop;

constexpr unsigned kWorkers = 2;
/// A ring of packets handed over holds those of both, should the host take one of the cores away.
constexpr unsigned kBuffers = 512;

/// Cycles of one core for a packet, both working for as long as it takes for so many rounds each.
/// Negative: there are not two cores.
double both(bool uplink, bool own_sessions, std::uint64_t rounds) {
  if (bench::core(1) == bench::kNoCore) return -1;
  bench::PacketPath& path = bench::PacketPath::of({.workers = kWorkers});
  std::array<std::optional<PacketLoop>, kWorkers> loops;
  for (unsigned w = 0; w < kWorkers; ++w) {
    loops[w].emplace(
        path,
        bench::LoopKind{
            .uplink = uplink, .worker = w, .own_sessions = own_sessions, .buffers = kBuffers});
  }
  std::atomic<unsigned> ready{0}, working{kWorkers};
  std::atomic<std::uint64_t> sent{0};
  std::array<std::atomic<std::uint64_t>, kWorkers> received{};
  const std::uint64_t dropped = path.dropped();
  std::array<double, kWorkers> cycles{};
  const auto work = [&](unsigned w) {
    pin_this_thread(bench::core(w));
    PacketLoop& loop = *loops[w];
    loop.gross(2000);
    ready.fetch_add(1);
    while (ready.load() != kWorkers) {
    }
    const std::uint64_t before = loop.received(), start = tsc();
    for (std::uint64_t r = 0; r < rounds; ++r) loop.turn();
    const std::uint64_t passed = std::max<std::uint64_t>(loop.received() - before, 1);
    cycles[w] = static_cast<double>(tsc() - start) / static_cast<double>(passed);
    sent.fetch_add(loop.sent());
    working.fetch_sub(1);
    // Nobody ends while packets of the other's may still be on their way through here.
    do {
      loop.turn_without_input();
      received[w].store(loop.received());
    } while (working.load() != 0 ||
             sent.load() != received[0].load() + received[1].load() + path.dropped() - dropped);
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  // A core that was taken away for long enough: no figure, and the loops lack buffers.
  if (path.dropped() != dropped) bench::end_for_losses(path, sent, received[0] + received[1]);
  return (cycles[0] + cycles[1]) / kWorkers;
}

double one(bool uplink, std::uint64_t rounds) {
  PacketLoop loop(bench::PacketPath::of({}), {.uplink = uplink});
  loop.gross(2000);
  return loop.gross(rounds);
}

bool add_all() {
  for (const bool uplink : {true, false}) {
    const std::string prefix =
        std::string("pipeline/") + (uplink ? "uplink" : "downlink") + "/64B/1k/full/";
    // In the same run: what two do for what one does.
    bench::Register(prefix + "2workers/times", "×", [=](const bench::Options& o) {
      const std::uint64_t rounds = o.rounds(60'000);
      const double two = both(uplink, true, rounds);
      return two < 0 ? two : kWorkers * one(uplink, rounds) / two;
    });
    bench::Register(prefix + "handed-half/added", "cycles/packet", [=](const bench::Options& o) {
      const std::uint64_t rounds = o.rounds(60'000);
      const double own = both(uplink, true, rounds);
      return own < 0 ? own : std::max(0.0, both(uplink, false, rounds) - own);
    });
  }
  return true;
}
const bool kAdded = add_all();

}  // namespace
