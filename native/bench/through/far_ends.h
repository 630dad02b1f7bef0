// The far ends of a row that goes all the way through: gNB and server, of which one sends packets
// of random sessions and the other receives them. Owner: the thread that has their core.
#pragma once
#include <cstdint>
#include <vector>

#include "bench/path/own_ports.h"
#include "bench/through/node.h"

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
  std::uint64_t next();

  ThroughCase case_;
  const Node& node_;
  PacketTemplate template_;
  OwnPorts ports_;
  std::uint64_t seed_ = 88172645463325252ull;
  std::uint64_t sent_ = 0, received_ = 0;
};

}  // namespace bench
