// forward: what the FAR says. The outer header is a peer's constant line with the packet's
// lengths, flow and marking patched in, written in front of the UE's packet.
// Part of pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include <cstring>

#include "pipeline/pipeline.h"
#include "wire/checksum.h"
#include "wire/gtpu.h"

namespace sluice {
namespace stage {

/// Spreads flows over source ports: same flow, same port.
inline unsigned flow_hash(const Operand& operand) noexcept {
  std::uint64_t a, b;
  std::memcpy(&a, operand.lanes, 8);
  std::memcpy(&b, operand.lanes + 4, 8);
  const std::uint64_t x = (a ^ b * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
  return static_cast<unsigned>(x >> 48);
}

/// The QER's QFI; without one, a packet that came with a container keeps its own, and the
/// session's stands in for others. 0: none.
inline std::uint8_t qfi_of(const PdrEntry& pdr, std::uint8_t packets) noexcept {
  const bool keeps = (packets != kNoQfi) & ((pdr.qfi == 0) | ((pdr.flags & kPdrDefaultQfi) != 0));
  return keeps ? packets : pdr.qfi;
}

}  // namespace stage

/// The common tunnel: IPv4, a container with a QFI and nothing more, room before the packet.
/// All 44 bytes are the peer's line, but for lengths, marking, port, TEID and QFI.
[[gnu::always_inline]] inline DropReason Pipeline::to_plain_tunnel(Burst& burst, unsigned i,
                                                                   const Hit& hit) noexcept {
  Packet* packet = burst.packets[i];
  const FarEntry& far = *hit.far;
  const Peer& peer = sessions_.peers()[far.peer];
  const unsigned qfi = stage::qfi_of(*hit.pdr, burst.qfi[i]);
  const unsigned offset = packet->offset + burst.inner_offset[i];
  const bool plain = !peer.is_v6 & (qfi != 0) & (hit.pdr->ppi == 0) &
                     (offset >= sizeof(Packet) + kPlainOuterBytes);
  if (__builtin_expect(!plain, 0)) return to_tunnel(burst, i, hit);
  const PipelinePort& port = ports_[far.port];
  const unsigned inner = burst.inner_length[i];
  packet->offset = static_cast<std::uint16_t>(offset - kPlainOuterBytes);
  packet->length = static_cast<std::uint16_t>(inner + kPlainOuterBytes);
  std::byte* p = packet->data();
  const unsigned tos = far.dscp & kDscpPresent ? (far.dscp & 0x3fu) << 2 : 0;
  const unsigned total = inner + kPlainOuterBytes;
  const unsigned container = far.container == wire::kPscUplink
                                 ? wire::kPscUplink << 12 | qfi
                                 : qfi | (hit.pdr->flags & kPdrRqi ? 0x40u : 0u);
  std::memcpy(p, peer.header, 32);
  std::memcpy(p + 28, peer.header + 28, 16);
  wire::store8(p + 1, static_cast<std::uint8_t>(tos));
  wire::store16(p + 2, static_cast<std::uint16_t>(total));
  wire::store16(p + 10, wire::fold(peer.checksum_seed + total + tos));
  wire::store16(p + 20,
                port.source_ports[stage::flow_hash(burst.operand[i]) & port.source_port_mask]);
  wire::store16(p + 24, static_cast<std::uint16_t>(inner + 24));
  wire::store16(p + 30, static_cast<std::uint16_t>(inner + 8));
  wire::store32(p + 32, far.teid);
  wire::store16(p + 41, static_cast<std::uint16_t>(container));
  return DropReason::None;
}

[[gnu::always_inline]] inline DropReason Pipeline::forward(Burst& burst, unsigned i,
                                                           const Hit& hit) noexcept {
  Packet* packet = burst.packets[i];
  const FarEntry& far = *hit.far;
  if (__builtin_expect(far.action == FarAction::ToTunnel, 1)) {
    const DropReason reason = to_plain_tunnel(burst, i, hit);
    if (__builtin_expect(reason != DropReason::None, 0)) return reason;
  } else if (__builtin_expect(far.action == FarAction::ToCore, 1)) {
    packet->offset = static_cast<std::uint16_t>(packet->offset + burst.inner_offset[i]);
    packet->length = burst.inner_length[i];
    if (__builtin_expect(packet->length > ports_[far.port].mtu, 0)) return DropReason::MtuExceeded;
  } else {
    return forward_rarely(burst, i, hit);
  }
  emit(far.port, packet);
  return DropReason::None;
}

}  // namespace sluice
