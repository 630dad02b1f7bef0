// Ports that a bench drives itself, without a packet path: two of them over a pool of their own.
// Owner: the thread that drives them.
#pragma once
#include <array>
#include <cstdint>
#include <memory>

#include "memory/packet_pool.h"
#include "port/port.h"

namespace bench {

class OwnPorts {
 public:
  static constexpr unsigned kPorts = 2;

  /// @param packets  of the pool. @return false, and a word on standard error: not here.
  bool open(const std::array<sluice::PortConfig, kPorts>& configs, std::uint32_t packets);
  void close();

  sluice::PortQueue& queue(unsigned port) const { return ports_[port]->queue(0); }
  const sluice::Port& port(unsigned port) const { return *ports_[port]; }
  sluice::PoolCache& cache() { return pool_->cache(0); }
  /// At once; what the port does not take is freed. @return what it has taken.
  unsigned send(unsigned port, sluice::Packet* const* packets, unsigned count);

 private:
  std::unique_ptr<sluice::Region> region_;
  std::unique_ptr<sluice::PacketPool> pool_;
  std::array<std::unique_ptr<sluice::Port>, kPorts> ports_;
};

}  // namespace bench
