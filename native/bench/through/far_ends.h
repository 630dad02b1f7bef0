// The far ends of a row that goes all the way through: gNB and server, of which one sends packets
// of random sessions and the other receives them. Owner: the thread that has their core.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/through/node.h"
#include "memory/packet_pool.h"

namespace bench {

class FarEnds {
 public:
  static constexpr unsigned kStep = 32;  ///< packets that it sends at once

  FarEnds(const ThroughCase& wanted, const Node& node);
  bool open();
  /// Sends packets, each with the time in it.
  void send(unsigned count = kStep);
  /// Takes what came; with `times`, how long each was on its way, in cycles.
  unsigned receive(std::vector<std::uint64_t>* times = nullptr);
  std::uint64_t on_the_way() const { return sent_ - received_; }
  void forget_lost() { sent_ = received_; }
  std::uint64_t received() const { return received_; }

 private:
  bool open_port(const sluice::PortConfig& config, std::uint8_t index);
  std::uint64_t next();

  ThroughCase case_;
  const Node& node_;
  PacketTemplate template_;
  std::unique_ptr<sluice::Region> region_;
  std::unique_ptr<sluice::PacketPool> pool_;
  std::array<std::unique_ptr<sluice::Port>, 2> ports_;
  std::uint64_t seed_ = 88172645463325252ull;
  std::uint64_t sent_ = 0, received_ = 0;
};

}  // namespace bench
