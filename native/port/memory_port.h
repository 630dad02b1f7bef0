// Driver "memory": per queue a pair of rings, whose far ends are in this process: tests,
// benches and tools put packets in and take them out there.
// Threads: rx() and tx() of a queue belong to its worker, inject() of that queue to one
// other thread, collect() to one other; all four may run at once.
//
// Every packet comes from one pool: the far ends allocate and free by a cache of their own.
#pragma once
#include <cstdlib>
#include <vector>

#include "memory/packet_pool.h"
#include "memory/ring.h"
#include "port/port.h"

namespace sluice {

/// Packets that a ring of a memory port holds.
inline constexpr std::uint32_t kMemoryPortRing = 4096;

class MemoryQueue final : public PortQueue {
 public:
  MemoryQueue(PoolCache* cache, std::uint8_t port, bool is_sink) noexcept;
  unsigned rx(Packet** packets, unsigned max) noexcept override;
  unsigned tx(Packet* const* packets, unsigned count) noexcept override;
  /// Frees what is left in both rings. Thread: control, while no other uses the queue.
  void drain() noexcept;

 private:
  friend class MemoryPort;
  using Ring = SpscRing<Packet*>;
  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  static std::unique_ptr<Ring, Free> make_ring() noexcept;

  PoolCache* cache_;
  std::unique_ptr<Ring, Free> in_;
  std::unique_ptr<Ring, Free> out_;  ///< null for a sink
  std::uint8_t port_;
};

/// A device name in the configuration says that this port stands in for that device (an N6
/// for which there was no right to make a TUN), and that nobody collects: what is sent is
/// then freed and counted. Without a device the far ends are open.
class MemoryPort final : public Port {
 public:
  MemoryPort(PortConfig config, std::uint8_t index) : Port(std::move(config), index) {}
  ~MemoryPort() override { MemoryPort::close(); }
  Status open(std::span<PoolCache* const> caches) override;
  PortQueue& queue(unsigned worker) noexcept override { return *queues_[worker]; }
  void close() noexcept override;
  std::map<std::string, std::string> capabilities() const override;

  bool is_sink() const noexcept { return !config_.device.empty(); }
  unsigned queues() const noexcept { return static_cast<unsigned>(queues_.size()); }

  /// Puts packets before a queue's worker: offset, length and flags as they shall arrive there.
  /// Takes ownership of the first n, n being returned; the rest stays with the caller.
  unsigned inject(unsigned queue, Packet* const* packets, unsigned n) noexcept {
    return queues_[queue]->in_->enqueue_burst(packets, n);
  }
  /// Takes up to n packets that the queue's worker has sent, oldest first; they belong to the
  /// caller. Returns how many; always 0 for a sink.
  unsigned collect(unsigned queue, Packet** packets, unsigned n) noexcept {
    MemoryQueue::Ring* ring = queues_[queue]->out_.get();
    return ring == nullptr ? 0 : ring->dequeue_burst(packets, n);
  }

 private:
  std::vector<std::unique_ptr<MemoryQueue>> queues_;
};

/// Makes a port of driver "memory"; it has nothing to refuse before open().
Result<std::unique_ptr<Port>> make_memory_port(const PortConfig& config, std::uint8_t index);

}  // namespace sluice
