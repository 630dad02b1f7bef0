// forward: what the FAR says. The outer header is a peer's constant line with the packet's
// lengths, flow and marking patched in, written in front of the UE's packet.
// Part of pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include <cstring>

#include "base/flow_hash.h"
#include "memory/copy.h"
#include "pipeline/outer.h"
#include "pipeline/pipeline.h"
#include "wire/checksum.h"
#include "wire/gtpu.h"

namespace sluice {
namespace stage {

/// The QER's QFI; without one, a packet that came with a container keeps its own, and the
/// session's stands in for others. 0: none.
inline std::uint8_t qfi_of(const PdrEntry& pdr, std::uint8_t packets) noexcept {
  if (packets == kNoQfi) return pdr.qfi;
  return pdr.qfi == 0 || (pdr.flags & kPdrDefaultQfi) != 0 ? packets : pdr.qfi;
}

/// Writes the common tunnel's 44 bytes in front of the UE's packet at `offset` in its chunk:
/// the peer's line, but for lengths, marking, port, TEID and QFI.
[[gnu::always_inline]] inline void write_plain_tunnel(Packet* packet, unsigned offset,
                                                      unsigned inner, const FarEntry& far,
                                                      const Peer& peer, unsigned source_port,
                                                      unsigned container) noexcept {
  const unsigned total = inner + kPlainOuterBytes;
  const unsigned tos = far.tos;
  const std::uint16_t checksum = wire::fold(peer.checksum_seed + total + tos);
  packet->offset = static_cast<std::uint16_t>(offset - kPlainOuterBytes);
  packet->length = static_cast<std::uint16_t>(total);
  std::byte* const p = reinterpret_cast<std::byte*>(packet) + (offset - kPlainOuterBytes);
  copy32(p, peer.header);
  std::memcpy(p + 28, peer.header + 28, 16);
  wire::store8(p + 1, static_cast<std::uint8_t>(tos));
  wire::store16(p + 2, static_cast<std::uint16_t>(total));
  wire::store16(p + 10, checksum);
  wire::store16(p + 20, static_cast<std::uint16_t>(source_port));
  wire::store16(p + 24, static_cast<std::uint16_t>(inner + 24));
  wire::store16(p + 30, static_cast<std::uint16_t>(inner + 8));
  wire::store32(p + 32, far.teid);
  wire::store16(p + 41, static_cast<std::uint16_t>(container));
}

/// The same over IPv4 without a container, in 36 bytes.
[[gnu::always_inline]] inline void write_bare_tunnel(Packet* packet, unsigned offset,
                                                     unsigned inner, const FarEntry& far,
                                                     const Peer& peer,
                                                     unsigned source_port) noexcept {
  packet->offset = static_cast<std::uint16_t>(offset - kBareOuterBytes);
  packet->length = static_cast<std::uint16_t>(inner + kBareOuterBytes);
  std::byte* const p = reinterpret_cast<std::byte*>(packet) + (offset - kBareOuterBytes);
  constexpr unsigned kUdpAndGtpu = 16;
  write_outer(p, peer, inner + kUdpAndGtpu, far.tos, static_cast<std::uint16_t>(source_port));
  wire::write_gpdu(p + 28, Teid{far.teid}, static_cast<std::uint16_t>(inner), nullptr);
}

/// The same over IPv6, in 64 bytes. The words of the headers are summed as they are made: loads of
/// what was just stored in smaller parts would wait for it.
[[gnu::always_inline]] inline void write_plain_tunnel6(Packet* packet, unsigned offset,
                                                       unsigned inner, const FarEntry& far,
                                                       const Peer& peer, unsigned source_port,
                                                       unsigned container, bool sums) noexcept {
  constexpr unsigned kFirst = 0x3400u | wire::kGtpuGpdu;  // with an extension header
  constexpr unsigned kExtension = wire::kExtensionPduSession;
  const unsigned gtpu = inner + 8, udp = inner + 24;
  const unsigned tos = far.tos;
  packet->offset = static_cast<std::uint16_t>(offset - kPlainOuter6Bytes);
  packet->length = static_cast<std::uint16_t>(inner + kPlainOuter6Bytes);
  std::byte* const p = reinterpret_cast<std::byte*>(packet) + (offset - kPlainOuter6Bytes);
  std::memcpy(p, peer.header, 48);
  wire::store32(p, 0x60000000 | tos << 20);
  wire::store16(p + 4, static_cast<std::uint16_t>(udp));
  wire::store16(p + 40, static_cast<std::uint16_t>(source_port));
  wire::store16(p + 44, static_cast<std::uint16_t>(udp));
  wire::store32(p + 48, kFirst << 16 | gtpu);
  wire::store32(p + 52, far.teid);
  wire::store32(p + 56, kExtension);
  wire::store32(p + 60, 1u << 24 | container << 8);
  if (!sums) return;
  const unsigned port = wire::load16(reinterpret_cast<const std::byte*>(peer.header) + 42);
  const std::uint32_t headers = peer.checksum_seed + 2 * udp + source_port + port + kFirst + gtpu +
                                (far.teid >> 16) + (far.teid & 0xffff) + kExtension + 0x100 +
                                (container >> 8) + (container << 8 & 0xff00);
  const std::uint16_t sum = wire::fold(
      wire::checksum_partial(reinterpret_cast<std::byte*>(packet) + offset, inner, headers));
  wire::store16(p + 46, sum == 0 ? 0xffff : sum);
}

/// Whether 44 bytes of outer header are all that a packet needs which asks for no paging policy: an
/// IPv4 peer, a container with a QFI, room in front of the packet and in the port's MTU.
[[gnu::always_inline]] inline bool is_plain_tunnel(const Peer& peer, unsigned qfi, unsigned offset,
                                                   unsigned inner,
                                                   const PipelinePort& port) noexcept {
  return !peer.is_v6 && qfi != 0 && offset >= sizeof(Packet) + kPlainOuterBytes &&
         inner + kPlainOuterBytes <= port.plain_bytes;
}

/// Whether a packet is so small that nothing about its way out need be asked, whatever is put in
/// front of it: no more than IPv6, UDP, and GTP-U with a container that has a paging policy.
[[gnu::always_inline]] inline bool leaves_anyway(const Hit& hit,
                                                 const PipelinePort* ports) noexcept {
  constexpr unsigned kMost = 40 + 8 + 20;
  const FarEntry& far = *hit.far;
  return (far.action == FarAction::ToCore || far.action == FarAction::ToTunnel) &&
         (far.flags & kFarToSelf) == 0 && (hit.packet->flags & kPacketPdcpNumber) == 0 &&
         hit.length + kMost <= ports[far.port].plain_bytes;
}

[[gnu::always_inline]] inline unsigned source_port_of(const PipelinePort& port,
                                                      const Operand& operand) noexcept {
  std::uint64_t addresses, rest;
  std::memcpy(&addresses, operand.lanes, 8);
  std::memcpy(&rest, operand.lanes + 4, 8);
  return port.source_ports[flow_class(addresses, rest)];
}

/// The container's two octets behind its type: the uplink's or the downlink's form.
[[gnu::always_inline]] inline unsigned container_of(const FarEntry& far, const PdrEntry& pdr,
                                                    unsigned qfi) noexcept {
  return far.container == wire::kPscUplink ? wire::kPscUplink << 12 | qfi
                                           : qfi | (pdr.flags & kPdrRqi) * (0x40u / kPdrRqi);
}

}  // namespace stage

/// The common tunnel, else the general one.
[[gnu::always_inline]] inline DropReason Pipeline::to_plain_tunnel(Burst& burst, unsigned i,
                                                                   const Hit& hit) noexcept {
  const FarEntry& far = *hit.far;
  const PdrEntry& pdr = *hit.pdr;
  const Peer& peer = peers_[far.peer];
  const PipelinePort& port = ports_[far.port];
  const unsigned qfi = stage::qfi_of(pdr, burst.qfi[i]);
  const unsigned offset = hit.packet->offset + burst.inner_offset[i];
  if (pdr.ppi != 0 || (hit.packet->flags & kPacketPdcpNumber) != 0 ||
      !stage::is_plain_tunnel(peer, qfi, offset, hit.length, port)) {
    return to_tunnel(burst, i, hit);
  }
  stage::write_plain_tunnel(hit.packet, offset, hit.length, far, peer,
                            stage::source_port_of(port, burst.operand[i]),
                            stage::container_of(far, pdr, qfi));
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
