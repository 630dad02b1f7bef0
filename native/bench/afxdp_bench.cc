// Two afxdp ports at the ends of a veth pair, in a network namespace of the bench's own, and
// packets that go round between them: what one core gets through the kernel both ways, link
// headers and next hops included. The same loop as testpmd's io mode over two net_af_xdp devices.
#include <net/if.h>
#include <sched.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/topology.h"
#include "bench/bench.h"
#include "bench/path/own_ports.h"
#include "wire/bytes.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

namespace {
using sluice::Packet;

constexpr std::uint32_t kPackets = 8192;
constexpr unsigned kBurst = 32;
constexpr unsigned kCirculating = 2 * kBurst;  // testpmd's --tx-first: a burst on each side
constexpr unsigned kEnds = bench::OwnPorts::kPorts;
constexpr std::uint8_t kPools[kEnds] = {60, 61};  // 10.60.0.0/16 and 10.61.0.0/16

bool run(const std::string& command) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the only thread that runs commands
  return std::system((command + " 2>/dev/null").c_str()) == 0;
}

/// A veth pair whose ends know each other. False: not here.
bool make_wire() {
  if (::unshare(CLONE_NEWNET) != 0 || !run("ip link add end0 type veth peer name end1")) {
    return false;
  }
  for (unsigned end = 0; end < kEnds; ++end) {
    const std::string own = std::to_string(end), other = std::to_string(1 - end);
    const std::string device = "end" + own;
    const std::string far = "10." + std::to_string(kPools[1 - end]) + ".0.0/16";
    if (!run("ip link set " + device + " address 02:00:00:00:00:0" + own + " up") ||
        !run("ip address add 192.0.2." + own + "/31 dev " + device) ||
        !run("ip neigh add 198.51.100." + other + " lladdr 02:00:00:00:00:0" + other + " dev " +
             device) ||
        !run("ip route add " + far + " via 198.51.100." + other + " dev " + device + " onlink")) {
      return false;
    }
  }
  return true;
}

struct Loop {
  bench::OwnPorts ports;

  bool open() {
    std::array<sluice::PortConfig, kEnds> configs;
    for (unsigned end = 0; end < kEnds; ++end) {
      sluice::PortConfig& config = configs[end];
      config.driver = "afxdp";
      config.role = sluice::PortRole::Core;
      config.device = "end" + std::to_string(end);
      config.mtu = 0;
      config.ue_pools = {{sluice::IpAddress{{10, kPools[end]}}, 16}};
    }
    return ports.open(configs, kPackets);
  }

  /// Puts the packets on their way, half of them at each end.
  void start(unsigned bytes) {
    for (unsigned end = 0; end < kEnds; ++end) {
      Packet* packets[kCirculating / kEnds];
      ports.cache().allocate(packets, kCirculating / kEnds);
      for (Packet* packet : packets) {
        *packet = Packet{};
        packet->offset = sluice::kCoreDataOffset;
        packet->length = static_cast<std::uint16_t>(bytes);
        std::memset(packet->data(), 0, bytes);
        sluice::wire::write_ipv4(packet->data(),
                                 {.source = 0x0a0a0a0a,
                                  .destination = 0x0a000001U | unsigned{kPools[1 - end]} << 16,
                                  .total_length = packet->length});
      }
      ports.send(end, packets, kCirculating / kEnds);
    }
  }

  /// One turn of both ends. @return packets that came.
  unsigned turn() {
    unsigned total = 0;
    for (unsigned end = 0; end < kEnds; ++end) {
      Packet* packets[kBurst];
      const unsigned n = ports.queue(end).rx(packets, kBurst);
      for (unsigned i = 0; i < n; ++i) {
        packets[i]->data()[17] = std::byte{kPools[1 - end]};  // to where it came from
      }
      if (n != 0) ports.send(end, packets, n);
      total += n;
    }
    return total;
  }
};

/// Packets that one core receives and sends in a second, in thousands.
double circulate(const bench::Options& options, unsigned bytes) {
  double rate = -1;
  // A thread of its own, because the namespace is a thread's.
  std::thread thread([&] {
    if (bench::core(0) != bench::kNoCore) sluice::pin_this_thread(bench::core(0));
    Loop loop;
    if (!make_wire() || !loop.open()) return;
    loop.start(bytes);
    const std::uint64_t wanted = options.rounds(2'000'000);
    std::uint64_t done = 0;
    unsigned idle = 0;
    const std::uint64_t start = sluice::tsc();
    while (done < wanted && idle < 1'000'000) {
      const unsigned n = loop.turn();
      idle = n == 0 ? idle + 1 : 0;
      done += n;
    }
    const auto elapsed = sluice::Clock::machine().cycles_to_ns(sluice::tsc() - start);
    loop.ports.close();
    if (done >= wanted) rate = static_cast<double>(done) * 1e6 / static_cast<double>(elapsed);
  });
  thread.join();
  return rate;
}

const bench::Register kSmall("port/afxdp/loop/64B", "kpps",
                             [](const bench::Options& o) { return circulate(o, 64); });
const bench::Register kLarge("port/afxdp/loop/1400B", "kpps",
                             [](const bench::Options& o) { return circulate(o, 1400); });
}  // namespace
