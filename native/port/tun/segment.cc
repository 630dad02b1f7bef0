#include "port/tun/segment.h"

#include <algorithm>
#include <cstring>

#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace sluice {
bool complete_checksum(const FrameHeader& header, std::span<std::byte> frame) noexcept {
  const std::size_t start = header.checksum_start;
  const std::size_t field = start + header.checksum_offset;
  if (field + 2 > frame.size()) return false;
  const std::uint16_t value = wire::checksum(frame.data() + start, frame.size() - start);
  // 0 and 0xffff are the same number, but in UDP 0 says that there is no checksum.
  wire::store16(frame.data() + field, value == 0 ? 0xffff : value);
  return true;
}

bool Segmenter::start(const FrameHeader& header, std::span<const std::byte> frame) noexcept {
  stop();
  position_ = 0;
  if (frame.size() < wire::kIpv4Bytes || frame.size() > kFrameBytesMax) return false;
  const std::uint8_t type = header.gso_type & static_cast<std::uint8_t>(~kFrameGsoEcn);
  const std::uint8_t version = wire::load8(frame.data()) >> 4;
  const bool is_tcp = type == kFrameGsoTcp4 || type == kFrameGsoTcp6;
  if ((!is_tcp && type != kFrameGsoUdp) || header.segment_bytes == 0) return false;
  if (type == kFrameGsoTcp4 ? version != 4 : type == kFrameGsoTcp6 && version != 6) return false;
  if (version != 4 && version != 6) return false;
  is_v6_ = version == 6;
  const std::size_t fixed = is_v6_ ? wire::kIpv6Bytes : (wire::load8(frame.data()) & 15) * 4u;
  // The kernel says where TCP or UDP starts whenever it leaves segmenting to us.
  if ((header.flags & kFrameNeedsChecksum) == 0 || fixed < wire::kIpv4Bytes) return false;
  upper_ = header.checksum_start;
  if (is_v6_ ? upper_ < fixed : upper_ != fixed) return false;
  if (upper_ + (is_tcp ? wire::kTcpBytes : wire::kUdpBytes) > frame.size()) return false;
  const std::size_t upper_bytes =
      is_tcp ? (wire::load8(frame.data() + upper_ + 12) >> 4) * 4u : wire::kUdpBytes;
  headers_ = upper_ + upper_bytes;
  if (is_tcp && upper_bytes < wire::kTcpBytes) return false;
  if (headers_ >= frame.size() || headers_ + header.segment_bytes > kPacketBytesMax) return false;
  protocol_ = is_tcp ? wire::kProtocolTcp : wire::kProtocolUdp;
  segment_ = header.segment_bytes;
  position_ = headers_;
  index_ = 0;
  frame_ = frame;
  return true;
}

std::uint32_t Segmenter::pseudo_header(const std::byte* packet, std::size_t length) const noexcept {
  const auto bytes = static_cast<std::uint16_t>(length - upper_);
  if (is_v6_) return wire::pseudo_header_v6(packet + 8, packet + 24, protocol_, bytes);
  return wire::pseudo_header_v4(wire::load32(packet + 12), wire::load32(packet + 16), protocol_,
                                bytes);
}

void Segmenter::finish_tcp(std::byte* packet, std::size_t length, bool first,
                           bool last) const noexcept {
  std::byte* tcp = packet + upper_;
  const std::uint32_t sequence = wire::load32(tcp + 4) + index_ * std::uint32_t{segment_};
  wire::store32(tcp + 4, sequence);
  std::uint8_t flags = wire::load8(tcp + 13);
  if (!last) flags &= static_cast<std::uint8_t>(~(wire::kTcpFin | wire::kTcpPush));
  if (!first) flags &= static_cast<std::uint8_t>(~wire::kTcpCwr);
  wire::store8(tcp + 13, flags);
  wire::store16(tcp + 16, 0);
  wire::store16(tcp + 16, wire::fold(wire::checksum_partial(tcp, length - upper_,
                                                            pseudo_header(packet, length))));
}

std::uint16_t Segmenter::next(std::byte* out) noexcept {
  const std::size_t payload = std::min<std::size_t>(segment_, frame_.size() - position_);
  const std::size_t length = headers_ + payload;
  std::memcpy(out, frame_.data(), headers_);
  std::memcpy(out + headers_, frame_.data() + position_, payload);
  position_ += payload;
  if (is_v6_) {
    wire::store16(out + 4, static_cast<std::uint16_t>(length - wire::kIpv6Bytes));
  } else {
    wire::store16(out + 2, static_cast<std::uint16_t>(length));
    wire::store16(out + 4, static_cast<std::uint16_t>(wire::load16(out + 4) + index_));
    wire::store16(out + 10, 0);
    wire::store16(out + 10, wire::checksum(out, upper_));
  }
  if (protocol_ == wire::kProtocolTcp) {
    finish_tcp(out, length, index_ == 0, done());
  } else {
    const auto bytes = static_cast<std::uint16_t>(length - upper_);
    wire::store16(out + upper_ + 4, bytes);
    wire::store16(out + upper_ + 6, 0);
    wire::fill_udp_checksum(out + upper_, bytes, pseudo_header(out, length));
  }
  ++index_;
  return static_cast<std::uint16_t>(length);
}

}  // namespace sluice
