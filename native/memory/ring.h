// Bounded lock-free queues between threads, with DPDK's semantics: burst takes what there
// is, bulk all or nothing; nothing waits for room. SpscRing, MpscRing and MpmcRing are one
// class over two kinds of ends, and lie in memory of the caller (a region, so that another
// process can map them: no pointers inside). Start at BasicRing.
//
// Positions count up for ever in 64 bits; slot = position & mask. A line of 64 bytes has one
// writing side: a producer reads the consumer's line only when the limit it saw is used up.
// Between two written lines lies an empty one, since processors fetch lines in pairs.
#pragma once
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <thread>
#include <type_traits>

#include "base/clock.h"
#include "base/types.h"
#include "memory/copy.h"

namespace sluice {

/// One side of a ring that a single thread works on. `room`: what may lie between the
/// opposite position and ours (the capacity for a producer, 0 for a consumer).
class alignas(kCacheLine) SingleEnd {
 public:
  struct Claim {
    std::uint64_t position;
    unsigned count;
    bool in_turn = true;  // all claims before this one were published already
  };
  /// Claims up to n slots, or exactly n or none when `whole`.
  template <class Opposite>
  [[gnu::always_inline]] Claim claim(const Opposite& opposite, std::uint64_t room, unsigned n,
                                     bool whole) noexcept {
    // Only this thread writes done_, so relaxed reads its own last store.
    const std::uint64_t position = done_.load(std::memory_order_relaxed);
    std::uint64_t available = limit_seen_ - position;
    if (available < n) [[unlikely]] {
      limit_seen_ = opposite.done() + room;
      available = limit_seen_ - position;
      if (available < n) return {position, whole ? 0 : static_cast<unsigned>(available)};
    }
    return {position, n};
  }
  [[gnu::always_inline]] void publish(const Claim& claim) noexcept {
    // Release: pairs with the acquire in the opposite end's done(): slots before position.
    done_.store(claim.position + claim.count, std::memory_order_release);
  }
  [[gnu::always_inline]] std::uint64_t done() const noexcept {
    // Acquire: pairs with the release in publish() of this end.
    return done_.load(std::memory_order_acquire);
  }
  void start(std::uint64_t limit) noexcept { limit_seen_ = limit; }
  void advance(std::uint64_t position) noexcept {
    limit_seen_ = position;
    // Release: pairs with the acquire in done(): the slots were read before.
    done_.store(position, std::memory_order_release);
  }

