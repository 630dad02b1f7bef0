// The internet checksum: whole, in parts, over pseudo headers, and updated in place.
// A partial sum is a plain sum of 16-bit words in host order, so that parts, pseudo
// headers and single fields can be added in any order before it is folded.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "wire/bytes.h"

namespace sluice::wire {

/// Adds `n` bytes to a partial sum.
/// @param bytes  network byte order, any alignment.
/// @param n      bytes; even in every part but the last (an odd end is padded with 0).
/// @param seed   partial sum of what came before.
/// @return       a partial sum of less than 2^18.
/// Threads: any; pure. Source: RFC 1071.
std::uint32_t checksum_partial(const std::byte* bytes, std::size_t n,
                               std::uint32_t seed = 0) noexcept;

/// Folds a partial sum into the checksum field's value (complemented, host order).
/// Threads: any; pure. Source: RFC 1071.
constexpr std::uint16_t fold(std::uint32_t sum) noexcept {
  // In the upper half stands what both halves add up to, with the carry of the lower one.
  sum += sum << 16 | sum >> 16;
  return static_cast<std::uint16_t>(~sum >> 16);
}

/// Checksum field's value over `n` bytes; 0 if the bytes hold their own right checksum.
/// Threads: any; pure. Source: RFC 1071.
inline std::uint16_t checksum(const std::byte* bytes, std::size_t n) noexcept {
  return fold(checksum_partial(bytes, n));
}

/// Partial sum of an IPv4 pseudo header; addresses in host order, `length` in bytes of the
/// transport header with its payload. Threads: any; pure. Source: RFC 768, RFC 9293.
constexpr std::uint32_t pseudo_header_v4(std::uint32_t source, std::uint32_t destination,
                                         std::uint8_t protocol, std::uint16_t length) noexcept {
  return (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff) +
         protocol + length;
}

/// Partial sum of an IPv6 pseudo header; addresses are 16 bytes each in network order,
/// `length` in bytes of the upper layer. Threads: any; pure. Source: RFC 8200 section 8.1.
inline std::uint32_t pseudo_header_v6(const std::byte* source, const std::byte* destination,
                                      std::uint8_t protocol, std::uint32_t length) noexcept {
  const std::uint32_t sum = (length >> 16) + (length & 0xffff) + protocol;
  return checksum_partial(destination, 16, checksum_partial(source, 16, sum));
}

/// New checksum field after one 16-bit field changed; all in host order.
/// Threads: any; pure. Source: RFC 1624, equation 3 (right for the result 0 as well).
constexpr std::uint16_t checksum_update16(std::uint16_t checksum, std::uint16_t before,
                                          std::uint16_t after) noexcept {
  const std::uint32_t sum = static_cast<std::uint16_t>(~checksum) +
                            static_cast<std::uint32_t>(static_cast<std::uint16_t>(~before)) + after;
  return fold(sum);
}

/// New checksum field after a 32-bit field at an even offset changed; all in host order.
/// Threads: any; pure. Source: RFC 1624, equation 3.
constexpr std::uint16_t checksum_update32(std::uint16_t checksum, std::uint32_t before,
                                          std::uint32_t after) noexcept {
  const std::uint32_t not_before = ~before;
  const std::uint32_t sum = static_cast<std::uint16_t>(~checksum) + (not_before >> 16) +
                            (not_before & 0xffff) + (after >> 16) + (after & 0xffff);
  return fold(sum);
}

/// Whether the checksum of an IPv4 header without options is right: the one's complement sum is
/// 0xffff, which is to say that the plain sum is a multiple of it. So is 2^64 - 1, which is why
/// carries may go round.
inline bool ipv4_plain_checksum_good(const std::byte* h) noexcept {
  std::uint64_t sum, b;
  std::uint32_t c;
  std::memcpy(&sum, h, 8);
  std::memcpy(&b, h + 8, 8);
  std::memcpy(&c, h + 16, 4);
  sum += b;
  sum += sum < b;
  sum += c;
  sum += sum < c;
  return sum % 0xffff == 0;
}

}  // namespace sluice::wire
