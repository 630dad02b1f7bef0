#include "port/port.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cstring>

#include "port/afxdp/afxdp_port.h"
#include "port/dpdk/dpdk_port.h"
#include "port/memory_port.h"
#include "port/pcap_port.h"
#include "port/socket/socket_port.h"
#include "port/tun/tun_port.h"

namespace sluice {

std::string device_of(const IpAddress& address) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  std::string name;
  for (const ifaddrs* entry = list; entry != nullptr && name.empty(); entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const int family = address.is_v6 ? AF_INET6 : AF_INET;
    if (entry->ifa_addr->sa_family != family) continue;
    const void* bytes =
        address.is_v6 ? static_cast<const void*>(
                            &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr)
                      : &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr;
    if (std::memcmp(bytes, address.bytes.data(), address.is_v6 ? 16 : 4) == 0) {
      name = entry->ifa_name;
    }
  }
  freeifaddrs(list);
  return name;
}

Result<std::unique_ptr<Port>> make_port(const PortConfig& config, std::uint8_t index) {
  if (config.driver == "memory") return make_memory_port(config, index);
  if (config.driver == "pcap") return make_pcap_port(config, index);
  if (config.driver == "socket") {
    return std::unique_ptr<Port>(std::make_unique<SocketPort>(config, index));
  }
  if (config.driver == "tun") {
    return std::unique_ptr<Port>(std::make_unique<TunPort>(config, index));
  }
  if (config.driver == "afxdp") {
    return std::unique_ptr<Port>(std::make_unique<AfxdpPort>(config, index));
  }
  if (config.driver == "dpdk") {
    return std::unique_ptr<Port>(std::make_unique<DpdkPort>(config, index));
  }
  return Error{"there is no driver \"" + config.driver +
                   "\"; the drivers are memory, pcap, socket, tun, afxdp and dpdk",
               "driver"};
}

}  // namespace sluice
