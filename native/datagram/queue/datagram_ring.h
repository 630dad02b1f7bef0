// A bounded queue of datagrams between two threads: each lies in one piece behind its header,
// in memory that the owner gives and that a reader may look into (TypeScript does). Positions
// count octets for ever in 64 bits; what does not fit before the end begins at the start again,
// behind a header of family 0. Nothing waits for room.
#pragma once
#include <atomic>
#include <bit>
#include <cassert>
#include <cstring>

#include "datagram/datagram.h"

namespace sluice::datagram {

/// One producer, one consumer.
class DatagramRing {
 public:
  /// Any datagram fits at any position of an empty ring of this size.
  static constexpr std::size_t kBytesMin = 4 * 65'536;

  /// @param memory  aligned to 64; `bytes` of it, a power of two of at least kBytesMin.
  DatagramRing(std::byte* memory, std::size_t bytes) noexcept : memory_(memory), bytes_(bytes) {
    assert(std::has_single_bit(bytes) && bytes >= kBytesMin);
    assert(reinterpret_cast<std::uintptr_t>(memory) % kCacheLine == 0);
  }
  DatagramRing(const DatagramRing&) = delete;
  DatagramRing& operator=(const DatagramRing&) = delete;

  /// Octets that a datagram takes.
  static constexpr std::size_t record_bytes(std::size_t length) noexcept {
    return sizeof(Header) + (length + kCacheLine - 1) / kCacheLine * kCacheLine;
  }

  /// Room for a datagram, or null; filled by the caller, then commit(). header.length and
  /// .offset are set. At most one reservation at a time. Thread: producer.
  Header* reserve(std::size_t length) noexcept {
    assert(length <= kDatagramBytesMax);
    const std::size_t record = record_bytes(length);
    std::size_t at = head_seen_ & (bytes_ - 1);
    const std::size_t straight = bytes_ - at;
    const std::size_t skipped = record > straight ? straight : 0;
    if (head_seen_ + skipped + record - tail_limit_ > bytes_) {
      // Acquire: pairs with the release in release(): the consumer has read before it.
      tail_limit_ = tail_.load(std::memory_order_acquire);
      if (head_seen_ + skipped + record - tail_limit_ > bytes_) return nullptr;
    }
    if (skipped > 0) {
      new (memory_ + at) Header{};
      at = 0;
    }
    reserved_ = head_seen_ + skipped + record;
    auto* header = new (memory_ + at) Header{};
    header->length = static_cast<std::uint32_t>(length);
    header->offset = static_cast<std::uint32_t>(at + sizeof(Header));
    return header;
  }
  /// Where the payload of a reserved or taken datagram lies.
  static std::byte* payload(Header* header) noexcept {
    return reinterpret_cast<std::byte*>(header + 1);
  }
  static const std::byte* payload(const Header* header) noexcept {
    return reinterpret_cast<const std::byte*>(header + 1);
  }
  /// Hands the reserved datagram over. Thread: producer.
  void commit() noexcept {
    head_seen_ = reserved_;
    // Release: pairs with the acquire in next(): header and payload come before it.
    head_.store(head_seen_, std::memory_order_release);
  }

  /// The next datagram that was not looked at yet, or null; stays until release().
  /// Thread: consumer.
  const Header* next() noexcept {
    for (;;) {
      if (read_ == head_limit_) {
        // Acquire: pairs with the release in commit().
        head_limit_ = head_.load(std::memory_order_acquire);
        if (read_ == head_limit_) return nullptr;
      }
      const std::size_t at = read_ & (bytes_ - 1);
      const auto* header = reinterpret_cast<const Header*>(memory_ + at);
      if (header->family != 0) {
        read_ += record_bytes(header->length);
        return header;
      }
      read_ += bytes_ - at;
    }
  }
  /// Gives up all that was looked at. Thread: consumer.
  void release() noexcept {
    // Release: pairs with the acquire in reserve().
    tail_.store(read_, std::memory_order_release);
  }
  /// Position of the next datagram to look at; go_back() to it looks at what followed again.
  /// Thread: consumer.
  std::uint64_t read_position() const noexcept { return read_; }
  void go_back(std::uint64_t position) noexcept { read_ = position; }

  /// Whether something was committed that was not looked at. Threads: consumer exactly;
  /// any other for a moment's view.
  bool empty() const noexcept { return read_ == head_.load(std::memory_order_acquire); }
  /// Whether something was not given up. Threads: any, for a moment's view.
  bool drained() const noexcept {
    return tail_.load(std::memory_order_acquire) == head_.load(std::memory_order_acquire);
  }

 private:
  std::byte* const memory_;
  const std::size_t bytes_;
  // The producer's line.
  alignas(kCacheLine) std::atomic<std::uint64_t> head_{0};
  std::uint64_t head_seen_ = 0, reserved_ = 0, tail_limit_ = 0;
  // The consumer's line.
  alignas(kCacheLine) std::atomic<std::uint64_t> tail_{0};
  std::uint64_t read_ = 0, head_limit_ = 0;
};

}  // namespace sluice::datagram
