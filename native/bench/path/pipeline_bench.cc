// The pipeline from receive ring to transmit ring on one core, in TSC cycles a packet.
// Generator and sink (packet_loop.h) share the core; they are measured alone too, and what remains
// after subtracting them is printed as "/net". What each stage takes is "/stage/…".
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/topology.h"
#include "bench/bench.h"
#include "bench/path/packet_loop.h"
#include "bench/path/stage_clock.h"
#include "memory/region_place.h"

namespace {
using namespace sluice;
using bench::PacketLoop;

/// Captured: gross, while one session of them all is captured. Added: gross, less that of plain
/// packets with full rules in the same run.
enum class Figure { Gross, Net, Mpps, Captured, Added };

/// A capture of the first session, for as long as this lives.
class OneCapture {
 public:
  explicit OneCapture(Captures& captures) : captures_(captures) {
    auto started = captures_.start({.session = 0});
    number_ = started ? started.value() : 0;
    captures_.turn();
  }
  ~OneCapture() {
    captures_.stop(number_);
    while (captures_.read(number_).end == CaptureEnd::Running) captures_.turn();
  }

 private:
  Captures& captures_;
  unsigned number_;
};

std::uint64_t metered(const bench::PacketPath& path) {
  return path.datapath->statistics().dropped[static_cast<unsigned>(DropReason::MbrExceeded)];
}

/// Ends the bench when other packets were lost than the meter's half: it would be no figure.
void check_losses(const bench::PacketPath& path, const PacketLoop& loop, std::uint64_t before) {
  const std::uint64_t lost = loop.sent() - loop.received();
  if (!path.kind.metered_half && lost == 0) return;
  const double share = static_cast<double>(lost) / static_cast<double>(loop.sent());
  const bool by_meter = metered(path) - before == lost;
  if (path.kind.metered_half && by_meter && std::abs(share - 0.5) < 0.05) return;
  bench::end_for_losses(path, loop.sent(), loop.received());
}

double run(const bench::PathKind& kind, const bench::LoopKind& packets, Figure figure,
           const bench::Options& options) {
  if (kind.sessions > (options.quick ? 100'000u : options.full ? ~0u : 1'000'000u)) {
    return bench::kLeftOut;
  }
  bench::PacketPath& path = bench::PacketPath::of(kind);
  std::unique_ptr<OneCapture> capture;
  if (figure == Figure::Captured) {
    capture = std::make_unique<OneCapture>(path.datapath->captures());
  }
  bench::LoopKind own = packets;
  own.loses = kind.metered_half;
  const std::uint64_t dropped = metered(path);
  PacketLoop loop(path, own);
  loop.gross(kind.metered_half ? 20'000 : 2000);  // warm, and what the meter gives at first gone
  const std::uint64_t rounds = options.rounds(60'000);
  const double gross = loop.gross(rounds);
  check_losses(path, loop, dropped);
  if (figure == Figure::Gross || figure == Figure::Captured) return gross;
  if (figure == Figure::Added) {
    PacketLoop plain(bench::PacketPath::of({.sessions = kind.sessions}), packets);
    plain.gross(2000);
    // Below zero it is the noise of the machine.
    return std::max(0.0, gross - plain.gross(rounds));
  }
  if (figure == Figure::Mpps) return static_cast<double>(Clock::machine().tsc_hz()) / gross / 1e6;
  return gross - loop.alone(rounds);
}

/// Of the worker's stages, with a look at the clock behind each; Receive has the ports, the
/// generator and the sink in it.
double run_stage(const bench::PathKind& kind, bool uplink, Stage stage,
                 const bench::Options& options) {
  bench::PacketPath& path = bench::PacketPath::of(kind);
  PacketLoop loop(path, {.uplink = uplink});
  loop.gross(2000);
  const std::uint64_t before = loop.sent();
  Pipeline& pipeline = path.datapath->workers()[0]->pipeline();
  bench::StageClock clock;
  pipeline.observe(&clock);
  loop.gross(options.rounds(60'000));
  pipeline.observe(nullptr);
  return clock.cycles(stage, loop.sent() - before);
}

void add_stages(const std::string& row, const bench::PathKind& kind, bool uplink) {
  for (const auto& [label, stage] : {std::pair{"around", Stage::Receive},
                                     {"parse", Stage::Parse},
                                     {"lookup", Stage::Lookup},
                                     {"match", Stage::Match},
                                     {"forward", Stage::Finish}}) {
    bench::Register(
        row + "/stage/" + label, "cycles/packet",
        [=, stage = stage](const bench::Options& o) { return run_stage(kind, uplink, stage, o); });
  }
}

/// A core of another NUMA node than the bench's own, also where this process was confined to some;
/// kNoCore, and a word on standard error: there is none.
unsigned core_of_another_node() {
  for (unsigned node = 0;; ++node) {
    const std::string path = "/sys/devices/system/node/node" + std::to_string(node) + "/cpulist";
    auto cores = parse_core_list(read_line(path.c_str()));
    if (!cores || cores.value().empty()) break;
    const auto& there = cores.value();
    if (std::count(there.begin(), there.end(), bench::core(0)) == 0) return there.front();
  }
  std::fputs("one NUMA node: no placement is wrong on this machine\n", stderr);
  return bench::kNoCore;
}

/// What a packet costs more by a worker on another node than the memory is on, which was touched
/// by the bench's own core.
double run_far(std::uint32_t sessions, bool uplink, const bench::Options& options) {
  if (options.quick && sessions > 100'000) return bench::kLeftOut;
  const unsigned far = core_of_another_node();
  if (far == bench::kNoCore) return -1;
  PacketLoop loop(bench::PacketPath::of({.sessions = sessions}), {.uplink = uplink});
  loop.gross(2000);
  const double near = loop.gross(options.rounds(60'000));
  if (!pin_this_thread(far)) return -1;
  loop.gross(2000);
  const double gross = loop.gross(options.rounds(60'000));
  (void)pin_this_thread(bench::core(0));
  return std::max(0.0, gross - near);
}

/// One of 1400 bytes, four of 576, seven of 64 (the UE's packets), mixed.
const std::vector<unsigned> kImix = {64, 576, 64, 64, 576, 64, 1400, 64, 576, 64, 576, 64};

/// Rows of what is more than plain: IPv6, many PDRs, a meter that drops, a mix of sizes.
void add_variants(bool uplink) {
  const std::string prefix =
      std::string("pipeline/") + (uplink ? "uplink" : "downlink") + "/64B/1k/full/";
  const auto added = [&](const char* name, const bench::PathKind& kind) {
    bench::Register(prefix + name + "/added", "cycles/packet", [=](const bench::Options& o) {
      return run(kind, {.uplink = uplink}, Figure::Added, o);
    });
  };
  added("outer-v6", {.outer_v6 = true});
  added("inner-v6", {.inner_v6 = true});
  added("both-v6", {.outer_v6 = true, .inner_v6 = true});
  for (const unsigned pdrs : {8u, 16u, 32u, 64u}) {
    added(("pdrs" + std::to_string(pdrs)).c_str(), {.pdrs = pdrs});
  }
  added("metered-half", {.metered_half = true});
  bench::Register(std::string("pipeline/") + (uplink ? "uplink" : "downlink") + "/imix/1k/full",
                  "cycles/packet", [=](const bench::Options& o) {
                    return run({}, {.uplink = uplink, .bytes = kImix}, Figure::Gross, o);
                  });
}

bool add_all() {
  for (const bool uplink : {true, false}) {
    add_variants(uplink);
    for (const unsigned bytes : {64u, 512u, 1400u}) {
      for (const auto& [label, sessions] : {std::pair{"1", 1u},
                                            {"1k", 1000u},
                                            {"100k", 100'000u},
                                            {"1M", 1'000'000u},
                                            {"4M", 4'000'000u}}) {
        for (const bool full : {false, true}) {
          const std::string name = std::string("pipeline/") + (uplink ? "uplink/" : "downlink/") +
                                   std::to_string(bytes) + "B/" + label +
                                   (full ? "/full" : "/bare");
          const auto with = [=, sessions = sessions](Figure figure) {
            return [=](const bench::Options& o) {
              return run({.sessions = sessions, .full = full}, {.uplink = uplink, .bytes = {bytes}},
                         figure, o);
            };
          };
          bench::Register(name, "cycles/packet", with(Figure::Gross));
          bench::Register(name + "/net", "cycles/packet", with(Figure::Net));
          bench::Register(name + "/mpps", "Mpps", with(Figure::Mpps));
          if (bytes == 64 && full && (sessions == 1000 || sessions == 1'000'000)) {
            add_stages(name, {.sessions = sessions}, uplink);
            bench::Register(name + "/far-node/added", "cycles/packet",
                            [=, sessions = sessions](const bench::Options& o) {
                              return run_far(sessions, uplink, o);
                            });
          }
          if (sessions != 1000 || !full) continue;
          bench::Register(name + "/captured", "cycles/packet", with(Figure::Captured));
          // On top of plain forwarding in the same run, in the worker's own thread.
          if (!uplink) continue;
          bench::Register("pipeline/uplink/" + std::to_string(bytes) + "B/1k/esp-gcm/inline",
                          "cycles/packet", [=](const bench::Options& o) {
                            return run({.is_protected = true}, {.bytes = {bytes}}, Figure::Added,
                                       o);
                          });
        }
      }
    }
  }
  return true;
}
const bool kAdded = add_all();

}  // namespace
