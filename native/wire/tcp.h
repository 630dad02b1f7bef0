// The one thing that a router looks at in TCP: the maximum segment size.
#pragma once
#include "wire/inner.h"

namespace sluice::wire {

inline constexpr std::size_t kTcpBytes = 20;  ///< without options
inline constexpr std::uint8_t kTcpFin = 0x01, kTcpSyn = 0x02, kTcpPush = 0x08, kTcpAck = 0x10,
                              kTcpCwr = 0x80;

/// Lowers the MSS option of a SYN or SYN/ACK to what fits, with its checksum. Anything else is
/// left as it is, also a SYN without the option.
/// @param packet  an IP packet; at least `parsed.total_length` bytes are there.
/// @param parsed  what parse_inner() says of it.
/// @param mss     bytes of TCP payload.
/// @return whether it was changed.
/// Bounds: 40 steps. Threads: any; pure. Source: RFC 9293 3.1 and 3.7.1, RFC 1624.
bool clamp_mss(std::byte* packet, const InnerPacket& parsed, std::uint16_t mss) noexcept;

}  // namespace sluice::wire
