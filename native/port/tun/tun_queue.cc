#include "port/tun/tun_queue.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

// Whether a failed write may succeed later; anything else is the packet's own fault.
bool is_full(int error) noexcept { return error == EAGAIN || error == ENOBUFS || error == ENOMEM; }

}  // namespace

TunQueue::TunQueue(int fd, std::uint8_t port, PoolCache& cache, JoinOffloads offloads)
    : fd_(fd),
      port_(port),
      offloads_(offloads),
      cache_(cache),
      chunks_(cache),
      staging_(std::make_unique_for_overwrite<std::byte[]>(kPacketBytesMax + kFrameBytesMax)) {}

TunQueue::~TunQueue() { ::close(fd_); }

void TunQueue::finish(Packet* packet, std::uint16_t length) noexcept {
  packet->offset = kCoreDataOffset;
  packet->length = length;
  packet->port = port_;
  packet->flags = 0;
}

TunQueue::Frame TunQueue::read_frame(Packet* packet) noexcept {
  FrameHeader header;
  std::byte* data = reinterpret_cast<std::byte*>(packet) + kCoreDataOffset;
  iovec pieces[3] = {{&header, sizeof header},
                     {data, kPacketBytesMax},
                     {staging_.get() + kPacketBytesMax, kFrameBytesMax}};
  const ssize_t got = ::readv(fd_, pieces, 3);
  if (got < 0) return Frame::None;
  if (got <= static_cast<ssize_t>(sizeof header)) return Frame::Refused;
  const std::size_t length = static_cast<std::size_t>(got) - sizeof header;
  if (header.gso_type == kFrameGsoNone) {
    if (length > kPacketBytesMax) return Frame::Refused;
    if ((header.flags & kFrameNeedsChecksum) != 0 && !complete_checksum(header, {data, length})) {
      return Frame::Refused;
    }
    finish(packet, static_cast<std::uint16_t>(length));
    return Frame::Packet;
  }
  std::memcpy(staging_.get(), data, std::min<std::size_t>(length, kPacketBytesMax));
  return segmenter_.start(header, {staging_.get(), length}) ? Frame::Segments : Frame::Refused;
}

unsigned TunQueue::rx(Packet** packets, unsigned max) noexcept {
  unsigned received = 0;
  std::uint64_t bytes = 0;
  // Refused frames count as tries, so that a flood of them cannot hold the worker.
  for (unsigned tries = 0; tries < max; ++tries) {
    Packet* packet = chunks_.take();
    if (packet == nullptr) {
      count(counters_.rx_no_buffer, 1);
      break;
    }
    const Frame frame = segmenter_.done() ? read_frame(packet) : Frame::Segments;
    if (frame == Frame::Segments) {
      finish(packet, segmenter_.next(reinterpret_cast<std::byte*>(packet) + kCoreDataOffset));
    } else if (frame != Frame::Packet) {
      chunks_.give(packet);
      if (frame == Frame::None) break;
      count(counters_.rx_errors, 1);
      continue;
    }
    bytes += packet->length;
    packets[received++] = packet;
  }
  chunks_.release();
  count(counters_.rx_packets, received);
  count(counters_.rx_bytes, bytes);
  return received;
}

int TunQueue::write_frame(unsigned frame) noexcept {
  iovec pieces[kJoinPacketsMax + 2];
  const unsigned used = plan_.pieces(frame, pieces);
  while (::writev(fd_, pieces, static_cast<int>(used)) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

unsigned TunQueue::tx_burst(std::span<Packet* const> packets) noexcept {
  plan_.build(packets, offloads_);
  unsigned end = 0;  // one past the last packet that was dealt with
  unsigned sent = 0;
  std::uint64_t bytes = 0;
  for (unsigned frame = 0; frame < plan_.frames(); ++frame) {
    const int error = write_frame(frame);
    if (is_full(error)) break;
    plan_.for_each(frame, [&](unsigned position) {
      end = std::max(end, position + 1);
      if (error != 0) return;
      ++sent;
      bytes += packets[position]->length;
    });
  }
  // Packets of a frame that was not written, but before others that were, cannot go back.
  count(counters_.tx_errors, end - sent);
  count(counters_.tx_packets, sent);
  count(counters_.tx_bytes, bytes);
  cache_.free(packets.data(), end);
  return end;
}

unsigned TunQueue::tx(Packet* const* packets, unsigned count) noexcept {
  unsigned taken = 0;
  while (taken < count) {
    const unsigned burst = std::min(count - taken, kJoinPacketsMax);
    const unsigned n = tx_burst({packets + taken, burst});
    taken += n;
    if (n < burst) break;
  }
  PortQueue::count(counters_.tx_full, count - taken);
  return taken;
}

}  // namespace sluice
