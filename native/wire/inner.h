// The packet of a UE: what the rules match on, taken from its IPv4 or IPv6 header.
#pragma once
#include <array>

#include "base/types.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace sluice::wire {

/// Addresses are words in host order as in session/record.h: an IPv4 address is the first
/// word and the others are 0, an IPv6 address has its most significant word first.
struct InnerPacket {
  std::uint8_t version;           ///< 4 or 6
  std::uint8_t protocol;          ///< upper protocol, after the IPv6 extension headers
  std::uint8_t tos;               ///< type of service or traffic class
  bool is_fragment;               ///< first, middle or last
  std::uint16_t header_length;    ///< bytes up to the upper layer, extension headers included
  std::uint16_t fragment_offset;  ///< bytes
  std::uint32_t total_length;     ///< bytes that IP says; what the buffer has beyond is padding
  std::array<std::uint32_t, 4> source;
  std::array<std::uint32_t, 4> destination;
  bool has_ports;  ///< false for later fragments, and for protocols without ports
  bool has_spi;    ///< ESP or AH
  std::uint16_t source_port;
  std::uint16_t destination_port;
  std::uint32_t spi;
  std::uint32_t flow_label;  ///< 20 bits; 0 for IPv4
};

constexpr bool protocol_has_ports(std::uint8_t protocol) noexcept {
  return protocol == kProtocolTcp || protocol == kProtocolUdp || protocol == kProtocolSctp ||
         protocol == kProtocolDccp || protocol == kProtocolUdpLite;
}

/// The first words of the upper layer into `out`, of which `n` bytes are there.
void parse_inner_upper(const std::byte* bytes, std::size_t n, InnerPacket& out) noexcept;

/// parse_inner() for a packet whose first nibble is 6.
DropReason parse_inner_v6(const std::byte* bytes, std::size_t n, InnerPacket& out) noexcept;

/// parse_inner() for a packet whose first nibble is 4.
inline DropReason parse_inner_v4(const std::byte* bytes, std::size_t n, InnerPacket& out) noexcept {
  Ipv4Header header;
  if (parse_ipv4(bytes, n, header) != DropReason::None) return DropReason::InnerMalformed;
  const std::uint16_t upper = header.header_length;
  const std::uint32_t payload = static_cast<std::uint32_t>(header.total_length) - upper;
  if (header.fragment_offset + payload > 0xffff) return DropReason::InnerMalformed;
  out = InnerPacket{};
  out.version = 4;
  out.protocol = header.protocol;
  out.tos = header.tos;
  out.is_fragment = header.is_fragment;
  out.header_length = upper;
  out.fragment_offset = header.fragment_offset;
  out.total_length = header.total_length;
  out.source[0] = header.source;
  out.destination[0] = header.destination;
  if (header.fragment_offset == 0) parse_inner_upper(bytes + upper, payload, out);
  return DropReason::None;
}

/// Parses a UE's packet: a G-PDU's payload, or what comes from the data network.
/// @param bytes  [IP header | upper layer], network byte order.
/// @param n      bytes there; what is beyond the IP total length is ignored.
/// @param out    written only on success. A port-carrying protocol with fewer than four bytes
///               of upper layer has no ports, so that no filter on ports matches it.
/// @return None, EmptyPayload (n is 0), ExtensionLimit or InnerMalformed.
/// Bounds: at most kIpv6ExtensionsMax extension headers. Threads: any; pure.
/// Source: RFC 791, RFC 8200, RFC 7112.
inline DropReason parse_inner(const std::byte* bytes, std::size_t n, InnerPacket& out) noexcept {
  if (n == 0) return DropReason::EmptyPayload;
  const unsigned version = load8(bytes) >> 4;
  if (version == 4) return parse_inner_v4(bytes, n, out);
  if (version == 6) return parse_inner_v6(bytes, n, out);
  return DropReason::InnerMalformed;
}

}  // namespace sluice::wire
