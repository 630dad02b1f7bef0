// A packet: one fixed-size chunk of the pool, owned by exactly one thread at a time.
//
// Chunk layout (kChunkBytes, an odd number of cache lines so that consecutive
// chunks spread over the L1's sets instead of aliasing as 2048 would):
//
//   0      20                      64       84
//   | Packet | outer header of v4 (44) | inner header ...      received on access
//   | Packet | room for a v6 outer header (64)  | inner ...    received on core
//
// so that metadata and the headers which the packet path reads or writes lie in
// the chunk's first two lines, and every outer header can be written in place.
#pragma once
#include <cstddef>
#include <cstdint>

namespace sluice {

inline constexpr std::size_t kChunkBytes = 33 * 64;
/// Where a driver puts the first byte of an outer IP header, from the chunk's start.
inline constexpr std::uint16_t kAccessDataOffset = 20;
/// Where a driver puts the first byte of a plain IP packet: 64 bytes of room before it.
inline constexpr std::uint16_t kCoreDataOffset = 84;
/// Largest IP packet that a chunk takes at kCoreDataOffset.
inline constexpr std::uint16_t kPacketBytesMax = kChunkBytes - kCoreDataOffset;

/// Metadata at the start of each chunk. Owner: the thread that holds the packet.
struct Packet {
  std::uint16_t offset;   ///< first data byte, from the start of the chunk
  std::uint16_t length;   ///< bytes of data: one whole IP packet
  std::uint8_t port;      ///< index of the port that received it
  std::uint8_t flags;     ///< kPacket… bits
  std::uint8_t captures;  ///< with kPacketCaptured: bit n, capture n wants it when it is sent
  std::uint8_t far;       ///< kPacketCaptured: low octet of the ID of the FAR, behind match
  std::uint32_t session;  ///< hand-off, and kPacketCaptured: session index that was found
  std::uint32_t word;     ///< kPacketCaptured: PDR that matched, low half of the incarnation
  std::uint32_t tag;      ///< kPacketProtected, or held; else free for a driver or a test

  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this) + offset; }
  const std::byte* data() const noexcept {
    return reinterpret_cast<const std::byte*>(this) + offset;
  }
};
static_assert(sizeof(Packet) == kAccessDataOffset);

/// The driver or kernel has verified the outer checksums (or there is none on this medium).
inline constexpr std::uint8_t kPacketOuterChecksumGood = 1;
/// The inner transport checksum is still to be filled in (a partial checksum of the kernel).
inline constexpr std::uint8_t kPacketInnerChecksumPartial = 2;
/// It came out of the pipeline once and went in again: it does not do so twice.
inline constexpr std::uint8_t kPacketReentered = 4;
/// A capture of its session copies it on its way out, too.
inline constexpr std::uint8_t kPacketCaptured = 8;
/// A copy that a FAR asked for.
inline constexpr std::uint8_t kPacketCopy = 16;

/// It came under a protection, whose number is in `tag`; behind forward, `tag` is the one to
/// seal it with.
inline constexpr std::uint8_t kPacketProtected = 32;
/// On its way to the worker that has its security association.
inline constexpr std::uint8_t kPacketSealed = 64;
/// Its GTP-U header has a PDCP number, which goes on into another tunnel.
inline constexpr std::uint8_t kPacketPdcpNumber = 128;

/// A packet made of another is in the captures of that one.
inline void mark_like(Packet& packet, const Packet& origin) noexcept {
  packet.flags = static_cast<std::uint8_t>(packet.flags | (origin.flags & kPacketCaptured));
  packet.captures = origin.captures;
  packet.far = origin.far;
  packet.session = origin.session;
  packet.word = origin.word;
}

/// A packet's name across threads and processes: its offset in the region ÷ 64.
using PacketHandle = std::uint32_t;

/// Whether it has come under a protection.
inline bool came_protected(const Packet& packet, std::uint16_t protection) noexcept {
  return (packet.flags & kPacketProtected) != 0 && packet.tag == protection;
}

}  // namespace sluice
