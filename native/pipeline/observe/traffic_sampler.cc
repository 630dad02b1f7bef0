#include "pipeline/observe/traffic_sampler.h"

namespace sluice {

unsigned TrafficSampler::draw(const Burst& burst) noexcept {
  if (burst.count == 0) return kNoSample;
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  const auto i = static_cast<unsigned>(std::uint64_t{random_} * burst.count >> 32);
  return burst.verdict[i] == DropReason::None ? i : kNoSample;
}

void TrafficSampler::note(const Burst& burst, unsigned i) noexcept {
  const DropReason verdict = burst.verdict[i];
  const bool dropped = verdict != DropReason::None && verdict != kTakenAway;
  TrafficSample sample;
  sample.session = burst.session[i] |
                   (burst.direction[i] == Direction::Downlink ? kSampleDownlink : 0) |
                   (dropped ? kSampleDropped : 0);
  sample.incarnation = burst.flow[i]->rules.incarnation;
  sample.bytes = burst.inner_length[i];
  sample.packets = owed_ + burst.count;
  owed_ = ring_->enqueue_burst(&sample, 1) == 1 ? 0 : sample.packets;
}

}  // namespace sluice
