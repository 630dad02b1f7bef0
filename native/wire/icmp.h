// ICMP and ICMPv6 errors about a packet that could not be forwarded.
#pragma once
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace sluice::wire {

enum class IcmpError : std::uint8_t { TooBig, TimeExceeded };

/// Most bytes that write_icmp_error() writes.
inline constexpr unsigned kIcmpErrorBytesMax = 1280;

/// Whether an error may be sent about a packet: not about ICMP errors, later fragments, or what
/// came from or went to more than one host.
/// @param bytes  a well-formed IP packet (parse_inner() was happy with it) of `n` bytes.
/// Threads: any; pure. Source: RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4 (e).
bool may_answer_with_icmp(const std::byte* bytes, std::size_t n) noexcept;

/// Writes the whole IP packet of an error: IPv4 with as much of the offending packet as 576
/// bytes take, IPv6 as 1,280 bytes take.
/// @param out     room for kIcmpErrorBytesMax.
/// @param bytes   the offending packet, of `n` bytes, of which may_answer_with_icmp() is true.
/// @param source  of the error: 4 or 16 bytes in network order, by the packet's version.
/// @param mtu     of the next hop in bytes, for TooBig.
/// @return bytes written.
/// Threads: any; pure. Source: RFC 792, RFC 1191, RFC 1812 4.3.2.3, RFC 4443 3.2 and 3.3.
unsigned write_icmp_error(std::byte* out, const std::byte* bytes, std::size_t n, IcmpError error,
                          const std::byte* source, std::uint32_t mtu) noexcept;

}  // namespace sluice::wire
