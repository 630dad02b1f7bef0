// The outer header towards a tunnel peer: the peer's constant line, with lengths, marking and
// source port patched in. Pure; any thread.
#pragma once
#include <cstring>

#include "memory/packet.h"
#include "session/table/network_map.h"
#include "session/table/peer_table.h"
#include "wire/checksum.h"

namespace sluice {

/// Bytes of IP and UDP header towards a peer.
inline unsigned outer_bytes(const Peer& peer) noexcept { return peer.is_v6 ? 48 : 28; }

/// Writes IP and UDP header in front of a GTP-U message. The UDP checksum is left 0: valid for
/// IPv4, and for fill_outer_checksum() over IPv6.
/// @param p          room for outer_bytes(peer), right before the message.
/// @param udp_bytes  length of the UDP header and the message.
/// @param tos        DSCP and ECN octet.
inline void write_outer(std::byte* p, const Peer& peer, unsigned udp_bytes, unsigned tos,
                        std::uint16_t source_port) noexcept {
  const unsigned ip = peer.is_v6 ? 40 : 20;
  if (__builtin_expect(!peer.is_v6, 1)) {
    std::memcpy(p, peer.header, 28);
    const auto total = static_cast<std::uint16_t>(udp_bytes + ip);
    wire::store8(p + 1, static_cast<std::uint8_t>(tos));
    wire::store16(p + 2, total);
    wire::store16(p + 10, wire::fold(peer.checksum_seed + total + tos));
  } else {
    std::memcpy(p, peer.header, 48);
    wire::store32(p, 0x60000000 | tos << 20);
    wire::store16(p + 4, static_cast<std::uint16_t>(udp_bytes));
  }
  wire::store16(p + ip, source_port);
  wire::store16(p + ip + 4, static_cast<std::uint16_t>(udp_bytes));
}

/// Whether the outer header of a packet has one of the UPF's own GTP-U addresses as its source.
inline bool is_from_self(const NetworkMap& network, const Packet& packet) noexcept {
  const std::byte* const p = packet.data();
  const bool is_v6 = wire::load8(p) >> 4 == 6;
  std::uint32_t source[4] = {};
  for (unsigned k = 0; k < (is_v6 ? 4u : 1u); ++k) {
    source[k] = wire::load32(p + (is_v6 ? 8 : 12) + 4 * k);
  }
  return network.is_local(source, is_v6);
}

/// Fills the UDP checksum that IPv6 wants, once the message is complete; nothing for IPv4.
inline void fill_outer_checksum(std::byte* p, const Peer& peer, unsigned udp_bytes) noexcept {
  if (!peer.is_v6) return;
  std::byte* udp = p + 40;
  const std::uint16_t sum =
      wire::fold(wire::checksum_partial(udp, udp_bytes, peer.checksum_seed + udp_bytes));
  wire::store16(udp + 6, sum == 0 ? 0xffff : sum);
}

}  // namespace sluice
