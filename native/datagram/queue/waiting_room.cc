#include "datagram/queue/waiting_room.h"

#include <algorithm>
#include <cassert>
#include <new>

namespace sluice::datagram {
namespace {

/// Of the free chunks, what one queue may hold, as a shift to the right.
constexpr std::array<unsigned, kClasses> kShareShift = {0, 1, 2};

}  // namespace

WaitingRoom::WaitingRoom(std::uint32_t chunks)
    : count_(chunks),
      free_(chunks),
      chunks_(std::make_unique_for_overwrite<Chunk[]>(chunks)),
      next_(std::make_unique_for_overwrite<std::uint32_t[]>(chunks)) {}

std::uint32_t WaitingRoom::chunks_for(std::size_t length) noexcept {
  if (length <= kFirstBytes) return 1;
  return static_cast<std::uint32_t>(1 + (length - kFirstBytes + kChunkBytes - 1) / kChunkBytes);
}

bool WaitingRoom::admits(const Queue& queue, Class of, std::size_t length) const noexcept {
  const std::uint32_t more = chunks_for(length);
  const std::uint32_t share = free_ >> kShareShift[static_cast<unsigned>(of)];
  return more <= free_ && queue.chunks + more <= share;
}

std::uint32_t WaitingRoom::take_chunk() noexcept {
  std::uint32_t chunk = free_list_;
  if (chunk != kNoChunk) {
    free_list_ = next_[chunk];
  } else {
    chunk = untouched_++;
    assert(chunk < count_);
  }
  --free_;
  return chunk;
}

void WaitingRoom::append(Queue& queue, const Header& header, const std::byte* bytes,
                         Nanoseconds now) noexcept {
  const std::size_t length = header.length;
  const std::uint32_t head = take_chunk();
  First& start = first(head);
  start = {header, now, kNoChunk, chunks_for(length)};
  const std::size_t in_first = std::min(length, kFirstBytes);
  if (in_first > 0) std::memcpy(&start + 1, bytes, in_first);
  std::uint32_t at = head;
  for (std::size_t done = in_first; done < length;) {
    const std::uint32_t chunk = take_chunk();
    const std::size_t part = std::min<std::size_t>(length - done, kChunkBytes);
    std::memcpy(chunks_[chunk].bytes.data(), bytes + done, part);
    next_[at] = chunk;
    at = chunk;
    done += part;
  }
  next_[at] = kNoChunk;
  if (queue.last == kNoChunk) {
    queue.first = head;
  } else {
    first(queue.last).next_datagram = head;
  }
  queue.last = head;
  queue.chunks += start.chunks;
  ++datagrams_;
}

const Header& WaitingRoom::front(const Queue& queue) const noexcept {
  return first(queue.first).header;
}
Nanoseconds WaitingRoom::front_since(const Queue& queue) const noexcept {
  return first(queue.first).since;
}

void WaitingRoom::take(Queue& queue, std::byte* to) noexcept {
  const std::uint32_t head = queue.first;
  const First& start = first(head);
  std::size_t left = start.header.length;
  const std::size_t in_first = std::min(left, kFirstBytes);
  std::memcpy(to, &start + 1, in_first);
  to += in_first;
  left -= in_first;
  queue.first = start.next_datagram;
  if (queue.first == kNoChunk) queue.last = kNoChunk;
  queue.chunks -= start.chunks;
  free_ += start.chunks;
  --datagrams_;
  std::uint32_t at = head;
  while (next_[at] != kNoChunk) {
    at = next_[at];
    const std::size_t part = std::min<std::size_t>(left, kChunkBytes);
    std::memcpy(to, chunks_[at].bytes.data(), part);
    to += part;
    left -= part;
  }
  next_[at] = free_list_;
  free_list_ = head;
}

void WaitingRoom::move_all(Queue& from, Queue& to) noexcept {
  if (from.first == kNoChunk) return;
  if (to.last == kNoChunk) {
    to.first = from.first;
  } else {
    first(to.last).next_datagram = from.first;
  }
  to.last = from.last;
  to.chunks += from.chunks;
  from = {};
}

}  // namespace sluice::datagram
