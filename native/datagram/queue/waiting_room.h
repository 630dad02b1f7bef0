// Where received datagrams wait for their turn: queues of linked chunks in one bounded store.
// How much one queue may hold depends on how much of the store is free (dynamic thresholds, as
// shared-memory switches have them), by class, so that a queue that grows leaves room for all
// others and establishments are shed first. Owner: the datagram thread. Start at WaitingRoom.
#pragma once
#include <array>
#include <memory>
#include <vector>

#include "datagram/datagram.h"

namespace sluice::datagram {

inline constexpr std::uint32_t kNoChunk = ~0u;

/// A queue of datagrams of one class from one peer or group; all zero chunks when empty.
struct Queue {
  std::uint32_t first = kNoChunk, last = kNoChunk;  // first chunks of datagrams
  std::uint32_t chunks = 0;
};

class WaitingRoom {
 public:
  static constexpr std::uint32_t kChunkBytes = 512;
  /// The largest datagram takes 129 chunks.
  explicit WaitingRoom(std::uint32_t chunks);

  /// Whether a datagram of this length may join the queue now.
  bool admits(const Queue& queue, Class of, std::size_t length) const noexcept;
  /// Appends a datagram that admits() has agreed to. header.length counts.
  void append(Queue& queue, const Header& header, const std::byte* bytes, Nanoseconds now) noexcept;
  /// Header of the first datagram and when it came; the queue is not empty.
  const Header& front(const Queue& queue) const noexcept;
  Nanoseconds front_since(const Queue& queue) const noexcept;
  /// Copies the payload of the first datagram and removes it.
  void take(Queue& queue, std::byte* to) noexcept;
  /// Appends everything of `from` to `to`.
  void move_all(Queue& from, Queue& to) noexcept;

  std::uint32_t datagrams() const noexcept { return datagrams_; }
  std::uint32_t free_chunks() const noexcept { return free_; }

 private:
  /// At the start of a datagram's first chunk; its payload begins behind it.
  struct First {
    Header header;
    Nanoseconds since;
    std::uint32_t next_datagram;
    std::uint32_t chunks;
  };
  struct alignas(kCacheLine) Chunk {
    std::array<std::byte, kChunkBytes> bytes;
  };
  static constexpr std::size_t kFirstBytes = kChunkBytes - sizeof(First);
  static std::uint32_t chunks_for(std::size_t length) noexcept;
  First& first(std::uint32_t chunk) noexcept {
    return *reinterpret_cast<First*>(chunks_[chunk].bytes.data());
  }
  const First& first(std::uint32_t chunk) const noexcept {
    return *reinterpret_cast<const First*>(chunks_[chunk].bytes.data());
  }
  std::uint32_t take_chunk() noexcept;

  const std::uint32_t count_;
  std::uint32_t free_;           // chunks in no queue
  std::uint32_t untouched_ = 0;  // chunks from here on were never used: no memory behind them
  std::uint32_t free_list_ = kNoChunk;
  std::uint32_t datagrams_ = 0;
  std::unique_ptr<Chunk[]> chunks_;
  std::unique_ptr<std::uint32_t[]> next_;  // within a datagram, or in the free list
};

}  // namespace sluice::datagram
