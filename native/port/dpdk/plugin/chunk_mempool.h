// A DPDK mempool whose buffers are the chunks of the packet pool: one mbuf for each chunk, tied to
// it for life ("pinned external buffer"), and memory management that is the pool's own.
// Threads: made and ended on the control thread; a worker says which cache is its own before it
// calls DPDK, and whatever DPDK takes or gives back meanwhile is from and to that cache.
#pragma once
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "port/dpdk/plugin.h"

namespace sluice::dpdk {

class ChunkMempool {
 public:
  /// nullptr: no memory, DPDK says more in its log. @param room  of a buffer, headroom included,
  /// as devices are told.
  static std::unique_ptr<ChunkMempool> create(const DpdkPool& pool, const std::string& name,
                                              std::size_t room);
  /// The device has ended. What it never gave back goes to the pool.
  ~ChunkMempool();
  ChunkMempool(const ChunkMempool&) = delete;
  ChunkMempool& operator=(const ChunkMempool&) = delete;

  rte_mempool* mempool() const noexcept { return mempool_; }

  /// While one lives, its thread allocates and frees by a queue's cache.
  class Turn {
   public:
    Turn(const ChunkMempool& pool, unsigned queue) noexcept;
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
  };

  /// The chunk of an mbuf that DPDK hands over: it is the caller's now.
  Packet* take(const rte_mbuf* mbuf) noexcept {
    const std::size_t i = index_of(mbuf);
    away_[i] = 0;
    return chunk(i);
  }
  /// The mbuf of a chunk that DPDK gets now.
  rte_mbuf* give(const Packet* packet) noexcept {
    const std::size_t i =
        static_cast<std::size_t>(reinterpret_cast<const std::byte*>(packet) - pool_.chunks) /
        kChunkBytes;
    away_[i] = 1;
    return mbuf(i);
  }

 private:
  friend struct Operations;
  static constexpr std::size_t kStride = RTE_CACHE_LINE_SIZE + sizeof(rte_mbuf);

  explicit ChunkMempool(const DpdkPool& pool);
  bool populate(const std::string& name, std::size_t room);
  unsigned available() const noexcept;
  int dequeue(void** objects, unsigned n) noexcept;
  void enqueue(void* const* objects, unsigned n) noexcept;
  void take_strays() noexcept;

  // An mbuf has DPDK's own header of a cache line before it.
  rte_mbuf* mbuf(std::size_t i) const noexcept {
    return reinterpret_cast<rte_mbuf*>(mbufs_ + i * kStride + RTE_CACHE_LINE_SIZE);
  }
  std::size_t index_of(const void* mbuf) const noexcept {
    return static_cast<std::size_t>(static_cast<const std::byte*>(mbuf) - mbufs_) / kStride;
  }
  Packet* chunk(std::size_t i) const noexcept {
    return reinterpret_cast<Packet*>(pool_.chunks + i * kChunkBytes);
  }

  DpdkPool pool_;
  std::vector<void*> caches_;
  unsigned count_ = 0;
  std::byte* mbufs_ = nullptr;
  std::size_t mbuf_bytes_ = 0;
  rte_mempool* mempool_ = nullptr;
  rte_mbuf_ext_shared_info shared_{};     ///< one for all: nobody ever counts by it
  std::unique_ptr<std::uint8_t[]> away_;  ///< for each chunk: DPDK has it

  // What threads of DPDK itself give back waits here for a worker.
  std::mutex strays_mutex_;
  std::vector<Packet*> strays_;
  std::atomic<bool> has_strays_{false};
};

}  // namespace sluice::dpdk
