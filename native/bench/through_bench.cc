// All the way through: far end → N3 → worker → N6 → far end and back, over veth pairs in a network
// namespace of the bench's own. The worker has the first core, the far ends have the second.
// A thousand sessions with full rules, drawn at random.
//   through/{afxdp|kernel}/{uplink|downlink}/{64|1400}B          as many as get through
//   through/{afxdp|afxdp-busy|kernel}/…/64B/100kpps/{p50|p99|p999}   one way, in µs
//   …/100kpps/beyond/{2|5|10|20|50|100|1000}us   of a million packets, those that took longer
//   through/nothing/100kpps/…   how late the clock alone is: no packet can be sooner
// "kernel" is socket and tun. The far ends are afxdp ports in either case.
#include <net/if.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/topology.h"
#include "bench/bench.h"
#include "bench/path/packet_path.h"
#include "memory/packet_pool.h"
#include "port/port.h"
#include "wire/bytes.h"

namespace {
using namespace sluice;

enum class Ports : std::uint8_t { Afxdp, AfxdpBusy, Kernel };

struct Case {
  Ports ports;
  bool uplink;
  unsigned bytes;  ///< of the UE's packet
};

constexpr std::uint32_t kSessions = 1000;
constexpr std::uint32_t kPackets = 8192;
constexpr unsigned kBurst = 32;
constexpr unsigned kWindow = 512;  ///< packets on their way at most
constexpr std::size_t kUplinkInner = 44, kHeaders = 28;
constexpr Nanoseconds kPatience = 100'000'000;  ///< then what is missing is lost
constexpr Nanoseconds kInterval = 10'000;       ///< between two packets of 100 kpps
constexpr std::uint64_t kManyPackets = 1'000'000, kTimedPackets = 100'000;

bool run(const std::string& command) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the only thread that runs commands
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

/// "n3" and "n6" are the node's, "ran" and "dn" the far ends; everybody knows everybody.
bool make_wires() {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  const char* const commands[] = {
      "ip link set lo up",
      "ip link add n3 type veth peer name ran",
      "ip link add n6 type veth peer name dn",
      "ip link set n3 address 02:00:00:00:00:03 mtu 1600 up",
      "ip link set ran address 02:00:00:00:00:13 mtu 1600 up",
      "ip link set n6 address 02:00:00:00:00:06 up",
      "ip link set dn address 02:00:00:00:00:16 up",
      "ip address add 10.0.0.1/24 dev n3",
      "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:13 dev n3",
      "ip address add 198.51.100.1/24 dev n6",
      "ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:16 dev n6",
      "ip route add 203.0.113.0/24 via 198.51.100.2 dev n6",
      // The far ends' own view, by their devices.
      "ip route add 10.0.0.1/32 dev ran",
      "ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:03 dev ran",
      "ip neigh add 192.0.2.6 lladdr 02:00:00:00:00:06 dev dn",
      "ip route add 11.0.0.0/8 via 192.0.2.6 dev dn onlink",
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0",
      "sysctl -qw net.ipv4.conf.n3.rp_filter=0 net.ipv4.conf.n6.rp_filter=0",
  };
  return std::ranges::all_of(commands, [](const char* command) { return run(command); });
}

PortConfig afxdp_port(const char* device) {
  PortConfig config;
  config.driver = "afxdp";
  config.device = device;
  config.mtu = 0;
  return config;
}

IpAddress ipv4(std::uint32_t address) {
  IpAddress result;
  wire::store32(reinterpret_cast<std::byte*>(result.bytes.data()), address);
  return result;
}

std::unique_ptr<bench::PacketPath> open_node(Ports ports) {
  PortConfig n3 = afxdp_port("n3"), n6 = afxdp_port("n6");
  n3.busy_poll = n6.busy_poll = ports == Ports::AfxdpBusy;
  if (ports == Ports::Kernel) {
    n3.driver = "socket";
    n6.driver = "tun";
    n6.device = "tun0";
    n6.mtu = 1500;
  }
  n6.ue_pools = {{ipv4(0x0b000000), 16}};
  return bench::PacketPath::through(kSessions, std::move(n3), std::move(n6));
}

/// The far ends: one sends, the other receives.
class FarEnds {
 public:
  FarEnds(const Case& wanted, const bench::PacketPath& path)
      : case_(wanted),
        path_(path),
        template_(bench::packet_template(path.kind, wanted.uplink, wanted.bytes)) {}

