#include "bench/through/wires.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "wire/bytes.h"

namespace bench {
using namespace sluice;
namespace {

bool run(const std::string& command) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the only thread that runs commands
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

}  // namespace

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
      // What comes to a far end without a port there ends there.
      "sysctl -qw net.ipv4.conf.ran.forwarding=0 net.ipv4.conf.dn.forwarding=0",
  };
  return std::ranges::all_of(commands, [](const char* command) { return run(command); });
}

bool poll_in_threads(unsigned node_core, unsigned far_core) {
  // What is under /sys are the devices of the namespace that it was mounted in.
  if (!run("unshare -m sh -c 'mount -t sysfs sysfs /sys && for d in n3 n6 ran dn; do "
           "echo 1 > /sys/class/net/$d/threaded; done'")) {
    return false;
  }
  sched_param own{};
  ::sched_getparam(0, &own);
  unsigned found = 0;
  std::error_code error;
  for (const auto& process : std::filesystem::directory_iterator("/proc", error)) {
    std::string name;
    std::ifstream(process.path() / "comm") >> name;
    const bool is_nodes = name.starts_with("napi/n3-") || name.starts_with("napi/n6-");
    if (!is_nodes && !name.starts_with("napi/ran-") && !name.starts_with("napi/dn-")) continue;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(is_nodes ? node_core : far_core, &cpus);
    const int pid = std::atoi(process.path().filename().c_str());
    found += ::sched_setaffinity(pid, sizeof cpus, &cpus) == 0 &&
             ::sched_setscheduler(pid, ::sched_getscheduler(0), &own) == 0;
  }
  return found >= 4;
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

}  // namespace bench
