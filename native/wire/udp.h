// The UDP header and its checksum over IPv4 and IPv6.
#pragma once
#include "base/types.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"

namespace sluice::wire {

inline constexpr std::size_t kUdpBytes = 8;
/// Of ESP in UDP (RFC 3948), at either end.
inline constexpr std::uint16_t kEspUdpPort = 4500;

struct UdpHeader {
  std::uint16_t source_port;
  std::uint16_t destination_port;
  std::uint16_t length;    ///< bytes, header included
  std::uint16_t checksum;  ///< host order; 0: none
};

/// Parses one UDP header.
/// @param bytes  [header | payload], network byte order.
/// @param n      bytes that IP says are there.
/// @param out    written only on success.
/// @return None, TruncatedPacket or BadUdpLength (below 8 or beyond n).
/// Threads: any; pure. Source: RFC 768.
inline DropReason parse_udp(const std::byte* bytes, std::size_t n, UdpHeader& out) noexcept {
  if (n < kUdpBytes) return DropReason::TruncatedPacket;
  const std::uint16_t length = load16(bytes + 4);
  if (length < kUdpBytes || length > n) return DropReason::BadUdpLength;
  out.source_port = load16(bytes);
  out.destination_port = load16(bytes + 2);
  out.length = length;
  out.checksum = load16(bytes + 6);
  return DropReason::None;
}

/// Whether the checksum of a parsed datagram is right; 0 says there is none, which IPv4
/// allows. Addresses in host order. Threads: any; pure. Source: RFC 768.
inline bool udp_checksum_good_v4(const std::byte* bytes, const UdpHeader& udp, std::uint32_t source,
                                 std::uint32_t destination) noexcept {
  if (udp.checksum == 0) return true;
  const std::uint32_t seed = pseudo_header_v4(source, destination, kProtocolUdp, udp.length);
  return fold(checksum_partial(bytes, udp.length, seed)) == 0;
}

/// Whether the checksum of a parsed datagram is right; 0 is wrong over IPv6. Addresses are
/// 16 bytes each in network order. Threads: any; pure. Source: RFC 8200 section 8.1.
inline bool udp_checksum_good_v6(const std::byte* bytes, const UdpHeader& udp,
                                 const std::byte* source, const std::byte* destination) noexcept {
  if (udp.checksum == 0) return false;
  const std::uint32_t seed = pseudo_header_v6(source, destination, kProtocolUdp, udp.length);
  return fold(checksum_partial(bytes, udp.length, seed)) == 0;
}

/// Writes a header without a checksum. Threads: any; pure. Source: RFC 768.
inline void write_udp(std::byte* bytes, std::uint16_t source_port, std::uint16_t destination_port,
                      std::uint16_t length) noexcept {
  store16(bytes, source_port);
  store16(bytes + 2, destination_port);
  store16(bytes + 4, length);
  store16(bytes + 6, 0);
}

/// Computes the checksum of a datagram whose checksum field is 0, and stores it.
/// @param seed    pseudo_header_v4() or pseudo_header_v6() for `length`.
/// @param length  bytes, header included.
/// Threads: any; pure. Source: RFC 768 (a computed 0 is sent as all ones).
inline void fill_udp_checksum(std::byte* bytes, std::uint16_t length, std::uint32_t seed) noexcept {
  const std::uint16_t value = fold(checksum_partial(bytes, length, seed));
  store16(bytes + 6, value == 0 ? 0xffff : value);
}

}  // namespace sluice::wire
