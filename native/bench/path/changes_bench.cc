// Sessions change under full load: the worker has the first core, and a control thread on the
// second gives 20,000 times a second a session another tunnel to its gNB.
//   pipeline/{uplink|downlink}/64B/1k/full/changes20k/throughput   % of what it is without
// No packet may be lost, and none may leave by a tunnel that its session has not had.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/topology.h"
#include "bench/bench.h"
#include "bench/path/packet_loop.h"

namespace {
using namespace sluice;
using bench::PacketLoop;
using bench::PacketPath;

constexpr std::uint64_t kChangesASecond = 20'000;
constexpr unsigned kTurns = 5;  ///< with changes and without
constexpr unsigned kTunnelHeaders = 44, kTeidAt = 32, kUeAt = 16;

/// Changes sessions in turn, all to one tunnel and then all to the other, for as long as it lives.
class Changes {
 public:
  explicit Changes(PacketPath& path)
      : thread_([this, &path] {
          pin_this_thread(bench::core(1));
          const Clock& clock = Clock::machine();
          const Nanoseconds start = clock.now();
          while (!end_.load(std::memory_order_relaxed)) {
            const auto due = (clock.now() - start) * kChangesASecond / 1'000'000'000;
            for (; made_ < due; ++made_) {
              const auto session = static_cast<std::uint32_t>(made_ % path.keys.size());
              path.change(session, made_ / path.keys.size() % 2 == 0);
            }
            // A core that spins may slow the other one down, which is not what is asked.
            std::this_thread::sleep_for(std::chrono::microseconds(200));
          }
        }) {}
  Changes(const Changes&) = delete;
  Changes& operator=(const Changes&) = delete;
  ~Changes() {
    end_.store(true, std::memory_order_relaxed);
    thread_.join();
  }

 private:
  std::uint64_t made_ = 0;  // the thread's
  std::atomic<bool> end_{false};
  std::thread thread_;
};

/// Its own session's tunnel, the one or the other.
bool is_by_own_tunnel(const PacketPath& path, const Packet& packet) {
  const std::byte* const data = packet.data();
  const std::uint32_t session = wire::load32(data + kTunnelHeaders + kUeAt) - bench::kUes;
  if (session >= path.keys.size()) return false;
  const std::uint32_t teid = wire::load32(data + kTeidAt);
  const PacketPath::Key& key = path.keys[session];
  return teid == PacketPath::gnb_teid(key, false) || teid == PacketPath::gnb_teid(key, true);
}

double throughput(bool uplink, const bench::Options& options) {
  if (bench::core(1) == bench::kNoCore) return -1;
  pin_this_thread(bench::core(0));
  PacketPath& path = PacketPath::of({});
  const std::uint64_t rounds = options.rounds(100'000);
  PacketLoop loop(path, {.uplink = uplink});
  loop.gross(2000);
  double without = 0, with = 0;
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    without += loop.gross(rounds);
    Changes changes(path);
    with += loop.gross(rounds);
  }
  if (loop.sent() != loop.received()) bench::end_for_losses(path, loop.sent(), loop.received());
  if (!uplink) {
    PacketLoop checked(path, {.uplink = false, .accepts = [&](const Packet& packet) {
                                return is_by_own_tunnel(path, packet);
                              }});
    Changes changes(path);
    checked.gross(rounds);
    if (checked.sent() != checked.received() || checked.refused() != 0) {
      std::fprintf(stderr, "bench: %llu by a wrong tunnel\n",
                   static_cast<unsigned long long>(checked.refused()));
      bench::end_for_losses(path, checked.sent(), checked.received());
    }
  }
  return 100 * without / with;
}

bool add_all() {
  for (const bool uplink : {true, false}) {
    bench::Register(std::string("pipeline/") + (uplink ? "uplink" : "downlink") +
                        "/64B/1k/full/changes20k/throughput",
                    "%", [=](const bench::Options& o) { return throughput(uplink, o); });
  }
  return true;
}
const bool kAdded = add_all();

}  // namespace
