// One Ethernet device of DPDK (ethdev): its queues, its buffers, what it can do.
// Threads: as in port/dpdk/plugin.h.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "port/dpdk/plugin.h"
#include "port/dpdk/plugin/chunk_mempool.h"
#include "port/dpdk/plugin/environment.h"

struct rte_device;
struct rte_eth_dev_info;

namespace sluice::dpdk {

class Device final : public DpdkDevice {
 public:
  /// nullptr: `error` says why, and nothing is left behind.
  static std::unique_ptr<Device> open(const DpdkRequest& request, DpdkError& error);
  ~Device() override;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  unsigned receive(unsigned queue, Packet** frames, unsigned max) noexcept override;
  unsigned send(unsigned queue, Packet* const* frames, const std::uint16_t* offsets,
                const std::uint16_t* lengths, unsigned count) noexcept override;
  DpdkLinkState link() const noexcept override;
  std::uint64_t missed() const noexcept override;

 private:
  Device() = default;
  bool find(const DpdkRequest& request, DpdkError& error);
  bool lend_memory(const DpdkRequest& request, DpdkError& error);
  bool configure(const DpdkRequest& request, DpdkError& error);
  bool set_up_queues(unsigned queues, DpdkError& error);
  bool start(unsigned queues, DpdkError& error);
  void choose_link_address();
  void listen() noexcept;

  std::uint16_t port_ = 0;
  rte_device* device_ = nullptr;
  std::unique_ptr<ExternalMemory> memory_;
  std::unique_ptr<ChunkMempool> chunks_;
  bool is_mapped_ = false;  ///< for DMA
  bool is_started_ = false;
};

}  // namespace sluice::dpdk
