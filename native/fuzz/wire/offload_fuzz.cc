// Fuzzes the offloads of a TUN queue. The first byte chooses: a frame header and a frame as
// the kernel might hand them over, to be taken apart; or packets as UEs might send them, to be
// joined, whose frames must come apart into the very same packets. Threads: one.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz/expect.h"
#include "port/tun/join.h"
#include "port/tun/segment.h"

namespace sluice {
namespace {

void segment(const std::byte* bytes, std::size_t size) {
  FrameHeader header;
  if (size < sizeof header) return;
  std::memcpy(&header, bytes, sizeof header);
  std::vector<std::byte> frame(bytes + sizeof header, bytes + size);
  Segmenter segmenter;
  if (segmenter.start(header, frame)) {
    std::size_t packets = 0;
    while (!segmenter.done()) {
      const auto out = std::make_unique<std::byte[]>(kPacketBytesMax);
      const std::uint16_t length = segmenter.next(out.get());
      fuzz::expect(length > 0 && length <= kPacketBytesMax);
      fuzz::expect(++packets <= frame.size());
    }
  } else {
    fuzz::expect(segmenter.done());
  }
  const std::vector<std::byte> before = frame;
  if (!complete_checksum(header, frame)) fuzz::expect(frame == before);
}

/// Packets of a length of 16 bits each, in chunks of memory of their own.
std::vector<std::unique_ptr<std::byte[]>> read_packets(const std::byte* bytes, std::size_t size) {
  std::vector<std::unique_ptr<std::byte[]>> chunks;
  while (size >= 2 && chunks.size() < kJoinPacketsMax) {
    const std::size_t claimed =
        static_cast<std::size_t>(bytes[0]) << 8 | static_cast<std::size_t>(bytes[1]);
    bytes += 2;
    size -= 2;
    const std::size_t length = std::min({claimed, size, std::size_t{kPacketBytesMax}});
    // The packet ends where its memory does, so that a read past it is seen.
    chunks.push_back(std::make_unique<std::byte[]>(kCoreDataOffset + length));
    auto* packet = reinterpret_cast<Packet*>(chunks.back().get());
    packet->offset = kCoreDataOffset;
    packet->length = static_cast<std::uint16_t>(length);
    std::copy_n(bytes, length, packet->data());
    bytes += length;
    size -= length;
  }
  return chunks;
}

void join(const std::byte* bytes, std::size_t size) {
  const auto chunks = read_packets(bytes, size);
  std::vector<Packet*> packets;
  for (const auto& chunk : chunks) packets.push_back(reinterpret_cast<Packet*>(chunk.get()));
  const auto plan = std::make_unique<JoinPlan>();
  plan->build(packets, {true, true});
  std::vector<bool> seen(packets.size());
  for (unsigned f = 0; f < plan->frames(); ++f) {
    iovec pieces[kJoinPacketsMax + 2];
    const unsigned used = plan->pieces(f, pieces);
    FrameHeader header;
    std::memcpy(&header, pieces[0].iov_base, sizeof header);
    std::vector<std::byte> frame;
    for (unsigned i = 1; i < used; ++i) {
      const auto* from = static_cast<const std::byte*>(pieces[i].iov_base);
      frame.insert(frame.end(), from, from + pieces[i].iov_len);
    }
    Segmenter segmenter;
    const bool is_joined = header.gso_type != kFrameGsoNone;
    if (is_joined) fuzz::expect(segmenter.start(header, frame));
    plan->for_each(f, [&](unsigned i) {
      fuzz::expect(!seen[i]);
      seen[i] = true;
      const std::vector<std::byte> want(packets[i]->data(),
                                        packets[i]->data() + packets[i]->length);
      std::vector<std::byte> got = frame;
      if (is_joined) {
        fuzz::expect(!segmenter.done());
        got.resize(kPacketBytesMax);
        got.resize(segmenter.next(got.data()));
        // Identifications that mean nothing may be numbered anew, and the checksum with them.
        if (static_cast<unsigned>(want[0]) >> 4 == 4 &&
            (want[6] & std::byte{0x40}) != std::byte{0}) {
          std::copy_n(want.begin() + 4, 2, got.begin() + 4);
          std::copy_n(want.begin() + 10, 2, got.begin() + 10);
        }
      }
      fuzz::expect(got == want);
    });
    fuzz::expect(segmenter.done());
  }
  fuzz::expect(std::find(seen.begin(), seen.end(), false) == seen.end());
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto* bytes = reinterpret_cast<const std::byte*>(data) + 1;
  if (data[0] % 2 == 0) {
    sluice::segment(bytes, size - 1);
  } else {
    sluice::join(bytes, size - 1);
  }
  return 0;
}
