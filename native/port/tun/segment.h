// Taking apart what the kernel hands over in one piece: a TCP or UDP super-frame of up to
// 64 KB becomes the packets that a wire would carry, and a checksum that the kernel left
// to the hardware is filled in. Pure functions over the caller's bytes; any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/packet.h"

namespace sluice {

/// What stands before each frame on a TUN queue: struct virtio_net_hdr, machine byte order.
/// Source: VIRTIO 1.2 section 5.1.6 in its legacy byte order; Linux if_tun.h IFF_VNET_HDR.
struct FrameHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_bytes = 0;     ///< a hint; nothing relies on it
  std::uint16_t segment_bytes = 0;    ///< payload of each segment but the last
  std::uint16_t checksum_start = 0;   ///< from the IP header's start
  std::uint16_t checksum_offset = 0;  ///< of the field, from checksum_start
};
static_assert(sizeof(FrameHeader) == 10);

inline constexpr std::uint8_t kFrameNeedsChecksum = 1;
inline constexpr std::uint8_t kFrameGsoNone = 0;
inline constexpr std::uint8_t kFrameGsoTcp4 = 1;
inline constexpr std::uint8_t kFrameGsoTcp6 = 4;
inline constexpr std::uint8_t kFrameGsoUdp = 5;
inline constexpr std::uint8_t kFrameGsoEcn = 0x80;
/// Largest frame that the kernel makes: 64 KB of IPv6 payload after its header.
inline constexpr std::size_t kFrameBytesMax = 65535 + 40;

/// Fills in a checksum that was left to the hardware (the field holds the pseudo header's sum).
/// @return false, with nothing written, if the field lies outside of the frame.
bool complete_checksum(const FrameHeader& header, std::span<std::byte> frame) noexcept;

/// One super-frame on its way into segments; borrows the frame's bytes until done().
/// Lengths, sequence numbers, identification, flags and checksums of each segment are those
/// that the sender's own stack would have written (RFC 9293, RFC 768, RFC 3168 for CWR).
class Segmenter {
 public:
  /// @return false if the frame contradicts its header, or a segment would exceed a packet.
  bool start(const FrameHeader& header, std::span<const std::byte> frame) noexcept;
  bool done() const noexcept { return position_ >= frame_.size(); }
  void stop() noexcept { frame_ = {}; }
  /// Writes the next segment, at most kPacketBytesMax bytes.
  /// @return its length. Precondition: not done().
  std::uint16_t next(std::byte* out) noexcept;

 private:
  std::uint32_t pseudo_header(const std::byte* packet, std::size_t length) const noexcept;
  void finish_tcp(std::byte* packet, std::size_t length, bool first, bool last) const noexcept;

  std::span<const std::byte> frame_;
  std::size_t position_ = 0;  // of the next payload byte
  std::size_t upper_ = 0;     // where TCP or UDP starts
  std::size_t headers_ = 0;   // bytes of all headers
  std::uint16_t segment_ = 0;
  std::uint16_t index_ = 0;
  std::uint8_t protocol_ = 0;
  bool is_v6_ = false;
};

}  // namespace sluice
