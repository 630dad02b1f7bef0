#include "memory/packet_pool.h"

#include <algorithm>
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

std::uint32_t PoolCache::take(MpmcRing<PacketHandle>& ring, Packet** out,
                              std::uint32_t n) noexcept {
  PacketHandle handles[kRun];
  std::uint32_t got = 0;
  while (got < n) {
    const unsigned run = ring.dequeue_burst(handles, std::min(kRun, n - got));
    if (run == 0) break;
    for (unsigned i = 0; i < run; ++i) {
      out[got + i] = reinterpret_cast<Packet*>(base_ + std::size_t{handles[i]} * kCacheLine);
    }
    got += run;
  }
  return got;
}

// Takes up to n packets from the rings alone: from other nodes' when its own has no more.
std::uint32_t PoolCache::refill(Packet** out, std::uint32_t n) noexcept {
  std::uint32_t got = take(*ring_, out, n);
  for (const PacketPool::Share& share : pool_->shares_) {
    if (got == n) break;
    if (share.ring != ring_) got += take(*share.ring, out + got, n - got);
  }
  return got;
}

// To the rings of the nodes that they are of, in runs.
void PoolCache::spill_home(const PacketHandle* handles, std::uint32_t n) noexcept {
  const auto home = [&](PacketHandle handle) {
    const std::byte* chunk = base_ + std::size_t{handle} * kCacheLine;
    return pool_->share_of_chunk(static_cast<std::size_t>(chunk - chunks_.data()) / kChunkBytes);
  };
  for (std::uint32_t from = 0; from < n;) {
    const unsigned share = home(handles[from]);
    std::uint32_t to = from + 1;
    while (to < n && home(handles[to]) == share) ++to;
    // The ring has a slot for every packet of its node, so it takes them all unless one of them
    // was freed twice.
    const unsigned taken = pool_->shares_[share].ring->enqueue_burst(handles + from, to - from);
    assert(taken == to - from);
    (void)taken;
    from = to;
  }
}

void PoolCache::spill(Packet* const* packets, std::uint32_t n) noexcept {
  PacketHandle handles[kRun];
  for (std::uint32_t done = 0; done < n;) {
    const std::uint32_t run = std::min(kRun, n - done);
    for (std::uint32_t i = 0; i < run; ++i) {
      const auto* chunk = reinterpret_cast<const std::byte*>(packets[done + i]);
      handles[i] = static_cast<PacketHandle>(static_cast<std::size_t>(chunk - base_) / kCacheLine);
    }
    spill_home(handles, run);
    done += run;
  }
}

// Hands out what the stack has, then from rings, and refills the stack by half of its limit, from
// its own ring alone.
unsigned PoolCache::allocate_from_ring(Packet** out, unsigned n) noexcept {
  const std::uint32_t depth = depth_.load(std::memory_order_relaxed);
  std::copy_n(stack_.data(), depth, out);
  const unsigned got = depth + refill(out + depth, n - depth);
  // Relaxed: as in allocate().
  depth_.store(take(*ring_, stack_.data(), limit_ / 2), std::memory_order_relaxed);
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
  const std::uint32_t chunks = std::max(packets + spares, 1U);
  // Rings of several shares round up each; caches hold pointers, so they are not part of the
  // region.
  const std::size_t rings =
      caches > 2 ? Ring::bytes(2 * ring_capacity(chunks)) + caches * (Ring::bytes(2) + kCacheLine)
                 : Ring::bytes(ring_capacity(chunks));
  return std::size_t{chunks} * kChunkBytes + rings + 2 * kCacheLine;
}

/// A share for each node, by the number of caches that are there.
void PacketPool::divide(std::span<const unsigned> nodes, unsigned caches) {
  if (nodes.empty()) {
    shares_.push_back({0, packets_ + spares_, nullptr});
    return;
  }
  std::vector<std::uint32_t> weights;
  for (const unsigned node : nodes) {
    const auto found = std::find_if(shares_.begin(), shares_.end(),
                                    [node](const Share& share) { return share.node == node; });
    const auto share = static_cast<std::size_t>(found - shares_.begin());
    if (found == shares_.end()) {
      shares_.push_back({node, 0, nullptr});
      weights.push_back(0);
    }
    ++weights[share];
    share_of_cache_.push_back(static_cast<std::uint8_t>(share));
  }
  if (shares_.size() == 1) {
    share_of_cache_.clear();
    shares_[0].chunks = packets_ + spares_;
    return;
  }
  std::uint64_t before = 0;
  for (std::size_t share = 0; share < shares_.size(); ++share) {
    before += weights[share];
    homes_.resize(before * packets_ / caches, static_cast<std::uint8_t>(share));
  }
  const std::uint32_t spares_each = std::max(1U, spares_ / std::max(1U, caches - 1));
  for (std::uint32_t i = 0; i < spares_; ++i) {
    homes_.push_back(share_of_cache_[std::min(i / spares_each, std::max(1U, caches - 1) - 1)]);
  }
  for (const std::uint8_t home : homes_) ++shares_[home].chunks;
}

