#include "port/port.h"

#include "port/memory_port.h"
#include "port/pcap_port.h"
#include "port/socket/socket_port.h"
#include "port/tun/tun_port.h"

namespace sluice {

Result<std::unique_ptr<Port>> make_port(const PortConfig& config, std::uint8_t index) {
  if (config.driver == "memory") return make_memory_port(config, index);
  if (config.driver == "pcap") return make_pcap_port(config, index);
  if (config.driver == "socket") {
    return std::unique_ptr<Port>(std::make_unique<SocketPort>(config, index));
  }
  if (config.driver == "tun")
    return std::unique_ptr<Port>(std::make_unique<TunPort>(config, index));
  return Error{
      "there is no driver \"" + config.driver + "\"; the drivers are memory, pcap, socket and tun",
      "driver"};
}

}  // namespace sluice
