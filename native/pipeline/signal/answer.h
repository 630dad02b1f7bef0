// Answers to GTP-U messages: outer headers back to whoever sent a packet, and how many
// answers a second are given. Pure, but for AnswerBudget, which is its worker's.
#pragma once
#include <algorithm>
#include <cstring>

#include "base/types.h"
#include "session/table/network_map.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {

/// Both ends of an outer packet, network byte order: 4 or 16 bytes of each.
struct OuterPath {
  bool is_v6;
  std::byte source[16];
  std::byte destination[16];
  unsigned width() const noexcept { return is_v6 ? 16 : 4; }
};

/// @param ip  a checked IPv4 or IPv6 header.
inline OuterPath outer_path(const std::byte* ip) noexcept {
  OuterPath path{};
  path.is_v6 = wire::load8(ip) >> 4 == 6;
  const unsigned at = path.is_v6 ? 8 : 12;
  std::memcpy(path.source, ip + at, path.width());
  std::memcpy(path.destination, ip + at + path.width(), path.width());
  return path;
}

/// Where a packet came to, as its sender knows it: path.width() octets, then zeros.
inline void advertised_address(const NetworkMap& network, const OuterPath& path,
                               std::byte (&out)[16]) noexcept {
  std::uint32_t words[4];
  for (unsigned k = 0; k < 4; ++k) words[k] = wire::load32(path.destination + 4 * k);
  const LocalAddress* const told = network.as_advertised(words, path.is_v6);
  for (unsigned k = 0; k < 4; ++k) {
    wire::store32(out + 4 * k, told == nullptr ? words[k] : told->words[k]);
  }
}

/// Bytes of IP and UDP header of an answer.
inline unsigned answer_header_bytes(const OuterPath& request) noexcept {
  return static_cast<unsigned>((request.is_v6 ? wire::kIpv6Bytes : wire::kIpv4Bytes) +
                               wire::kUdpBytes);
}

/// Writes IP and UDP header of an answer in front of its message, which is complete.
/// @param p  room for answer_header_bytes(), right before the message.
/// @return bytes of the whole packet.
inline unsigned write_answer(std::byte* p, const OuterPath& request, std::uint16_t source_port,
                             std::uint16_t destination_port, unsigned message_bytes,
                             bool fill_checksum) noexcept {
  const unsigned ip = request.is_v6 ? wire::kIpv6Bytes : wire::kIpv4Bytes;
  const auto udp_bytes = static_cast<std::uint16_t>(message_bytes + wire::kUdpBytes);
  wire::write_udp(p + ip, source_port, destination_port, udp_bytes);
  if (request.is_v6) {
    wire::store32(p, 0x60000000);
    wire::store16(p + 4, udp_bytes);
    wire::store16(p + 6, wire::kProtocolUdp << 8 | 64);
    std::memcpy(p + 8, request.destination, 16);
    std::memcpy(p + 24, request.source, 16);
    if (fill_checksum) {
      wire::fill_udp_checksum(p + ip, udp_bytes,
                              wire::pseudo_header_v6(p + 8, p + 24, wire::kProtocolUdp, udp_bytes));
    }
  } else {
    wire::write_ipv4(p, {wire::load32(request.destination), wire::load32(request.source),
                         static_cast<std::uint16_t>(ip + udp_bytes)});
  }
  return ip + udp_bytes;
}

/// A token bucket for messages that strangers can provoke, one second deep.
class AnswerBudget {
 public:
  AnswerBudget(unsigned per_second, Nanoseconds quiet_until) noexcept
      : per_second_(per_second), quiet_until_(quiet_until) {}
  /// False: no message now.
  bool take(Nanoseconds now) noexcept {
    if (now < quiet_until_) return false;
    constexpr Nanoseconds kSecond = 1'000'000'000;
    const Nanoseconds elapsed = std::min(now > filled_at_ ? now - filled_at_ : 0, kSecond);
    filled_at_ = now;
    // One message costs a second's worth of nanoseconds.
    level_ = std::min(level_ + elapsed * per_second_, kSecond * per_second_);
    if (level_ < kSecond) return false;
    level_ -= kSecond;
    return true;
  }

 private:
  const std::uint64_t per_second_;
  const Nanoseconds quiet_until_;
  Nanoseconds filled_at_ = 0;
  std::uint64_t level_ = 0;
};

}  // namespace sluice
