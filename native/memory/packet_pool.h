// The pool of packets: chunks of the region, a last-in-first-out cache per worker in front
// of one shared ring, or of one for each NUMA node that workers are on. A packet may be freed on
// another thread than allocated it. Owner: the control thread makes the pool; each PoolCache
// belongs to one thread. Start at PoolCache.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/types.h"
#include "memory/copy.h"
#include "memory/packet.h"
#include "memory/region.h"
#include "memory/ring.h"

namespace sluice {

class PacketPool;

/// Where one thread takes and frees packets: a stack of those it freed last, whose lines are
/// still in its cores' caches; the oldest go to the shared ring in bulk when it grows too tall.
class alignas(kCacheLine) PoolCache final {
 public:
  static constexpr std::uint32_t kDepthMax = 512;

  PoolCache() = default;
  PoolCache(const PoolCache&) = delete;
  PoolCache& operator=(const PoolCache&) = delete;

  /// Takes up to n packets, content undefined; returns how many there were. Thread: owner.
  [[gnu::always_inline]] unsigned allocate(Packet** out, unsigned n) noexcept {
    const std::uint32_t depth = depth_.load(std::memory_order_relaxed);
    if (n > depth) [[unlikely]]
      return allocate_from_ring(out, n);
    copy_burst(out, stack_.data() + depth - n, n);
    // Relaxed: pairs with the read in PacketPool::available(), which wants a figure only.
    depth_.store(depth - n, std::memory_order_relaxed);
    unpoison(out, n);
    return n;
  }
  /// Gives n packets back, which nobody uses any more. Thread: owner.
  [[gnu::always_inline]] void free(Packet* const* packets, unsigned n) noexcept {
    const std::uint32_t depth = depth_.load(std::memory_order_relaxed);
    poison(packets, n);
    if (n > limit_ - depth) [[unlikely]]
      return free_to_ring(packets, n);
    copy_burst(stack_.data() + depth, packets, n);
    // Relaxed: as in allocate().
    depth_.store(depth + n, std::memory_order_relaxed);
  }

  /// All chunks of the pool, spares included: what a driver gives the kernel or a device as its
  /// memory. Threads: any.
  std::span<std::byte> chunks() const noexcept { return chunks_; }
  /// Of the pages that they are in. Threads: any.
  std::size_t page_bytes() const noexcept { return page_bytes_; }

 private:
  friend class PacketPool;

  [[gnu::noinline]] unsigned allocate_from_ring(Packet** out, unsigned n) noexcept;
  [[gnu::noinline]] void free_to_ring(Packet* const* packets, unsigned n) noexcept;
  void spill(Packet* const* packets, std::uint32_t n) noexcept;
  void spill_home(const PacketHandle* handles, std::uint32_t n) noexcept;
  std::uint32_t refill(Packet** out, std::uint32_t n) noexcept;
  std::uint32_t take(MpmcRing<PacketHandle>& ring, Packet** out, std::uint32_t n) noexcept;

#if defined(__SANITIZE_ADDRESS__)
  // A free packet is unreadable, so that a use after free is found in every test.
  static void poison(Packet* const* packets, unsigned n) noexcept;
  static void unpoison(Packet* const* packets, unsigned n) noexcept;
#else
  [[gnu::always_inline]] static void poison(Packet* const*, unsigned) noexcept {}
  [[gnu::always_inline]] static void unpoison(Packet* const*, unsigned) noexcept {}
#endif

  std::atomic<std::uint32_t> depth_{0};  // written by the owner alone
  std::uint32_t limit_ = 0;              // never above kDepthMax
  PacketPool* pool_ = nullptr;
  MpmcRing<PacketHandle>* ring_ = nullptr;  // of the node's share
  std::byte* base_ = nullptr;               // the region's, from which handles count
  std::span<std::byte> chunks_;
  std::size_t page_bytes_ = 0;
  alignas(kCacheLine) std::array<Packet*, kDepthMax> stack_{};
};

/// Owner: the control thread; the region outlives the pool, the pool outlives its packets' use.
class PacketPool {
 public:
  /// Takes chunks and ring from the region. Errors: no packets, no caches, the region is full.
  /// @param spares  further chunks, which nobody is given before spare() and free().
  /// @param nodes  NUMA node of each cache. Of several each has a share of the chunks in its own
  ///   memory, and caches take from their node's as long as there are any. Spares are then those of
  ///   all caches but the last in turn, as many of each. Empty: memory is as the region's.
  static Result<std::unique_ptr<PacketPool>> create(Region& region, std::uint32_t packets,
                                                    unsigned caches, std::uint32_t spares = 0,
                                                    std::span<const unsigned> nodes = {});
  ~PacketPool();
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;

  /// Bytes of region that create() takes at most.
  static std::size_t bytes(std::uint32_t packets, unsigned caches,
                           std::uint32_t spares = 0) noexcept;

  PoolCache& cache(unsigned index) noexcept { return caches_[index]; }
  unsigned caches() const noexcept { return cache_count_; }
  /// Threads: any.
  Packet* packet(PacketHandle handle) noexcept {
    return reinterpret_cast<Packet*>(base_ + std::size_t{handle} * kCacheLine);
  }
  PacketHandle handle(const Packet* packet) const noexcept {
    return static_cast<PacketHandle>(
        static_cast<std::size_t>(reinterpret_cast<const std::byte*>(packet) - base_) / kCacheLine);
  }
  /// Packets not in use: exact when all threads rest, else a moment's view. Threads: any.
  std::uint32_t available() const noexcept;
  std::uint32_t capacity() const noexcept { return packets_; }
  /// Spare number i: whoever has it may free() it into the pool, which grows by it.
  Packet* spare(std::uint32_t i) noexcept {
    return reinterpret_cast<Packet*>(chunks_ + (std::size_t{packets_} + i) * kChunkBytes);
  }
  std::uint32_t spares() const noexcept { return spares_; }
  /// Empty, or a sentence for the node's status: memory is not where it was asked for.
  const std::string& warning() const noexcept { return warning_; }
  /// The chunks, one after the other, kChunkBytes each.
  std::byte* chunks() noexcept { return chunks_; }

 private:
  friend class PoolCache;
  using Ring = MpmcRing<PacketHandle>;
  /// The chunks of a NUMA node that nobody has.
  struct Share {
    unsigned node;
    std::uint32_t chunks;
    Ring* ring;
  };
  PacketPool() = default;
  void divide(std::span<const unsigned> nodes, unsigned caches);
  bool make_rings(Region& region) noexcept;
  void bind(Region& region);
  unsigned share_of_chunk(std::size_t chunk) const noexcept {
    return homes_.empty() ? 0 : homes_[chunk];
  }
  unsigned share_of_cache(unsigned cache) const noexcept {
    return share_of_cache_.empty() ? 0 : share_of_cache_[cache];
  }

  std::byte* base_ = nullptr;
  std::byte* chunks_ = nullptr;
  std::vector<Share> shares_;
  std::vector<std::uint8_t> share_of_cache_, homes_;  ///< homes: by chunk; empty: of one share
  std::string warning_;
  std::unique_ptr<PoolCache[]> caches_;
  unsigned cache_count_ = 0;
  std::uint32_t packets_ = 0;
  std::uint32_t spares_ = 0;
};

}  // namespace sluice
