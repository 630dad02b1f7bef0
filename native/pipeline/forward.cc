// forward: what the FAR says. The outer header is a peer's constant line with the packet's
// lengths, flow and marking patched in, written in front of the UE's packet.
#include <cstring>

#include "pipeline/outer.h"
#include "pipeline/pipeline.h"
#include "wire/gtpu.h"

namespace sluice {
namespace {

/// Spreads flows over source ports: same flow, same port.
inline unsigned flow_hash(const Operand& operand) noexcept {
  std::uint64_t a, b;
  std::memcpy(&a, operand.lanes, 8);
  std::memcpy(&b, operand.lanes + 4, 8);
  const std::uint64_t x = (a ^ b * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
  return static_cast<unsigned>(x >> 48);
}

}  // namespace

DropReason Pipeline::to_tunnel(Burst& burst, unsigned i) noexcept {
  Packet* packet = burst.packets[i];
  const FarEntry& far = burst.far[i];
  const PdrEntry& pdr = burst.pdr[i];
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
      port.source_ports[flow_hash(burst.operand[i]) & port.source_port_mask];
  const unsigned tos = far.dscp & kDscpPresent ? (far.dscp & 0x3fu) << 2 : 0;
  write_outer(p, peer, udp, tos, source_port);
  wire::write_gpdu(p + ip + 8, Teid{far.teid}, static_cast<std::uint16_t>(inner), container);
  if (!port.fills_udp_checksum) fill_outer_checksum(p, peer, udp);
  return DropReason::None;
}

void Pipeline::forward(Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.count; ++i) {
    if (__builtin_expect(burst.verdict[i] != DropReason::None, 0)) continue;
    Packet* packet = burst.packets[i];
    const FarEntry& far = burst.far[i];
    DropReason reason = DropReason::None;
    switch (far.action) {
      case FarAction::ToCore:
        packet->offset = static_cast<std::uint16_t>(packet->offset + burst.inner_offset[i]);
        packet->length = burst.inner_length[i];
        if (packet->length > ports_[far.port].mtu) reason = DropReason::MtuExceeded;
        break;
      case FarAction::ToTunnel:
        reason = to_tunnel(burst, i);
        break;
      case FarAction::Drop:
        reason = DropReason::FarDrop;
        break;
      case FarAction::Buffer:
        reason = DropReason::FarBuffer;
        break;
      case FarAction::NoTunnel:
        reason = DropReason::NoTunnel;
        break;
    }
    burst.verdict[i] = reason;
    if (__builtin_expect(reason == DropReason::None, 1)) emit(far.port, packet);
  }
}

}  // namespace sluice
