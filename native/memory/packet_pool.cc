#include "memory/packet_pool.h"

#include <bit>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace sluice {
namespace {
// Handles on their way between a cache and the ring, converted in runs of this many.
constexpr std::uint32_t kRun = 64;

std::uint32_t ring_capacity(std::uint32_t packets) { return std::bit_ceil(packets); }
}  // namespace

#if defined(__SANITIZE_ADDRESS__)
void PoolCache::poison(Packet* const* packets, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i) ASAN_POISON_MEMORY_REGION(packets[i], kChunkBytes);
}
void PoolCache::unpoison(Packet* const* packets, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i) ASAN_UNPOISON_MEMORY_REGION(packets[i], kChunkBytes);
}
#endif

// Takes up to n packets from the ring alone.
std::uint32_t PoolCache::refill(Packet** out, std::uint32_t n) noexcept {
  PacketHandle handles[kRun];
  std::uint32_t got = 0;
  while (got < n) {
    const unsigned run = ring_->dequeue_burst(handles, std::min(kRun, n - got));
    if (run == 0) break;
    for (unsigned i = 0; i < run; ++i) {
      out[got + i] = reinterpret_cast<Packet*>(base_ + std::size_t{handles[i]} * kCacheLine);
    }
    got += run;
  }
  return got;
}

void PoolCache::spill(Packet* const* packets, std::uint32_t n) noexcept {
  PacketHandle handles[kRun];
  for (std::uint32_t done = 0; done < n;) {
    const std::uint32_t run = std::min(kRun, n - done);
    for (std::uint32_t i = 0; i < run; ++i) {
      const auto* chunk = reinterpret_cast<const std::byte*>(packets[done + i]);
      handles[i] = static_cast<PacketHandle>(static_cast<std::size_t>(chunk - base_) / kCacheLine);
    }
    // The ring has a slot for every packet there is, so it takes them all unless one of them
    // was freed twice.
    const unsigned taken = ring_->enqueue_burst(handles, run);
    assert(taken == run);
    (void)taken;
    done += run;
  }
}

// Hands out what the stack has, then from the ring, and refills the stack by half of its limit.
unsigned PoolCache::allocate_from_ring(Packet** out, unsigned n) noexcept {
  const std::uint32_t depth = depth_.load(std::memory_order_relaxed);
  std::copy_n(stack_.data(), depth, out);
  const unsigned got = depth + refill(out + depth, n - depth);
  // Relaxed: as in allocate().
  depth_.store(refill(stack_.data(), limit_ / 2), std::memory_order_relaxed);
  unpoison(out, got);
  return got;
}

// Keeps the packets freed last, half of the limit, and spills the older ones.
void PoolCache::free_to_ring(Packet* const* packets, unsigned n) noexcept {
  const std::uint32_t depth = depth_.load(std::memory_order_relaxed);
  const std::uint32_t keep = limit_ / 2;  // below depth + n, which is above the limit
  const std::uint32_t spilled = depth + n - keep;
  const std::uint32_t of_stack = std::min(spilled, depth);
  const std::uint32_t of_packets = spilled - of_stack;
  spill(stack_.data(), of_stack);
  spill(packets, of_packets);
  std::memmove(stack_.data(), stack_.data() + of_stack, (depth - of_stack) * sizeof(Packet*));
  std::copy_n(packets + of_packets, n - of_packets, stack_.data() + depth - of_stack);
  // Relaxed: as in allocate().
  depth_.store(keep, std::memory_order_relaxed);
}

std::size_t PacketPool::bytes(std::uint32_t packets, unsigned caches,
                              std::uint32_t spares) noexcept {
  (void)caches;  // they hold pointers, so they are not part of the region
  return (std::size_t{packets} + spares) * kChunkBytes +
         MpmcRing<PacketHandle>::bytes(ring_capacity(std::max(packets + spares, 1U))) +
         2 * kCacheLine;
}

Result<std::unique_ptr<PacketPool>> PacketPool::create(Region& region, std::uint32_t packets,
                                                       unsigned caches, std::uint32_t spares) {
  constexpr std::uint32_t kPacketsMax = 1U << 30;
  if (packets == 0 || packets > kPacketsMax || spares > kPacketsMax || caches == 0) {
    return Error{"a packet pool has at least one packet and one cache", "limits"};
  }
  std::unique_ptr<PacketPool> pool(new (std::nothrow) PacketPool);
  if (!pool) return Error{"no memory for a packet pool", ""};
  const std::size_t chunk_bytes = (std::size_t{packets} + spares) * kChunkBytes;
  const std::uint32_t ring_packets = ring_capacity(packets + spares);
  const std::size_t ring_bytes = MpmcRing<PacketHandle>::bytes(ring_packets);
  std::byte* const ring = region.allocate(ring_bytes);
  pool->chunks_ = region.allocate(chunk_bytes);
  pool->caches_.reset(new (std::nothrow) PoolCache[caches]);
  if (ring == nullptr || pool->chunks_ == nullptr || !pool->caches_) {
    return Error{"the memory region of " + std::to_string(region.size()) +
                     " bytes has no room for " + std::to_string(packets) + " packets",
                 "limits"};
  }
  region.name_section(RegionSection::PacketRing, ring, ring_bytes);
  region.name_section(RegionSection::Packets, pool->chunks_, chunk_bytes);
  pool->base_ = region.base();
  pool->packets_ = packets;
  pool->spares_ = spares;
  pool->cache_count_ = caches;
  pool->ring_ = MpmcRing<PacketHandle>::create(ring, ring_packets);
  for (unsigned i = 0; i < caches; ++i) {
    PoolCache& cache = pool->caches_[i];
    // No cache may hoard what another one starves for: together at most half of the packets.
    cache.limit_ = std::min(PoolCache::kDepthMax, packets / (2 * caches));
    cache.ring_ = pool->ring_;
    cache.base_ = pool->base_;
    cache.chunks_ = {pool->chunks_, chunk_bytes};
    cache.page_bytes_ = region.page_bytes();
  }
  for (std::uint32_t i = 0; i < packets; ++i) {
    const Packet* chunk = reinterpret_cast<Packet*>(pool->chunks_ + std::size_t{i} * kChunkBytes);
    const PacketHandle handle = pool->handle(chunk);
    pool->ring_->enqueue_burst(&handle, 1);
  }
#if defined(__SANITIZE_ADDRESS__)
  ASAN_POISON_MEMORY_REGION(pool->chunks_, chunk_bytes);
#endif
  return pool;
}

PacketPool::~PacketPool() {
#if defined(__SANITIZE_ADDRESS__)
  if (chunks_ != nullptr) {
    ASAN_UNPOISON_MEMORY_REGION(chunks_, (std::size_t{packets_} + spares_) * kChunkBytes);
  }
#endif
}

std::uint32_t PacketPool::available() const noexcept {
  std::uint64_t total = ring_->size();
  for (unsigned i = 0; i < cache_count_; ++i) {
    // Relaxed: pairs with the stores in PoolCache; a figure, nothing is handed over by it.
    total += caches_[i].depth_.load(std::memory_order_relaxed);
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(total, packets_ + spares_));
}

}  // namespace sluice
