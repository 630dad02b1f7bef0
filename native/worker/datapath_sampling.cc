// Samples of traffic: on and off for all workers, and their notes in one list.
#include "worker/datapath.h"

namespace sluice {

void Datapath::set_sampling(bool on) {
  for (const auto& worker : workers_) worker->sampler().want(on);
  if (!on) return;
  // What an earlier watcher left behind is of another time.
  TrafficSample old[64];
  while (take_samples(old, 64) == 64) continue;
}

unsigned Datapath::take_samples(TrafficSample* out, unsigned max) {
  unsigned total = 0;
  for (std::size_t i = 0; i < workers_.size() && total < max; ++i) {
    // Each call begins with the next worker, so that none is left out when `max` is small.
    sample_turn_ = (sample_turn_ + 1) % static_cast<unsigned>(workers_.size());
    total += workers_[sample_turn_]->sampler().take(out + total, max - total);
  }
  return total;
}

}  // namespace sluice