 private:
  std::atomic<std::uint64_t> done_{0};
  std::uint64_t limit_seen_ = 0;  // this side's own
  [[maybe_unused]] alignas(kCacheLine) std::byte empty_[kCacheLine] = {};
};

/// One side of a ring that several threads work on: slots are claimed by compare and swap,
/// and published in the order of the claims. What the opposite side reads (done_) is not on
/// the line over which this side's threads compete.
class SharedEnd {
 public:
  using Claim = SingleEnd::Claim;
  template <class Opposite>
  [[gnu::always_inline]] Claim claim(const Opposite& opposite, std::uint64_t room, unsigned n,
                                     bool whole) noexcept {
    // Relaxed: the slots' content is ordered by done() of the opposite end, not by claimed_.
    std::uint64_t position = claimed_.load(std::memory_order_relaxed);
    for (;;) {
      unsigned count = n;
      // Acquire: pairs with the release of limit_seen_ below, so that whoever uses a limit
      // seen by another thread also sees the slots which that thread saw published.
      std::uint64_t available = limit_seen_.load(std::memory_order_acquire) - position;
      if (static_cast<std::int64_t>(available) < static_cast<std::int64_t>(n)) [[unlikely]] {
        const std::uint64_t limit = opposite.done() + room;
        // Release: pairs with the acquire above. A late store of an older limit only makes
        // the next thread look again.
        limit_seen_.store(limit, std::memory_order_release);
        available = limit - position;
        // Negative: others have claimed beyond the position that was read; read it again.
        if (static_cast<std::int64_t>(available) < static_cast<std::int64_t>(n)) {
          const std::uint64_t again = claimed_.load(std::memory_order_relaxed);
          if (again != position) {
            position = again;
            continue;
          }
          count = whole || static_cast<std::int64_t>(available) < 0
                      ? 0
                      : static_cast<unsigned>(available);
        }
      }
      if (count == 0) return {position, 0};
      // Read before the swap, behind which it would wait; when the swap succeeds, nobody has
      // claimed since, so it still tells. Acquire: as in publish(), which it saves a look.
      const bool in_turn = done_.load(std::memory_order_acquire) == position;
      // Relaxed on success: nothing is handed over by the claim itself; see publish().
      if (claimed_.compare_exchange_weak(position, position + count, std::memory_order_relaxed,
                                         std::memory_order_relaxed)) {
        return {position, count, in_turn};
      }
    }
  }
  [[gnu::always_inline]] void publish(const Claim& claim) noexcept {
    // Acquire: pairs with the release below of the thread whose claim precedes this one, so
    // that done() of the last publisher carries the slots of all before it.
    if (!claim.in_turn) [[unlikely]] {
      for (unsigned spins = 0; done_.load(std::memory_order_acquire) != claim.position; ++spins) {
        wait(spins);
      }
    }
    // Release: pairs with the acquire in done() and with the one above.
    done_.store(claim.position + claim.count, std::memory_order_release);
  }
  [[gnu::always_inline]] std::uint64_t done() const noexcept {
    // Acquire: pairs with the release in publish() of this end.
    return done_.load(std::memory_order_acquire);
  }
  void start(std::uint64_t limit) noexcept {
    // Relaxed: the ring is not shared yet.
    limit_seen_.store(limit, std::memory_order_relaxed);
  }

 private:
  // Only while another thread of this side is between claim and publish: some nanoseconds,
  // unless the kernel took its core, which then is what the yield is for.
  [[gnu::noinline, gnu::cold]] static void wait(unsigned spins) noexcept {
    if (spins > 1000) {
      std::this_thread::yield();
      return;
    }
    spin_pause();
  }

  alignas(kCacheLine) std::atomic<std::uint64_t> claimed_{0};
  std::atomic<std::uint64_t> limit_seen_{0};
  [[maybe_unused]] alignas(kCacheLine) std::byte empty_[kCacheLine] = {};
  alignas(kCacheLine) std::atomic<std::uint64_t> done_{0};
  [[maybe_unused]] alignas(kCacheLine) std::byte empty_too_[kCacheLine] = {};
};

/// A bounded queue of trivially copyable objects. Threads: as many on either side as the end's
/// kind allows. Placed by create() into memory that the caller owns and outlives it with.
template <class T, class Producer, class Consumer>
class BasicRing {
 public:
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= kCacheLine);

  /// Memory that create() needs, a multiple of 64. `capacity`: a power of two.
  static constexpr std::size_t bytes(std::uint32_t capacity) noexcept {
    const std::size_t slots = std::size_t{capacity} * sizeof(T);
    return sizeof(BasicRing) + (slots + kCacheLine - 1) / kCacheLine * kCacheLine;
  }
  /// Makes an empty ring in `memory`, which is aligned to 64 and bytes(capacity) long.
  static BasicRing* create(void* memory, std::uint32_t capacity) noexcept {
    assert(std::has_single_bit(capacity) && memory != nullptr);
    assert(reinterpret_cast<std::uintptr_t>(memory) % kCacheLine == 0);
    return new (memory) BasicRing(capacity);
  }
  BasicRing(const BasicRing&) = delete;
  BasicRing& operator=(const BasicRing&) = delete;

