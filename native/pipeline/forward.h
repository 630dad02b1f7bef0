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
#if defined(__SSE4_2__)
  return static_cast<unsigned>(__builtin_ia32_crc32di(__builtin_ia32_crc32di(0, a), b));
#else
  const std::uint64_t x = (a ^ b * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
  return static_cast<unsigned>(x >> 48);
#endif
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
  Packet* const packet = hit.packet;
  const FarEntry far = *hit.far;
  const PdrEntry pdr = *hit.pdr;
  const Peer& peer = peers_[far.peer];
  const unsigned qfi = stage::qfi_of(pdr, burst.qfi[i]);
  const unsigned offset = packet->offset + burst.inner_offset[i];
  const PipelinePort& port = ports_[far.port];
  if (__builtin_expect(peer.is_v6 || pdr.ppi != 0 || qfi == 0 ||
                           offset < sizeof(Packet) + kPlainOuterBytes ||
                           hit.length + kPlainOuterBytes > port.plain_bytes,
                       0)) {
    return to_tunnel(burst, i, hit);
  }
  const unsigned source_port =
      port.source_ports[stage::flow_hash(burst.operand[i]) & port.source_port_mask];
  const unsigned container = far.container == wire::kPscUplink
                                 ? wire::kPscUplink << 12 | qfi
                                 : qfi | (pdr.flags & kPdrRqi) * (0x40u / kPdrRqi);
  const unsigned inner = hit.length, total = inner + kPlainOuterBytes;
  const unsigned tos = (far.dscp & 0x3fu) << 2;
  const std::uint16_t checksum = wire::fold(peer.checksum_seed + total + tos);
  packet->offset = static_cast<std::uint16_t>(offset - kPlainOuterBytes);
  packet->length = static_cast<std::uint16_t>(total);
  std::byte* const p = reinterpret_cast<std::byte*>(packet) + (offset - kPlainOuterBytes);
  std::memcpy(p, peer.header, 32);
  std::memcpy(p + 28, peer.header + 28, 16);
  wire::store8(p + 1, static_cast<std::uint8_t>(tos));
  wire::store16(p + 2, static_cast<std::uint16_t>(total));
  wire::store16(p + 10, checksum);
  wire::store16(p + 20, static_cast<std::uint16_t>(source_port));
  wire::store16(p + 24, static_cast<std::uint16_t>(inner + 24));
  wire::store16(p + 30, static_cast<std::uint16_t>(inner + 8));
  wire::store32(p + 32, far.teid);
  wire::store16(p + 41, static_cast<std::uint16_t>(container));
  return DropReason::None;
}

[[gnu::always_inline]] inline DropReason Pipeline::forward(Burst& burst, unsigned i,
                                                           const Hit& hit) noexcept {
  Packet* const packet = hit.packet;
  const FarEntry& far = *hit.far;
  if (__builtin_expect(far.action == FarAction::ToTunnel, 1)) {
    const DropReason reason = to_plain_tunnel(burst, i, hit);
    if (__builtin_expect(reason != DropReason::None, 0)) return reason;
  } else if (__builtin_expect(far.action == FarAction::ToCore, 1)) {
    if (__builtin_expect(hit.length > ports_[far.port].plain_bytes, 0)) {
      const DropReason reason = to_core(burst, i, hit);
      if (reason != DropReason::None) return reason;
    } else {
      packet->offset = static_cast<std::uint16_t>(packet->offset + burst.inner_offset[i]);
      packet->length = static_cast<std::uint16_t>(hit.length);
    }
  } else {
    return forward_rarely(burst, i, hit);
  }
  emit(far.port, packet);
  return DropReason::None;
}

}  // namespace sluice
