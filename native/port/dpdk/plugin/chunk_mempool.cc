#include "port/dpdk/plugin/chunk_mempool.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::dpdk {
namespace {

constexpr unsigned kRun = 64;
constexpr const char* kOperations = "sluice";

/// The cache of the queue whose turn it is on this thread; nullptr: a thread of DPDK's.
thread_local void* this_cache = nullptr;

}  // namespace

/// What DPDK calls for memory. The mempool's config is the ChunkMempool.
struct Operations {
  static ChunkMempool& of(const rte_mempool* mempool) noexcept {
    return *static_cast<ChunkMempool*>(mempool->pool_config);
  }
  static int alloc(rte_mempool*) { return 0; }
  static void free(rte_mempool*) {}
  // DPDK gives each object once when it fills a mempool; these chunks are in the pool already.
  static int enqueue(rte_mempool* mempool, void* const* objects, unsigned n) {
    if (of(mempool).mempool_ != nullptr) of(mempool).enqueue(objects, n);
    return 0;
  }
  static int dequeue(rte_mempool* mempool, void** objects, unsigned n) {
    return of(mempool).dequeue(objects, n);
  }
  static unsigned count(const rte_mempool* mempool) { return of(mempool).available(); }

  /// Makes them known, once a process.
  static bool enter() {
    static const int index = [] {
      rte_mempool_ops operations{};
      std::strncpy(operations.name, kOperations, sizeof operations.name - 1);
      operations.alloc = alloc;
      operations.free = free;
      operations.enqueue = enqueue;
      operations.dequeue = dequeue;
      operations.get_count = count;
      return rte_mempool_register_ops(&operations);
    }();
    return index >= 0;
  }
};

ChunkMempool::ChunkMempool(const DpdkPool& pool)
    : pool_(pool),
      caches_(pool.caches, pool.caches + pool.queues),
      count_(static_cast<unsigned>(pool.bytes / kChunkBytes)),
      away_(std::make_unique<std::uint8_t[]>(count_)) {
  pool_.caches = caches_.data();
  rte_mbuf_ext_refcnt_set(&shared_, 1);
}

std::unique_ptr<ChunkMempool> ChunkMempool::create(const DpdkPool& pool, const std::string& name,
                                                   std::size_t room) {
  std::unique_ptr<ChunkMempool> made(new ChunkMempool(pool));
  if (!Operations::enter() || !made->populate(name, room)) return nullptr;
  return made;
}

bool ChunkMempool::populate(const std::string& name, std::size_t room) {
  // Never seen by a device, so plain memory; large pages where the kernel has them.
  mbuf_bytes_ = count_ * kStride;
  void* const memory = ::mmap(nullptr, mbuf_bytes_, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  mbufs_ = static_cast<std::byte*>(memory);
  ::madvise(memory, mbuf_bytes_, MADV_HUGEPAGE);
  rte_mempool* const mempool = rte_mempool_create_empty(
      name.c_str(), count_, sizeof(rte_mbuf), 0, sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY,
      RTE_MEMPOOL_F_NO_SPREAD | RTE_MEMPOOL_F_NO_IOVA_CONTIG);
  if (mempool == nullptr) return false;
  rte_pktmbuf_pool_private kind{};
  kind.mbuf_data_room_size = static_cast<std::uint16_t>(room);
  kind.flags = RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF;
  const bool is_done =
      mempool->header_size + mempool->elt_size + mempool->trailer_size == kStride &&
      rte_mempool_set_ops_byname(mempool, kOperations, this) == 0 &&
      (rte_pktmbuf_pool_init(mempool, &kind), true) &&
      rte_mempool_populate_iova(mempool, static_cast<char*>(memory), RTE_BAD_IOVA, mbuf_bytes_,
                                nullptr, nullptr) == static_cast<int>(count_);
  if (!is_done) {
    rte_mempool_free(mempool);
    return false;
  }
  for (unsigned i = 0; i < count_; ++i) {
    rte_mbuf* const m = mbuf(i);
    std::memset(static_cast<void*>(m), 0, sizeof *m);
    m->buf_addr = chunk(i);
    m->buf_iova = reinterpret_cast<rte_iova_t>(chunk(i));  // devices see addresses as we do
    m->buf_len = kChunkBytes;
    m->data_off = RTE_PKTMBUF_HEADROOM;
    m->pool = mempool;
    m->nb_segs = 1;
    m->port = RTE_MBUF_PORT_INVALID;
    m->ol_flags = RTE_MBUF_F_EXTERNAL;
    m->shinfo = &shared_;
    rte_mbuf_refcnt_set(m, 1);
  }
  mempool_ = mempool;
  return true;
}

ChunkMempool::~ChunkMempool() {
  take_strays();
  for (unsigned i = 0; i < count_; ++i) {
    Packet* packet = chunk(i);
    if (away_[i] != 0) pool_.free(caches_[0], &packet, 1);
  }
  if (mempool_ != nullptr) rte_mempool_free(mempool_);
  if (mbufs_ != nullptr) ::munmap(mbufs_, mbuf_bytes_);
}

ChunkMempool::Turn::Turn(const ChunkMempool& pool, unsigned queue) noexcept {
  this_cache = pool.caches_[queue];
}
ChunkMempool::Turn::~Turn() { this_cache = nullptr; }

/// Devices only ask whether there is any at all; the pool knows better than to be counted here.
unsigned ChunkMempool::available() const noexcept { return count_; }

int ChunkMempool::dequeue(void** objects, unsigned n) noexcept {
  if (this_cache == nullptr) return -ENOBUFS;
  // Relaxed: pairs with the store in enqueue(); the mutex orders the rest.
  if (has_strays_.load(std::memory_order_relaxed)) [[unlikely]]
    take_strays();
  unsigned done = 0;
  while (done < n) {
    std::array<Packet*, kRun> packets;
    const unsigned want = std::min(kRun, n - done);
    const unsigned got = pool_.allocate(this_cache, packets.data(), want);
    for (unsigned i = 0; i < got; ++i) objects[done + i] = give(packets[i]);
    done += got;
    if (got < want) {
      enqueue(objects, done);  // all or none
      return -ENOBUFS;
    }
  }
  return 0;
}

void ChunkMempool::enqueue(void* const* objects, unsigned n) noexcept {
  for (unsigned done = 0; done < n;) {
    std::array<Packet*, kRun> packets;
    const unsigned run = std::min(kRun, n - done);
    for (unsigned i = 0; i < run; ++i) {
      packets[i] = take(static_cast<const rte_mbuf*>(objects[done + i]));
    }
    if (this_cache != nullptr) [[likely]] {
      pool_.free(this_cache, packets.data(), run);
    } else {
      const std::lock_guard lock(strays_mutex_);
      strays_.insert(strays_.end(), packets.begin(), packets.begin() + run);
      has_strays_.store(true, std::memory_order_relaxed);
    }
    done += run;
  }
}

void ChunkMempool::take_strays() noexcept {
  const std::lock_guard lock(strays_mutex_);
  void* const cache = this_cache != nullptr ? this_cache : caches_[0];
  for (Packet* packet : strays_) pool_.free(cache, &packet, 1);
  strays_.clear();
  has_strays_.store(false, std::memory_order_relaxed);
}

}  // namespace sluice::dpdk
