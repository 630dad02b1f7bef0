// The IPv4 header.
#pragma once
#include "base/types.h"
#include "wire/checksum.h"

namespace sluice::wire {

inline constexpr std::size_t kIpv4Bytes = 20;
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolDccp = 33;
inline constexpr std::uint8_t kProtocolEsp = 50;
inline constexpr std::uint8_t kProtocolAh = 51;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kProtocolSctp = 132;
inline constexpr std::uint8_t kProtocolUdpLite = 136;

struct Ipv4Header {
  std::uint32_t source;         ///< host order
  std::uint32_t destination;    ///< host order
  std::uint16_t header_length;  ///< bytes, 20 to 60
  std::uint16_t total_length;   ///< bytes, header included; a longer buffer has padding
  std::uint16_t identification;
  std::uint16_t fragment_offset;  ///< bytes
  std::uint8_t protocol;
  std::uint8_t tos;
  std::uint8_t ttl;
  bool dont_fragment;
  bool more_fragments;
  bool is_fragment;  ///< more_fragments, or an offset
};

/// Parses one IPv4 header. The checksum is a question of its own: ipv4_checksum_good().
/// @param bytes  [header | options | payload], network byte order.
/// @param out    written only on success.
/// @return None, TruncatedPacket, BadIpVersion or BadIpHeader.
/// Threads: any; pure. Source: RFC 791 section 3.1.
inline DropReason parse_ipv4(const std::byte* bytes, std::size_t n, Ipv4Header& out) noexcept {
  if (n < kIpv4Bytes) return DropReason::TruncatedPacket;
  const std::uint8_t first = load8(bytes);
  if (first >> 4 != 4) return DropReason::BadIpVersion;
  const auto header_length = static_cast<std::uint16_t>((first & 15) * 4);
  const std::uint16_t total_length = load16(bytes + 2);
  if (header_length < kIpv4Bytes || total_length < header_length) return DropReason::BadIpHeader;
  if (total_length > n) return DropReason::TruncatedPacket;
  const std::uint16_t fragment = load16(bytes + 6);
  out.source = load32(bytes + 12);
  out.destination = load32(bytes + 16);
  out.header_length = header_length;
  out.total_length = total_length;
  out.identification = load16(bytes + 4);
  out.fragment_offset = static_cast<std::uint16_t>(fragment << 3);
  out.protocol = load8(bytes + 9);
  out.tos = load8(bytes + 1);
  out.ttl = load8(bytes + 8);
  out.dont_fragment = (fragment & 0x4000) != 0;
  out.more_fragments = (fragment & 0x2000) != 0;
  out.is_fragment = (fragment & 0x3fff) != 0;
  return DropReason::None;
}

/// Whether the header's checksum is right; `header_length` as parsed, in bytes.
/// Threads: any; pure. Source: RFC 791 section 3.1.
inline bool ipv4_checksum_good(const std::byte* bytes, std::uint16_t header_length) noexcept {
  return checksum(bytes, header_length) == 0;
}

/// What write_ipv4() puts into a header without options.
struct Ipv4Fields {
  std::uint32_t source;        ///< host order
  std::uint32_t destination;   ///< host order
  std::uint16_t total_length;  ///< bytes, header included
  std::uint16_t identification = 0;
  std::uint8_t protocol = kProtocolUdp;
  std::uint8_t tos = 0;
  std::uint8_t ttl = 64;
  bool dont_fragment = true;
};

/// Writes a header of 20 bytes with its checksum. Threads: any; pure. Source: RFC 791.
inline void write_ipv4(std::byte* bytes, const Ipv4Fields& fields) noexcept {
  store16(bytes, static_cast<std::uint16_t>(0x4500 | fields.tos));
  store16(bytes + 2, fields.total_length);
  store16(bytes + 4, fields.identification);
  store16(bytes + 6, fields.dont_fragment ? 0x4000 : 0);
  store16(bytes + 8, static_cast<std::uint16_t>(fields.ttl << 8 | fields.protocol));
  store16(bytes + 10, 0);
  store32(bytes + 12, fields.source);
  store32(bytes + 16, fields.destination);
  store16(bytes + 10, checksum(bytes, kIpv4Bytes));
}

}  // namespace sluice::wire