  bool open() {
    RegionOptions options;
    options.bytes = PacketPool::bytes(kPackets, 1) + 65536;
    auto made = Region::create(options);
    if (!made) return false;
    region_ = std::move(made).value();
    auto pooled = PacketPool::create(*region_, kPackets, 1);
    if (!pooled) return false;
    pool_ = std::move(pooled).value();
    PortConfig ran = afxdp_port("ran"), dn = afxdp_port("dn");
    ran.addresses = {ipv4(bench::kGnb)};
    dn.role = PortRole::Core;
    dn.ue_pools = {{ipv4(bench::kServer & 0xffffff00), 24}};
    return open_port(ran, 0) && open_port(dn, 1);
  }

  /// Sends packets, each with the time in it.
  void send(unsigned count) {
    Packet* packets[kBurst];
    count = pool_->cache(0).allocate(packets, count);
    const std::size_t inner = case_.uplink ? kUplinkInner : 0;
    for (unsigned i = 0; i < count; ++i) {
      Packet* packet = packets[i];
      *packet = Packet{};
      packet->offset = kCoreDataOffset;
      packet->length = static_cast<std::uint16_t>(case_.bytes + inner);
      std::byte* const data = packet->data();
      std::memset(data, 0, packet->length);
      std::memcpy(data, template_.headers, template_.bytes);
      const auto& key = path_.keys[next() % path_.keys.size()];
      if (case_.uplink) wire::store32(data + 32, key.teid);
      wire::store32(data + inner + (case_.uplink ? 12 : 16), key.ue);
      set_checksum(data + inner);
      const std::uint64_t now = tsc();
      std::memcpy(data + inner + kHeaders, &now, sizeof now);
    }
    PortQueue& out = ports_[case_.uplink ? 0 : 1]->queue(0);
    const unsigned taken = out.tx(packets, count);
    if (taken < count) pool_->cache(0).free(packets + taken, count - taken);
    out.flush();
    sent_ += taken;
  }

  /// Takes what came; with `times`, how long each was on its way, in cycles.
  unsigned receive(std::vector<std::uint64_t>* times) {
    Packet* packets[kBurst];
    const unsigned n = ports_[case_.uplink ? 1 : 0]->queue(0).rx(packets, kBurst);
    const std::size_t inner = case_.uplink ? 0 : kUplinkInner;
    const std::uint64_t now = tsc();
    for (unsigned i = 0; i < n && times != nullptr; ++i) {
      std::uint64_t then;
      std::memcpy(&then, packets[i]->data() + inner + kHeaders, sizeof then);
      times->push_back(now - then);
    }
    if (n != 0) pool_->cache(0).free(packets, n);
    received_ += n;
    return n;
  }

  std::uint64_t on_the_way() const { return sent_ - received_; }
  void forget_lost() { sent_ = received_; }
  std::uint64_t received() const { return received_; }