  /// Puts the first n' <= n objects there is room for; returns n'. Threads: producer.
  [[gnu::always_inline]] unsigned enqueue_burst(const T* objects, unsigned n) noexcept {
    return put(objects, n, false);
  }
  /// Puts all n objects or none. Threads: producer.
  [[gnu::always_inline]] bool enqueue_bulk(const T* objects, unsigned n) noexcept {
    return put(objects, n, true) == n;
  }
  /// Takes up to n objects, oldest first; returns how many. Threads: consumer.
  [[gnu::always_inline]] unsigned dequeue_burst(T* objects, unsigned n) noexcept {
    return take(objects, n, false);
  }
  /// Takes n objects or none. Threads: consumer.
  [[gnu::always_inline]] bool dequeue_bulk(T* objects, unsigned n) noexcept {
    return take(objects, n, true) == n;
  }
  // Taking in two steps: objects are looked at where they lie, and given up later, so that a
  // process that dies in between leaves them in the ring. For a single consumer.
  /// Position behind the last object that was put in. Threads: any.
  std::uint64_t produced() const noexcept { return producer_.done(); }
  /// Position of the first object that was not given up. Threads: any.
  std::uint64_t consumed() const noexcept { return consumer_.done(); }
  /// The object at a position between the two. Threads: consumer.
  const T& at(std::uint64_t position) const noexcept {
    return reinterpret_cast<const T*>(this + 1)[position & mask_];
  }
  /// Gives up everything before `position`. Threads: consumer.
  void release(std::uint64_t position) noexcept { consumer_.advance(position); }

  /// Objects inside; exact when both sides rest, else a moment's view. Threads: any.
  std::uint32_t size() const noexcept {
    const std::uint64_t taken = consumer_.done();
    const std::uint64_t inside = producer_.done() - taken;
    return inside > capacity() ? capacity() : static_cast<std::uint32_t>(inside);
  }
  std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(mask_ + 1); }
  /// False: no ring has such a capacity; of memory that another process left. Threads: any.
  bool is_sound() const noexcept {
    return mask_ < ~std::uint32_t{0} && std::has_single_bit(mask_ + 1);
  }

 private:
  explicit BasicRing(std::uint32_t capacity) noexcept : mask_(capacity - 1) {
    producer_.start(capacity);
    consumer_.start(0);
  }
  T* slots() noexcept { return reinterpret_cast<T*>(this + 1); }

  [[gnu::always_inline]] unsigned put(const T* objects, unsigned n, bool whole) noexcept {
    const auto claim = producer_.claim(consumer_, mask_ + 1, n, whole);
    if (claim.count == 0) [[unlikely]]
      return 0;
    const std::uint64_t first = claim.position & mask_;
    const std::uint64_t straight = mask_ + 1 - first;
    if (claim.count <= straight) [[likely]] {
      copy_burst(slots() + first, objects, claim.count);
    } else {
      copy_burst(slots() + first, objects, static_cast<unsigned>(straight));
      copy_burst(slots(), objects + straight, claim.count - static_cast<unsigned>(straight));
    }
    producer_.publish(claim);
    return claim.count;
  }

  [[gnu::always_inline]] unsigned take(T* objects, unsigned n, bool whole) noexcept {
    const auto claim = consumer_.claim(producer_, 0, n, whole);
    if (claim.count == 0) [[unlikely]]
      return 0;
    const std::uint64_t first = claim.position & mask_;
    const std::uint64_t straight = mask_ + 1 - first;
    if (claim.count <= straight) [[likely]] {
      copy_burst(objects, slots() + first, claim.count);
    } else {
      copy_burst(objects, slots() + first, static_cast<unsigned>(straight));
      copy_burst(objects + straight, slots(), claim.count - static_cast<unsigned>(straight));
    }
    consumer_.publish(claim);
    return claim.count;
  }

  Producer producer_;
  Consumer consumer_;
  alignas(kCacheLine) const std::uint64_t mask_;
};

/// One producer thread, one consumer thread.
template <class T>
using SpscRing = BasicRing<T, SingleEnd, SingleEnd>;
/// Any number of producers, one consumer.
template <class T>
using MpscRing = BasicRing<T, SharedEnd, SingleEnd>;
/// Any number of either.
template <class T>
using MpmcRing = BasicRing<T, SharedEnd, SharedEnd>;

}  // namespace sluice
