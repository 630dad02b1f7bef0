// All the way through: far end → N3 → node → N6 → far end and back, over veth pairs in a network
// namespace of the bench's own. The node's worker has the first core, the far ends have the second.
// A thousand sessions with full rules, drawn at random; as many packets as get through.
//   through/{afxdp|kernel}/{uplink|downlink}/{64|1400}B   "kernel" is socket and tun
//   …/simple              sessions of one PDR a direction, without filters
//   …/simple/threads      and the devices' drivers poll in threads, on the cores of their ends
//   …/simple/driver       and with forwardInDriver
//   …/io                  the same ports without a UPF between: what they cost alone
//   through/kernel/{uplink|downlink}/1400B/gso16[/io]     sixteen TCP flows by the super-frame
#include <cstdio>
#include <string>

#include "bench/through/far_ends.h"
#include "bench/through/measure.h"
#include "bench/through/super_frames.h"

namespace bench {
namespace {

constexpr std::uint64_t kManyPackets = 1'000'000;

template <class Ends>
double rate_through(const ThroughCase& wanted, const Options& options) {
  return through<Ends>(wanted, -1.0,
                       [&](Ends& ends) { return rate_of(ends, options.rounds(kManyPackets)); });
}

/// What left the node has to have come to the other end, nearly all of it.
double rate_by_super_frames(const ThroughCase& wanted, const Options& options) {
  return through<SuperFrames>(wanted, -1.0, [&](SuperFrames& ends) {
    const double rate = rate_of(ends, options.rounds(kManyPackets));
    constexpr unsigned kHeaders = 40;  // of each packet, where they are joined
    const std::uint64_t least = ends.received() * (wanted.bytes - kHeaders) / 10 * 9;
    if (ends.arrived_bytes() >= least) return rate;
    std::fprintf(stderr, "bench: %llu packets left, %llu bytes came\n",
                 static_cast<unsigned long long>(ends.received()),
                 static_cast<unsigned long long>(ends.arrived_bytes()));
    return -1.0;
  });
}

/// What the driver hook has to be held against are the same sessions without it.
void add_simple(const std::string& row, ThroughCase wanted) {
  wanted.is_simple = true;
  const auto measure = [](const ThroughCase& one) {
    return [one](const Options& o) { return rate_through<FarEnds>(one, o); };
  };
  Register(row + "/simple", "kpps", measure(wanted));
  wanted.in_threads = true;
  Register(row + "/simple/threads", "kpps", measure(wanted));
  wanted.ports = Ports::Driver;
  Register(row + "/simple/driver", "kpps", measure(wanted));
}

bool add(const char* name, Ports ports) {
  for (const bool uplink : {true, false}) {
    for (const unsigned bytes : {64U, 1400U}) {
      const std::string row = std::string("through/") + name +
                              (uplink ? "/uplink/" : "/downlink/") + std::to_string(bytes) + "B";
      for (const bool io_only : {false, true}) {
        const ThroughCase wanted{ports, uplink, bytes, io_only};
        const std::string what = io_only ? "/io" : "";
        Register(row + what, "kpps",
                 [wanted](const Options& o) { return rate_through<FarEnds>(wanted, o); });
        if (ports == Ports::Afxdp && !io_only) add_simple(row, wanted);
        if (ports != Ports::Kernel || bytes != 1400) continue;
        Register(row + "/gso16" + what, "kpps",
                 [wanted](const Options& o) { return rate_by_super_frames(wanted, o); });
      }
    }
  }
  return true;
}

const bool kAfxdp = add("afxdp", Ports::Afxdp);
const bool kKernel = add("kernel", Ports::Kernel);

}  // namespace
}  // namespace bench
