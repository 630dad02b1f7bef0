// Packets that a queue has taken from the pool for what it will receive next: a system call
// needs memory before it is known how many packets come. Owner: the queue's worker.
#pragma once
#include <array>
#include <utility>

#include "memory/packet_pool.h"

namespace sluice {

class ChunkStack {
 public:
  explicit ChunkStack(PoolCache& cache) noexcept : cache_(cache) {}
  ~ChunkStack() { release(); }
  ChunkStack(const ChunkStack&) = delete;
  ChunkStack& operator=(const ChunkStack&) = delete;

  /// @return nullptr if the pool is empty too.
  Packet* take() noexcept {
    if (used_ == 0) used_ = cache_.allocate(chunks_.data(), kBatch);
    return used_ == 0 ? nullptr : chunks_[--used_];
  }
  /// Takes back what take() gave and nobody needed.
  void give(Packet* packet) noexcept {
    if (used_ == chunks_.size()) return cache_.free(&packet, 1);
    chunks_[used_++] = packet;
  }
  /// Gives all back to the pool: at the end of each rx(), so that an idle queue keeps nothing.
  void release() noexcept {
    if (used_ != 0) cache_.free(chunks_.data(), std::exchange(used_, 0));
  }

 private:
  static constexpr unsigned kBatch = 32;

  PoolCache& cache_;
  unsigned used_ = 0;
  std::array<Packet*, 2 * kBatch> chunks_;
};

}  // namespace sluice
