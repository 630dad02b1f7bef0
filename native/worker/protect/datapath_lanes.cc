// Crypto lanes of a packet path, from its start to its end.
#include <algorithm>

#include "worker/datapath.h"

namespace sluice {

/// Their threads may be there before the workers are.
Status Datapath::make_lanes() {
  if (config_.lanes == 0) return Ok{};
  if (config_.lanes > kLanesMax) {
    return Error{"at most " + std::to_string(kLanesMax) + " crypto lanes", "crypto.lanesMax"};
  }
  const auto nodes = static_cast<unsigned>(std::max<std::size_t>(nodes_.size(), 1));
  crypto_lanes_ = std::make_shared<CryptoLanes>(config_.lanes, lane_cores_, nodes);
  bool connected = true;
  for (unsigned w = 0; connected && w < places_.size(); ++w) {
    take_memory_near(w);
    connected = crypto_lanes_->connect(*region_, [this, w] { workers_[w]->wake(); });
  }
  region_->take_from(Region::kAnyNode);
  if (!connected) return Error{"the memory region has no room for crypto lanes", "limits"};
  return Ok{};
}

/// What is in lanes goes on its way. Workers have no threads any more.
void Datapath::end_lanes() {
  if (crypto_lanes_ == nullptr) return;
  crypto_lanes_->stop();
  // What was opened may be sealed again, once more.
  for (unsigned packets = 1; running_ && packets != 0;) {
    packets = crypto_lanes_->serve_here();
    for (const auto& worker : workers_) packets += worker->settle_lanes(now());
  }
}

}  // namespace sluice
