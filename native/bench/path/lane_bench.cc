// Packets that a crypto lane on another core seals, with as many on their way as it can take: what
// that adds to plain forwarding in the same run. Wall time, and ("/worker") the turns of the worker
// that had packets, with what makes and collects them.
#include <algorithm>
#include <string>

#include "bench/bench.h"
#include "bench/path/packet_loop.h"

namespace {
using namespace sluice;
using bench::PacketLoop;
using bench::PacketPath;

/// Packets with the lane, at most: half of what its ring has room for.
constexpr unsigned kOutside = kCryptoRing / 2;

double run(unsigned bytes, bool worker_alone, const bench::Options& options) {
  PacketPath& path = PacketPath::of({.is_protected = true, .lanes = 1});
  Worker& worker = *path.datapath->workers()[0];
  PacketLoop loop(path, {.bytes = {bytes}});
  const auto rounds_of = [&](std::uint64_t rounds) {
    for (std::uint64_t r = 0; r < rounds; ++r) {
      loop.turn();
      while (worker.pipeline().held() > kOutside) loop.turn_without_input();
    }
    while (worker.pipeline().held() != 0) loop.turn_without_input();
  };
  rounds_of(2000);  // warm
  const std::uint64_t rounds = options.rounds(60'000);
  const std::uint64_t busy = worker.counters().busy_cycles, start = tsc();
  rounds_of(rounds);
  const std::uint64_t spent = worker_alone ? worker.counters().busy_cycles - busy : tsc() - start;
  if (loop.sent() != loop.received()) {
    bench::end_for_losses(path, loop.sent(), loop.received());
  }
  PacketLoop plain(PacketPath::of({}), {.bytes = {bytes}});
  plain.gross(2000);
  const auto packets = static_cast<double>(rounds * PacketLoop::kBurst);
  return std::max(0.0, static_cast<double>(spent) / packets - plain.gross(rounds));
}

bool add_all() {
  for (const unsigned bytes : {64u, 1400u}) {
    const std::string name = "pipeline/uplink/" + std::to_string(bytes) + "B/1k/esp-gcm/lane";
    for (const bool worker_alone : {false, true}) {
      bench::Register(name + (worker_alone ? "/worker" : ""), "cycles/packet",
                      [=](const bench::Options& o) { return run(bytes, worker_alone, o); });
    }
  }
  return true;
}
const bool kAdded = add_all();

}  // namespace
