// Crypto lanes of a packet path, from its start to its end.
#include "worker/datapath.h"

namespace sluice {

/// Their threads may be there before the workers are.
Status Datapath::make_lanes() {
  if (config_.lanes == 0) return Ok{};
  if (config_.lanes > kLanesMax) {
    return Error{"at most " + std::to_string(kLanesMax) + " crypto lanes", "crypto.lanesMax"};
  }
  crypto_lanes_ = std::make_shared<CryptoLanes>(config_.lanes, lane_cores_);
  for (std::size_t w = 0; w < places_.size(); ++w) {
    if (crypto_lanes_->connect(*region_, [this, w] { workers_[w]->wake(); })) continue;
    return Error{"the memory region has no room for crypto lanes", "limits"};
  }
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
