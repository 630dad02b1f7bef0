// N3 or N6 on a device of DPDK's: a NIC that the kernel has no part in, a memif, or one of DPDK's
// virtual devices. This folder is what is always built: the port, its queues and the loading of the
// plug-in, which alone knows DPDK (plugin/).
// Owner: the control thread; the queues belong to the workers. Start at open().
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "port/dpdk/dpdk_queue.h"
#include "port/dpdk/plugin.h"
#include "port/next_hop/gateways.h"
#include "port/port.h"

namespace sluice {

class DpdkPort final : public Port {
 public:
  DpdkPort(PortConfig config, std::uint8_t index) : Port(std::move(config), index) {}
  ~DpdkPort() override { close(); }

  /// Loads the plug-in and takes the device. Errors are on "device", "driver", "mtu", "addresses"
  /// or "gateway"; nothing is left behind then, but that DPDK has begun.
  Status open(std::span<PoolCache* const> caches) override;
  PortQueue& queue(unsigned worker) noexcept override { return *queues_[worker]; }
  void close() noexcept override;
  std::span<const std::uint16_t> source_ports() const noexcept override { return source_ports_; }
  std::map<std::string, std::string> capabilities() const override;

 private:
  Status check_config() const;
  Status open_device(std::span<PoolCache* const> caches);

  std::string version_;  ///< of DPDK
  std::unique_ptr<DpdkDevice> device_;
  std::unique_ptr<Gateways> gateways_;
  std::vector<std::unique_ptr<DpdkQueue>> queues_;
  std::vector<std::uint16_t> source_ports_;
};

}  // namespace sluice