bool PacketPool::make_rings(Region& region) noexcept {
  for (Share& share : shares_) {
    const std::uint32_t capacity = ring_capacity(std::max(share.chunks, 2U));
    void* const memory = region.allocate(Ring::bytes(capacity));
    if (memory == nullptr) return false;
    share.ring = Ring::create(memory, capacity);
  }
  return true;
}

/// Runs of chunks to their nodes, as far as whole pages go.
void PacketPool::bind(Region& region) {
  for (std::size_t from = 0; from < homes_.size() && shares_.size() > 1;) {
    std::size_t to = from + 1;
    while (to < homes_.size() && homes_[to] == homes_[from]) ++to;
    const auto node = static_cast<int>(shares_[homes_[from]].node);
    const Status bound = region.bind(chunks_ + from * kChunkBytes, (to - from) * kChunkBytes, node);
    if (!bound) warning_ = bound.error().message;
    from = to;
  }
}

Result<std::unique_ptr<PacketPool>> PacketPool::create(Region& region, std::uint32_t packets,
                                                       unsigned caches, std::uint32_t spares,
                                                       std::span<const unsigned> nodes) {
  constexpr std::uint32_t kPacketsMax = 1U << 30;
  if (packets == 0 || packets > kPacketsMax || spares > kPacketsMax || caches == 0) {
    return Error{"a packet pool has at least one packet and one cache", "limits"};
  }
  std::unique_ptr<PacketPool> pool(new (std::nothrow) PacketPool);
  if (!pool) return Error{"no memory for a packet pool", ""};
  const std::size_t chunk_bytes = (std::size_t{packets} + spares) * kChunkBytes;
  pool->base_ = region.base();
  pool->packets_ = packets;
  pool->spares_ = spares;
  pool->cache_count_ = caches;
  pool->divide(nodes, caches);
  const bool has_rings = pool->make_rings(region);
  pool->chunks_ = region.allocate(chunk_bytes);
  pool->caches_.reset(new (std::nothrow) PoolCache[caches]);
  if (!has_rings || pool->chunks_ == nullptr || !pool->caches_) {
    return Error{"the memory region of " + std::to_string(region.size()) +
                     " bytes has no room for " + std::to_string(packets) + " packets",
                 "limits"};
  }
  region.name_section(RegionSection::Packets, pool->chunks_, chunk_bytes);
  pool->bind(region);
  for (unsigned i = 0; i < caches; ++i) {
    PoolCache& cache = pool->caches_[i];
    // No cache may hoard what another one starves for: together at most half of the packets.
    cache.limit_ = std::min(PoolCache::kDepthMax, packets / (2 * caches));
    cache.pool_ = pool.get();
    cache.ring_ = pool->shares_[pool->share_of_cache(i)].ring;
    cache.base_ = pool->base_;
    cache.chunks_ = {pool->chunks_, chunk_bytes};
    cache.page_bytes_ = region.page_bytes();
  }
  for (std::uint32_t i = 0; i < packets; ++i) {
    const Packet* chunk = reinterpret_cast<Packet*>(pool->chunks_ + std::size_t{i} * kChunkBytes);
    const PacketHandle handle = pool->handle(chunk);
    pool->shares_[pool->share_of_chunk(i)].ring->enqueue_burst(&handle, 1);
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
  std::uint64_t total = 0;
  for (const Share& share : shares_) total += share.ring->size();
  for (unsigned i = 0; i < cache_count_; ++i) {
    // Relaxed: pairs with the stores in PoolCache; a figure, nothing is handed over by it.
    total += caches_[i].depth_.load(std::memory_order_relaxed);
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(total, packets_ + spares_));
}

}  // namespace sluice
