// Cutting an IPv4 packet into fragments.
#pragma once
#include "wire/ipv4.h"

namespace sluice::wire {

/// Payload bytes of every fragment but the last, when a packet has to fit `room` bytes.
/// 0: it can't be done. Threads: any; pure. Source: RFC 791 section 2.3.
constexpr unsigned fragment_payload_bytes(unsigned header_length, unsigned room) noexcept {
  return room <= header_length ? 0 : (room - header_length) & ~7u;
}

/// Writes the header of a later fragment: that of the packet, with those options alone that are
/// copied. Lengths, offset and checksum are for finish_fragment().
/// @param out     room for 60 bytes.
/// @param header  of the packet, well-formed.
/// @return bytes written: 20 to 60.
/// Threads: any; pure. Source: RFC 791 section 3.1.
unsigned write_fragment_header(std::byte* out, const std::byte* header) noexcept;

/// Fills in what differs: total length, offset, the more-fragments flag and the checksum.
/// @param offset  bytes, a multiple of 8, from the start of the whole packet's payload.
/// Threads: any; pure. Source: RFC 791 section 3.1.
void finish_fragment(std::byte* header, unsigned total_length, unsigned offset, bool more) noexcept;

/// Whether a packet's TTL or hop limit leaves it one to take.
/// Threads: any; pure. Source: as for take_hop().
bool has_hop(const std::byte* packet) noexcept;

/// Takes one off the TTL or hop limit of a packet; false: it was not above 1, and stays.
/// Threads: any; pure. Source: RFC 1141, RFC 1812 5.3.1, RFC 8200 section 3.
bool take_hop(std::byte* packet) noexcept;

}  // namespace sluice::wire
