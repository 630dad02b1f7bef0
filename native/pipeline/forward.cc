// forward into a tunnel, whatever the header: IPv6, no container, one with a PPI, or too
// little room before the packet. The common header is in forward.h.
#include "pipeline/forward.h"

#include <algorithm>
#include <cstring>

#include "pipeline/outer.h"
#include "wire/gtpu.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {
namespace {

/// The PDCP number in the outer header of a packet that goes from tunnel into tunnel.
wire::PdcpNumber pdcp_number_of(const Burst& burst, unsigned i) noexcept {
  wire::PdcpNumber number;
  const Packet& packet = *burst.packets[i];
  if ((packet.flags & kPacketPdcpNumber) == 0 || burst.inner_offset[i] == 0) return number;
  const std::byte* const p = packet.data();
  std::size_t upper = (wire::load8(p) & 15u) * 4;
  wire::Ipv6Upper walk{};
  if (wire::load8(p) >> 4 == 6 &&
      wire::walk_ipv6(p, burst.inner_offset[i], walk) == DropReason::None) {
    upper = walk.offset;
  }
  const std::size_t gtpu = upper + wire::kUdpBytes;
  wire::GtpuHeader header{};
  if (wire::parse_gtpu(p + gtpu, packet.length - gtpu, header) == DropReason::None) {
    wire::take_pdcp_number(p + gtpu, header, number);
  }
  return number;
}

/// What a tunnel says in front of a packet.
struct TunnelHeader {
  wire::PscFields psc;
  wire::PdcpNumber number;
  unsigned ip, gtpu;  ///< bytes

  const wire::PscFields* container() const noexcept { return psc.qfi != 0 ? &psc : nullptr; }
  unsigned bytes() const noexcept { return ip + wire::kUdpBytes + gtpu; }
};

/// @param is_alone  without a PDCP number: of a packet that is cut up or keeps its outer header.
TunnelHeader tunnel_header(const Burst& burst, unsigned i, const PdrEntry& pdr, const FarEntry& far,
                           const Peer& peer, bool is_alone) noexcept {
  TunnelHeader header{};
  header.psc.type = far.container;
  header.psc.qfi = stage::qfi_of(pdr, burst.qfi[i]);
  header.psc.rqi = (pdr.flags & kPdrRqi) != 0;
  header.psc.has_ppi = pdr.ppi != 0;
  header.psc.ppi = static_cast<std::uint8_t>(pdr.ppi - 1);
  if (!is_alone) header.number = pdcp_number_of(burst, i);
  header.ip = peer.is_v6 ? wire::kIpv6Bytes : wire::kIpv4Bytes;
  header.gtpu = static_cast<unsigned>(wire::gpdu_bytes(header.container(), header.number));
  return header;
}

/// Of a packet with its outer header, but for padding behind it.
unsigned whole_bytes(const Packet& packet) noexcept {
  const std::byte* const p = packet.data();
  return wire::load8(p) >> 4 == 6 ? wire::load16(p + 4) + wire::kIpv6Bytes : wire::load16(p + 2);
}

}  // namespace

/// Whether the way that its FAR gives a packet takes it. Asked before anything is charged, since
/// what does not leave is not charged; the stages behind ask again of copies and of a quota's FAR.
DropReason Pipeline::check_exit(Burst& burst, unsigned i, const Hit& hit) noexcept {
  const FarEntry& far = hit.far->own();
  const Packet& packet = *burst.packets[i];
  if (far.action == FarAction::ToUe || (burst.flags[i] & kTurnsRound) != 0) {
    return may_turn_round(burst, i, plain_port(far.port));
  }
  const bool is_whole =
      far.action == FarAction::WholeToCore || far.action == FarAction::WholeToTunnel;
  if (!far.leads_into_tunnel() && !is_whole && far.action != FarAction::ToCore) {
    return DropReason::None;
  }
  const PipelinePort& port = ports_[far.port];
  unsigned header = protection_bytes(far);
  if (far.leads_into_tunnel()) {
    if (loops(far, packet)) return DropReason::TunnelLoop;
    header += tunnel_header(burst, i, *hit.pdr, far, peers_[far.peer], is_whole).bytes();
  }
  if (is_whole) {
    return whole_bytes(packet) + header > port.mtu ? DropReason::MtuExceeded : DropReason::None;
  }
  if (hit.length + header <= port.plain_bytes) return DropReason::None;
  return may_leave(burst, i, far.port, port.mtu - header);
}

/// What came by a tunnel to the UPF itself could come again for ever, and of copies there would be
/// ever more.
bool Pipeline::loops(const FarEntry& far, const Packet& packet) const noexcept {
  return __builtin_expect((far.flags & kFarToSelf) != 0, 0) &&
         ((packet.flags & kPacketCopy) != 0 || is_from_self(network_, packet));
}