 private:
  bool open_port(const PortConfig& config, std::uint8_t index) {
    PoolCache* cache = &pool_->cache(0);
    auto port = make_port(config, index);
    if (!port) return false;
    const Status opened = port.value()->open({&cache, 1});
    if (!opened) std::fprintf(stderr, "bench: %s\n", opened.error().message.c_str());
    ports_[index] = std::move(port).value();
    return static_cast<bool>(opened);
  }
  /// The kernel checks what it forwards.
  static void set_checksum(std::byte* ip) {
    wire::store16(ip + 10, 0);
    std::uint32_t sum = 0;
    for (unsigned i = 0; i < 20; i += 2) sum += wire::load16(ip + i);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    wire::store16(ip + 10, static_cast<std::uint16_t>(~sum));
  }
  std::uint64_t next() {
    seed_ ^= seed_ << 13;
    seed_ ^= seed_ >> 7;
    seed_ ^= seed_ << 17;
    return seed_;
  }

  Case case_;
  const bench::PacketPath& path_;
  bench::PacketTemplate template_;
  std::unique_ptr<Region> region_;
  std::unique_ptr<PacketPool> pool_;
  std::array<std::unique_ptr<Port>, 2> ports_;
  std::uint64_t seed_ = 88172645463325252ull;
  std::uint64_t sent_ = 0, received_ = 0;
};

/// Packets that get through in a second, in thousands.
double rate_of(FarEnds& ends, std::uint64_t wanted) {
  const Clock& clock = Clock::machine();
  std::uint64_t start = 0;
  Nanoseconds last = clock.now();
  // The first tenth finds neighbours, caches and frequencies.
  for (const std::uint64_t warm = wanted / 10; ends.received() < wanted + warm;) {
    if (ends.on_the_way() + kBurst <= kWindow) ends.send(kBurst);
    const Nanoseconds now = clock.now();
    if (ends.receive(nullptr) != 0) {
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
    bench::Register(row + "/100kpps/" + figure.label, figure.unit,
                    [=, &figure, run = std::size_t{0}](const bench::Options& o) mutable {
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
  if (bench::core(1) == bench::kNoCore) return {};
  const Clock& clock = Clock::machine();
  Times late;
  std::atomic<bool> ends_now{false};
  std::thread other([&] {
    pin_this_thread(bench::core(0));
    while (!ends_now.load(std::memory_order_relaxed)) bench::keep(clock.now());
  });
  std::thread waiting([&] {
    pin_this_thread(bench::core(1));
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

/// Has a thread of its own, because the namespace is a thread's.
/// @param none  what is returned when this can't run here.
template <class Measure, class Result>
Result through(const Case& wanted, Result none, const Measure& measure) {
  if (bench::core(1) == bench::kNoCore) return none;
  Result result = none;
  std::thread thread([&] {
    if (!make_wires()) return;
    const auto path = open_node(wanted.ports);
    if (!path) return;
    std::atomic<bool> ends_now{false};
    std::thread worker([&] {
      pin_this_thread(bench::core(0));
      // Relaxed: nothing else is handed over by it.
      while (!ends_now.load(std::memory_order_relaxed)) path->datapath->workers()[0]->loop();
    });
    pin_this_thread(bench::core(1));
    FarEnds ends(wanted, *path);
    if (ends.open()) result = measure(ends);
    ends_now.store(true, std::memory_order_relaxed);
    worker.join();
    path->datapath->stop();
  });
  thread.join();
  return result;
}

bool add(const char* name, Ports ports) {
  for (const bool uplink : {true, false}) {
    for (const unsigned bytes : {64U, 1400U}) {
      const Case wanted{ports, uplink, bytes};
      const std::string row = std::string("through/") + name +
                              (uplink ? "/uplink/" : "/downlink/") + std::to_string(bytes) + "B";
      if (ports != Ports::AfxdpBusy) {
        bench::Register(row, "kpps", [wanted](const bench::Options& o) {
          return through(wanted, -1.0,
                         [&](FarEnds& ends) { return rate_of(ends, o.rounds(kManyPackets)); });
        });
      }
      if (bytes != 64) continue;
      add_latencies(row, [wanted](std::uint64_t packets) {
        return through(wanted, Times{},
                       [packets](FarEnds& ends) { return latency_of(ends, packets); });
      });
    }
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
