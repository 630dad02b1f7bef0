// Bytes for the tests of the codecs: hexadecimal text to bytes, and packets to cut up.
#pragma once
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "wire/gtpu.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice::wire::test {

using Bytes = std::vector<std::byte>;

inline Bytes from_hex(std::string_view text) {
  Bytes bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    const int digit = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
    if (digit < 0 || digit > 15) std::abort();
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<std::byte>(high << 4 | digit));
      high = -1;
    }
  }
  if (high >= 0) std::abort();
  return bytes;
}

inline Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// A copy on the heap of exactly n bytes, so that a sanitizer sees every read beyond it.
inline std::unique_ptr<std::byte[]> exact(const Bytes& bytes, std::size_t n) {
  auto copy = std::make_unique_for_overwrite<std::byte[]>(n);
  if (n != 0) std::memcpy(copy.get(), bytes.data(), n);
  return copy;
}

/// An IPv4 packet 10.60.0.1 → 8.8.8.8 with the given upper layer.
inline Bytes ipv4(std::uint8_t protocol, const Bytes& upper) {
  Bytes bytes(kIpv4Bytes);
  write_ipv4(bytes.data(), {.source = 0x0a3c0001,
                            .destination = 0x08080808,
                            .total_length = static_cast<std::uint16_t>(kIpv4Bytes + upper.size()),
                            .identification = 7,
                            .protocol = protocol,
                            .tos = 0xb8});
  return bytes + upper;
}

/// An IPv6 packet fd00:60::1 → 2001:db8::2 with the given rest.
inline Bytes ipv6(std::uint8_t next_header, const Bytes& rest) {
  const Bytes source = from_hex("fd000060000000000000000000000001");
  const Bytes destination = from_hex("20010db8000000000000000000000002");
  Bytes bytes(kIpv6Bytes);
  write_ipv6(bytes.data(), {.source = source.data(),
                            .destination = destination.data(),
                            .payload_length = static_cast<std::uint16_t>(rest.size()),
                            .next_header = next_header,
                            .traffic_class = 0x28,
                            .flow_label = 0x12345});
  return bytes + rest;
}

/// A UDP datagram 1234 → 53 with a payload, without a checksum.
inline Bytes udp(const Bytes& payload) {
  Bytes bytes(kUdpBytes);
  write_udp(bytes.data(), 1234, 53, static_cast<std::uint16_t>(kUdpBytes + payload.size()));
  return bytes + payload;
}

}  // namespace sluice::wire::test
