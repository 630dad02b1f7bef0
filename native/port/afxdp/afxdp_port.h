// N3 or N6 on a device of its own, past the kernel's stack: AF_XDP sockets on all its queues,
// an XDP program that gives them what is the port's and leaves the kernel the rest (ARP, ND,
// BGP, ping), next hops as the kernel has them.
// Owner: the control thread; the queues belong to the workers. Start at open().
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "port/afxdp/afxdp_queue.h"
#include "port/afxdp/lent_flows.h"
#include "port/next_hop/next_hop_watch.h"
#include "port/port.h"

namespace sluice {

class AfxdpPort final : public Port {
 public:
  AfxdpPort(PortConfig config, std::uint8_t index) : Port(std::move(config), index) {}
  ~AfxdpPort() override { close(); }

  /// Takes the device, or a VLAN's parent device. Errors are on "device", "driver", "mtu",
  /// "addresses" or "uePools"; nothing is left behind then.
  Status open(std::span<PoolCache* const> caches) override;
  PortQueue& queue(unsigned worker) noexcept override { return *queues_[worker]; }
  void close() noexcept override;
  std::span<const std::uint16_t> source_ports() const noexcept override { return source_ports_; }
  std::map<std::string, std::string> capabilities() const override;
  std::string shortcoming() const override;
  const LentTable* lent_flows() const noexcept override {
    return lent_ == nullptr ? nullptr : &lent_->table();
  }

 private:
  Status check_config() const;
  Status find_device(unsigned workers);
  Status check_link();
  Status open_queues(std::span<PoolCache* const> caches);
  Status make_lent();
  Status attach();

  std::unique_ptr<NextHopWatch> watch_;
  std::vector<std::unique_ptr<AfxdpQueue>> queues_;
  std::vector<std::uint16_t> source_ports_;
  std::string carrier_;     ///< the device that has the queues
  unsigned interface_ = 0;  ///< its number
  unsigned device_queues_ = 0;
  std::unique_ptr<LentFlows> lent_;  ///< with forward_in_driver
  std::string lent_obstacle_;        ///< why there are none all the same
  int sockets_ = -1;                 ///< the map that the program looks a queue's socket up in
  int link_ = -1;                    ///< the program is there for as long as this is open
  bool is_native_ = false;
};

}  // namespace sluice
