// Where the packet path runs and where its memory is, for people.
#include <algorithm>

#include "memory/page_nodes.h"
#include "worker/datapath.h"

namespace sluice {

Placement Datapath::placement() const {
  constexpr unsigned kSamples = 256;
  // Of the pool alone: it is in use from the start, sessions' memory comes with sessions.
  const std::size_t bytes = std::size_t{config_.packets_max} * kChunkBytes;
  return {control_cores_, region_->pages(), region_->size(),
          nodes_of_pages(pool_->chunks(), bytes, kSamples)};
}

std::size_t Datapath::region_used() const noexcept {
  // The kernel counts the pages of the region's file. With huge pages all of them are there
  // from the start, also those that nothing was allocated from.
  const std::size_t resident = region_->resident();
  return std::min(region_->used() - sessions_start_, resident - std::min(resident, pool_resident_));
}

/// All buckets to the workers in turn.
void Datapath::share_buckets() noexcept {
  for (unsigned b = 0; b < kBuckets; ++b) {
    bucket_owner_[b] = static_cast<std::uint8_t>(b % places_.size());
  }
  steered_ = bucket_owner_;
}

}  // namespace sluice
