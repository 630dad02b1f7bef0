// The N6 side through the kernel: a multi-queue TUN device, one queue per worker.
// The device, its addresses, routes and NAT rules live as long as the port is open.
// Owner: the control thread; the queues belong to the workers. Start at open().
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "port/bpf.h"
#include "port/port.h"
#include "port/tun/tun_queue.h"

namespace sluice {

class TunPort final : public Port {
 public:
  TunPort(PortConfig config, std::uint8_t index) : Port(std::move(config), index) {}
  ~TunPort() override { close(); }

  /// Makes the device. Errors are on "driver" (no right to, or no TUN in this kernel),
  /// "device", "mtu", "role", "uePools[i]" or "masquerade"; nothing is left behind then.
  Status open(std::span<PoolCache* const> caches) override;
  PortQueue& queue(unsigned worker) noexcept override { return *queues_[worker]; }
  void close() noexcept override;
  std::map<std::string, std::string> capabilities() const override;
  bool steer(std::span<const std::uint8_t, 256> bucket_owner) noexcept override;

 private:
  Status check_config() const;
  Status open_queues(std::span<PoolCache* const> caches);
  Result<int> open_queue(bool is_first);
  void set_offloads(int fd) noexcept;
  void attach_steering() noexcept;
  Status configure_device();
  Status add_pool(class Netlink& netlink, unsigned device, std::size_t pool);

  std::vector<std::unique_ptr<TunQueue>> queues_;
  BucketOwners owners_{};
  JoinOffloads offloads_;
  std::string steering_ = "none";
  bool masquerades_ = false;
};

}  // namespace sluice
