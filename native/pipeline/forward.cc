// forward into a tunnel, whatever the header: IPv6, no container, one with a PPI, or too
// little room before the packet. The common header is in forward.h.
#include "pipeline/forward.h"

#include <cstring>

#include "pipeline/outer.h"
#include "wire/gtpu.h"

namespace sluice {

DropReason Pipeline::to_tunnel(Burst& burst, unsigned i, const Hit& hit) noexcept {
  Packet* packet = burst.packets[i];
  const FarEntry& far = *hit.far;
  const PdrEntry& pdr = *hit.pdr;
  const Peer& peer = sessions_.peers()[far.peer];
  const PipelinePort& port = ports_[far.port];
  const unsigned inner = burst.inner_length[i];
  const bool uplink = burst.direction[i] == Direction::Uplink;
  wire::PscFields psc;
  psc.type = uplink ? wire::kPscUplink : wire::kPscDownlink;
  // The QER's QFI; without one, a packet that came with a container keeps its own.
  psc.qfi = pdr.qfi != 0 ? pdr.qfi : (burst.qfi[i] != kNoQfi ? burst.qfi[i] : 0);
  psc.rqi = (pdr.flags & kPdrRqi) != 0;
  psc.has_ppi = pdr.ppi != 0;
  psc.ppi = static_cast<std::uint8_t>(pdr.ppi - 1);
  const wire::PscFields* container = psc.qfi != 0 ? &psc : nullptr;
  const unsigned gtpu = static_cast<unsigned>(wire::gpdu_bytes(container));
  const unsigned udp = 8 + gtpu + inner;
  const unsigned ip = peer.is_v6 ? 40 : 20;
  unsigned offset = packet->offset + burst.inner_offset[i];
  if (__builtin_expect(ip + 8 + gtpu + sizeof(Packet) > offset, 0)) {
    // From one tunnel into another with a longer header: the inner packet makes room.
    if (inner > kPacketBytesMax) return DropReason::MtuExceeded;
    auto* const chunk = reinterpret_cast<std::byte*>(packet);
    std::memmove(chunk + kCoreDataOffset, chunk + offset, inner);
    offset = kCoreDataOffset;
  }
  packet->offset = static_cast<std::uint16_t>(offset - gtpu - 8 - ip);
  packet->length = static_cast<std::uint16_t>(udp + ip);
  std::byte* p = packet->data();
  const std::uint16_t source_port =
      port.source_ports[stage::flow_hash(burst.operand[i]) & port.source_port_mask];
  const unsigned tos = far.dscp & kDscpPresent ? (far.dscp & 0x3fu) << 2 : 0;
  write_outer(p, peer, udp, tos, source_port);
  wire::write_gpdu(p + ip + 8, Teid{far.teid}, static_cast<std::uint16_t>(inner), container);
  if (!port.fills_udp_checksum) fill_outer_checksum(p, peer, udp);
  return DropReason::None;
}

}  // namespace sluice
