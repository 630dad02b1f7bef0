// One worker's end of a dpdk port: link headers, which come off here and are put before what
// leaves, and the talk with neighbours.
// Owner: the worker; start at rx() and tx().
#pragma once
#include <array>

#include "memory/packet_pool.h"
#include "port/dpdk/plugin.h"
#include "port/next_hop/gateways.h"
#include "port/port.h"

namespace sluice {

class DpdkQueue final : public PortQueue {
 public:
  /// Device and gateways outlive it. Queue 0 asks for the gateways.
  DpdkQueue(std::uint8_t port, unsigned queue, PoolCache& cache, DpdkDevice& device,
            Gateways& gateways) noexcept
      : cache_(cache), device_(device), gateways_(gateways), queue_(queue), port_(port) {}
  ~DpdkQueue() override { cache_.free(waiting_.frames.data(), waiting_.count); }
  DpdkQueue(const DpdkQueue&) = delete;
  DpdkQueue& operator=(const DpdkQueue&) = delete;

  unsigned rx(Packet** packets, unsigned max) noexcept override;
  unsigned tx(Packet* const* packets, unsigned count) noexcept override;
  void flush() noexcept override;

 private:
  /// Frames that the device has no room for now wait here: their metadata is overwritten.
  static constexpr unsigned kWaitingMax = 256;
  struct Waiting {
    std::array<Packet*, kWaitingMax> frames;
    std::array<std::uint16_t, kWaitingMax> offsets, lengths;
    unsigned count = 0;
  };

  bool take(Packet& frame) noexcept;
  void hear(Packet* frame) noexcept;
  void ask() noexcept;
  void send_frame(Packet* packet, std::uint16_t bytes) noexcept;
  void count_missed() noexcept;

  PoolCache& cache_;
  DpdkDevice& device_;
  Gateways& gateways_;
  Waiting waiting_;
  unsigned queue_;
  std::uint8_t port_;
  unsigned turn_ = 0;
  std::uint64_t missed_ = 0;  ///< of what the device says, so many are counted
};

}  // namespace sluice
