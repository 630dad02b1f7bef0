// How long a packet is on its way, at one packet each 10 µs.
//   through/{afxdp|afxdp-busy|kernel}/{uplink|downlink}/64B/100kpps/{p50|p99|p999}   in µs
//   …/100kpps/beyond/{2|5|10|20|50|100|1000}us   of a million packets, those that took longer
//   through/nothing/100kpps/…   how late the clock alone is: no packet can be sooner
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/through/far_ends.h"
#include "bench/through/measure.h"

namespace bench {
namespace {
using namespace sluice;

constexpr Nanoseconds kInterval = 10'000;
constexpr Nanoseconds kPatience = 100'000'000;  ///< then what is missing is lost
constexpr unsigned kWindow = 512;               ///< packets that may still be on their way
constexpr std::uint64_t kTimedPackets = 100'000;

/// How long each packet of a run was on its way, in cycles. None: there was no run.
using Times = std::vector<std::uint64_t>;

/// What so many of a thousand stay below, in µs.
double percentile(Times& times, double of_a_thousand) {
  const auto at =
      times.begin() + static_cast<long>(static_cast<double>(times.size()) * of_a_thousand / 1000);
  std::nth_element(times.begin(), at, times.end());
  return static_cast<double>(Clock::machine().cycles_to_ns(*at)) / 1e3;
}

/// How many of a million take longer than so many µs.
double beyond(Times& times, double us) {
  const auto longer = std::count_if(times.begin(), times.end(), [us](std::uint64_t cycles) {
    return static_cast<double>(Clock::machine().cycles_to_ns(cycles)) > us * 1e3;
  });
  return static_cast<double>(longer) * 1e6 / static_cast<double>(times.size());
}

struct LatencyFigure {
  const char* label;
  const char* unit;
  double (*of)(Times&, double);
  double asked;
};
constexpr LatencyFigure kLatencyFigures[] = {
    {"p50", "us", percentile, 500},       {"p99", "us", percentile, 990},
    {"p999", "us", percentile, 999},      {"beyond/2us", "ppm", beyond, 2},
    {"beyond/5us", "ppm", beyond, 5},     {"beyond/10us", "ppm", beyond, 10},
    {"beyond/20us", "ppm", beyond, 20},   {"beyond/50us", "ppm", beyond, 50},
    {"beyond/100us", "ppm", beyond, 100}, {"beyond/1000us", "ppm", beyond, 1000},
};

/// Rows of one kind of run: all are of the same runs, so that together they are its histogram.
template <class Measure>
void add_latencies(const std::string& row, const Measure& measure) {
  const auto runs = std::make_shared<std::vector<Times>>();
  for (const LatencyFigure& figure : kLatencyFigures) {
    Register(row + "/100kpps/" + figure.label, figure.unit,
             [=, &figure, run = std::size_t{0}](const Options& o) mutable {
               if (run == runs->size()) runs->push_back(measure(o.rounds(kTimedPackets)));
               Times& times = (*runs)[run++];
               return times.empty() ? -1 : figure.of(times, figure.asked);
             });
  }
}

/// The time that packets take, at one packet each 10 µs.
Times latency_of(FarEnds& ends, std::uint64_t wanted) {
  const Clock& clock = Clock::machine();
  Times times;
  times.reserve(wanted + kWindow);
  Nanoseconds due = clock.now();
  const Nanoseconds end = due + wanted * kInterval;
  for (Nanoseconds now = due; now < end || ends.on_the_way() != 0; now = clock.now()) {
    if (now >= due && now < end) {
      ends.send(1);
      due += kInterval;
    }
    ends.receive(&times);
    if (now > end + kPatience) break;
  }
  if (times.size() < wanted / 2) times.clear();
  return times;
}

/// How late a thread is that waits for the time to send, and sends nothing; the other core is as
/// busy as with packets. Where a hypervisor takes a core away, this is what it costs.
Times lateness(std::uint64_t wanted) {
  if (core(1) == kNoCore) return {};
  const Clock& clock = Clock::machine();
  Times late;
  std::atomic<bool> ends_now{false};
  std::thread other([&] {
    pin_this_thread(core(0));
    while (!ends_now.load(std::memory_order_relaxed)) keep(clock.now());
  });
  std::thread waiting([&] {
    pin_this_thread(core(1));
    late.reserve(wanted);
    for (Nanoseconds due = clock.now() + kInterval; late.size() < wanted; due += kInterval) {
      Nanoseconds now = clock.now();
      while (now < due) now = clock.now();
      late.push_back((now - due) * clock.tsc_hz() / 1'000'000'000);
    }
  });
  waiting.join();
  ends_now.store(true, std::memory_order_relaxed);
  other.join();
  return late;
}

bool add(const char* name, Ports ports) {
  for (const bool uplink : {true, false}) {
    const ThroughCase wanted{ports, uplink, 64};
    const std::string row =
        std::string("through/") + name + (uplink ? "/uplink/64B" : "/downlink/64B");
    add_latencies(row, [wanted](std::uint64_t packets) {
      return through<FarEnds>(wanted, Times{},
                              [packets](FarEnds& ends) { return latency_of(ends, packets); });
    });
  }
  return true;
}

bool add_clock() {
  add_latencies("through/nothing", lateness);
  return true;
}

const bool kClock = add_clock();
const bool kAfxdp = add("afxdp", Ports::Afxdp);
const bool kAfxdpBusy = add("afxdp-busy", Ports::AfxdpBusy);
const bool kKernel = add("kernel", Ports::Kernel);

}  // namespace
}  // namespace bench
