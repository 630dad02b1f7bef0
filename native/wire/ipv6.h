// The IPv6 header and the walk along its extension headers.
#pragma once
#include "base/types.h"
#include "wire/ipv4.h"

namespace sluice::wire {

inline constexpr std::size_t kIpv6Bytes = 40;
inline constexpr unsigned kIpv6ExtensionsMax = 8;
inline constexpr std::uint8_t kProtocolNone = 59;

struct Ipv6Header {
  std::uint32_t total_length;  ///< bytes, header included; up to 65,575
  std::uint32_t flow_label;    ///< 20 bits
  std::uint8_t traffic_class;
  std::uint8_t next_header;
  std::uint8_t hop_limit;
};

/// Parses the fixed header; the addresses are the 16 bytes at offsets 8 and 24.
/// @param bytes  [header | extension headers | payload], network byte order.
/// @param out    written only on success.
/// @return None, TruncatedPacket or BadIpVersion.
/// Threads: any; pure. Source: RFC 8200 section 3. Jumbograms (RFC 2675) are not followed.
inline DropReason parse_ipv6(const std::byte* bytes, std::size_t n, Ipv6Header& out) noexcept {
  if (n < kIpv6Bytes) return DropReason::TruncatedPacket;
  const std::uint32_t word = load32(bytes);
  if (word >> 28 != 6) return DropReason::BadIpVersion;
  const std::uint32_t total_length = kIpv6Bytes + load16(bytes + 4);
  if (total_length > n) return DropReason::TruncatedPacket;
  out.total_length = total_length;
  out.flow_label = word & 0xfffff;
  out.traffic_class = static_cast<std::uint8_t>(word >> 20);
  out.next_header = load8(bytes + 6);
  out.hop_limit = load8(bytes + 7);
  return DropReason::None;
}

/// Where the walk along the extension headers ended.
struct Ipv6Upper {
  std::uint8_t protocol;          ///< upper protocol; of the original packet in a fragment
  std::uint8_t extensions;        ///< headers walked, 0 to 8
  std::uint16_t offset;           ///< bytes from the start of the IPv6 header to the upper layer
  std::uint16_t fragment_offset;  ///< bytes
  bool more_fragments;
  bool is_fragment;  ///< an atomic fragment (offset 0, no more) is none: RFC 6946
  bool has_ah;
  std::uint32_t ah_spi;  ///< of the first authentication header
};

/// Walks hop-by-hop, routing, fragment, AH, destination options, mobility, HIP and Shim6
/// headers; stops at the first other protocol, and at the data of a later fragment.
/// @param bytes         the IPv6 header, network byte order.
/// @param total_length  as parsed, in bytes; nothing beyond is read.
/// @param out           written only on success.
/// @return None, TruncatedPacket (a header past the end), BadIpHeader (hop-by-hop not first,
///         a fragment past 65,535) or ExtensionLimit.
/// Bounds: at most kIpv6ExtensionsMax steps. Threads: any; pure.
/// Source: RFC 8200 section 4, RFC 4302, RFC 6275, RFC 7045, RFC 7112.
DropReason walk_ipv6(const std::byte* bytes, std::uint32_t total_length, Ipv6Upper& out) noexcept;

/// What write_ipv6() puts into a header; addresses are 16 bytes each in network order.
struct Ipv6Fields {
  const std::byte* source;
  const std::byte* destination;
  std::uint16_t payload_length;  ///< bytes after the header
  std::uint8_t next_header = kProtocolUdp;
  std::uint8_t traffic_class = 0;
  std::uint8_t hop_limit = 64;
  std::uint32_t flow_label = 0;  ///< 20 bits
};

/// Writes a header of 40 bytes. Threads: any; pure. Source: RFC 8200 section 3.
inline void write_ipv6(std::byte* bytes, const Ipv6Fields& fields) noexcept {
  store32(bytes, 0x60000000u | static_cast<std::uint32_t>(fields.traffic_class) << 20 |
                     (fields.flow_label & 0xfffff));
  store16(bytes + 4, fields.payload_length);
  store16(bytes + 6, static_cast<std::uint16_t>(fields.next_header << 8 | fields.hop_limit));
  std::memcpy(bytes + 8, fields.source, 16);
  std::memcpy(bytes + 24, fields.destination, 16);
}

}  // namespace sluice::wire
