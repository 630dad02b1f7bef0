#include "port/memory_port.h"

namespace sluice {

namespace {
std::uint64_t bytes_of(Packet* const* packets, unsigned n) noexcept {
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < n; ++i) bytes += packets[i]->length;
  return bytes;
}
}  // namespace

std::unique_ptr<MemoryQueue::Ring, MemoryQueue::Free> MemoryQueue::make_ring() noexcept {
  void* memory = std::aligned_alloc(kCacheLine, Ring::bytes(kMemoryPortRing));
  if (memory == nullptr) return nullptr;
  return std::unique_ptr<Ring, Free>(Ring::create(memory, kMemoryPortRing));
}

MemoryQueue::MemoryQueue(PoolCache* cache, std::uint8_t port, bool is_sink) noexcept
    : cache_(cache), in_(make_ring()), out_(is_sink ? nullptr : make_ring()), port_(port) {}

unsigned MemoryQueue::rx(Packet** packets, unsigned max) noexcept {
  const unsigned n = in_->dequeue_burst(packets, max);
  if (n == 0) return 0;
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < n; ++i) {
    packets[i]->port = port_;
    bytes += packets[i]->length;
  }
  count(counters_.rx_packets, n);
  count(counters_.rx_bytes, bytes);
  return n;
}

unsigned MemoryQueue::tx(Packet* const* packets, unsigned count_offered) noexcept {
  unsigned n = count_offered;
  std::uint64_t bytes = bytes_of(packets, n);  // before they belong to somebody else
  if (out_ == nullptr) {
    cache_->free(packets, n);
  } else {
    n = out_->enqueue_burst(packets, n);
    if (n < count_offered) {
      bytes -= bytes_of(packets + n, count_offered - n);
      count(counters_.tx_full, count_offered - n);
    }
  }
  count(counters_.tx_packets, n);
  count(counters_.tx_bytes, bytes);
  return n;
}

void MemoryQueue::drain() noexcept {
  Packet* packets[64];
  while (const unsigned n = in_->dequeue_burst(packets, 64)) cache_->free(packets, n);
  if (out_ == nullptr) return;
  while (const unsigned n = out_->dequeue_burst(packets, 64)) cache_->free(packets, n);
}

Status MemoryPort::open(std::span<PoolCache* const> caches) {
  for (PoolCache* cache : caches) {
    auto queue = std::make_unique<MemoryQueue>(cache, index_, is_sink());
    if (queue->in_ == nullptr || (queue->out_ == nullptr && !is_sink())) {
      queues_.clear();
      return Error{"port \"" + config_.name + "\": no memory for the rings of " +
                       std::to_string(caches.size()) + " queues",
                   "driver"};
    }
    queues_.push_back(std::move(queue));
  }
  return Ok{};
}

void MemoryPort::close() noexcept {
  for (auto& queue : queues_) queue->drain();
  queues_.clear();
}

std::map<std::string, std::string> MemoryPort::capabilities() const {
  return {{"queues", std::to_string(queues_.size())}, {"sink", is_sink() ? "yes" : "no"}};
}

Result<std::unique_ptr<Port>> make_memory_port(const PortConfig& config, std::uint8_t index) {
  return std::unique_ptr<Port>(std::make_unique<MemoryPort>(config, index));
}

}  // namespace sluice