DropReason Pipeline::to_tunnel(Burst& burst, unsigned i, Hit hit) noexcept {
  Packet* packet = burst.packets[i];
  const FarEntry& far = *hit.far;
  if (loops(far, *packet)) return DropReason::TunnelLoop;
  const Peer& peer = peers_[far.peer];
  const PipelinePort& port = ports_[far.port];
  const TunnelHeader tunnel =
      tunnel_header(burst, i, *hit.pdr, far, peer, (burst.flags[i] & kFits) != 0);
  const unsigned gtpu = tunnel.gtpu, ip = tunnel.ip;
  const unsigned header = tunnel.bytes() + protection_bytes(far);
  if (burst.inner_length[i] + header > port.plain_bytes && (burst.flags[i] & kFits) == 0) {
    const DropReason reason = leave(burst, i, hit, port.mtu - header);
    if (reason != DropReason::None) return reason;
  }
  const unsigned inner = burst.inner_length[i];
  const unsigned udp = 8 + gtpu + inner;
  unsigned offset = packet->offset + burst.inner_offset[i];
  if (__builtin_expect(ip + 8 + gtpu + sizeof(Packet) > offset, 0)) {
    // From one tunnel into another with a longer header: the inner packet makes room.
    const unsigned room = std::max<unsigned>(kCoreDataOffset, ip + 8 + gtpu + sizeof(Packet));
    if (inner > kChunkBytes - room) return DropReason::MtuExceeded;
    auto* const chunk = reinterpret_cast<std::byte*>(packet);
    std::memmove(chunk + room, chunk + offset, inner);
    offset = room;
  }
  name_protection(*packet, far);
  packet->offset = static_cast<std::uint16_t>(offset - gtpu - 8 - ip);
  packet->length = static_cast<std::uint16_t>(udp + ip);
  std::byte* p = packet->data();
  const auto source_port =
      static_cast<std::uint16_t>(stage::source_port_of(port, burst.operand[i]));
  write_outer(p, peer, udp, far.tos, source_port);
  wire::write_gpdu(p + ip + 8, Teid{far.teid}, static_cast<std::uint16_t>(inner),
                   tunnel.container(), tunnel.number);
  if (!port.fills_udp_checksum) fill_outer_checksum(p, peer, udp);
  return DropReason::None;
}

/// What goes on is the packet with its outer headers, but for padding behind them.
DropReason Pipeline::forward_whole(Burst& burst, unsigned i, Hit hit) noexcept {
  Packet* packet = burst.packets[i];
  burst.inner_offset[i] = 0;
  burst.inner_length[i] = static_cast<std::uint16_t>(whole_bytes(*packet));
  burst.flags[i] |= kFits;  // a tunnel packet is not cut up, nor does its UE hear of it
  DropReason reason = DropReason::None;
  if (hit.far->action == FarAction::WholeToTunnel)
    reason = to_tunnel(burst, i, hit);
  else
    packet->length = burst.inner_length[i];
  name_protection(*packet, *hit.far);
  if (packet->length + protection_bytes(*hit.far) > ports_[hit.far->port].mtu)
    reason = DropReason::MtuExceeded;
  if (reason == DropReason::None) emit(hit.far->port, packet);
  return reason;
}

/// Sends the copies, then the packet itself. A copy that fails has its own reason, and the
/// packet goes on.
DropReason Pipeline::forward_copies(Burst& burst, unsigned i, Hit hit) noexcept {
  const FarEntry* const own = hit.far + 1;
  Packet* const packet = burst.packets[i];
  const std::uint16_t offset = burst.inner_offset[i], length = burst.inner_length[i];
  const std::uint8_t flags = burst.flags[i];
  for (unsigned k = 1; k <= hit.far->copies(); ++k) {
    const FarEntry& far = own[k];
    const bool whole =
        far.action == FarAction::WholeToCore || far.action == FarAction::WholeToTunnel;
    const unsigned from = whole ? 0 : offset, bytes = whole ? packet->length : length;
    Packet* copy = bytes <= kPacketBytesMax ? create(packet->port) : nullptr;
    if (copy == nullptr) {
      ++counters_.created;
      ++counters_.dropped[static_cast<unsigned>(DropReason::NoBuffer)];
      continue;
    }
    std::memcpy(copy->data(), packet->data() + from, bytes);
    copy->length = static_cast<std::uint16_t>(bytes);
    copy->flags |= packet->flags & (kPacketInnerChecksumPartial | kPacketReentered);
    copy->flags |= kPacketCopy;
    mark_like(*copy, *packet);
    burst.packets[i] = copy;
    burst.inner_offset[i] = 0;
    burst.inner_length[i] = length;
    Hit one = hit;
    one.packet = copy;
    one.far = &far;
    const DropReason reason = forward(burst, i, one);
    if (reason != DropReason::None && reason != kTakenAway) drop(&copy, 1, reason);
    burst.flags[i] = flags;  // one in pieces says nothing of the others
  }
  burst.packets[i] = packet;
  burst.inner_offset[i] = offset;
  burst.inner_length[i] = length;
  hit.far = burst.flags[i] & kTurnsRound ? &hairpins_[own->port] : own;
  return forward(burst, i, hit);
}

}  // namespace sluice
