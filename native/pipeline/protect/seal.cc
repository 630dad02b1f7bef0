// What leaves under a protection: sealed by bursts, behind everything else that is done to a
// packet, and put among what leaves by the port itself.
#include <algorithm>
#include <cstring>

#include "pipeline/pipeline.h"
#include "wire/bytes.h"

namespace sluice {
namespace {

constexpr unsigned kGroup = 64;  // as many as share the lanes of the kernels
/// Where a packet is put that has too little room before it: behind the longest outer header.
constexpr std::uint16_t kRoomyOffset = 96;
static_assert(kRoomyOffset >= sizeof(Packet) + sizeof(EspOuter::header) + crypto::kEspHeadRoom);

unsigned tos_of(const std::byte* ip) noexcept {
  return wire::load8(ip) >> 4 == 6 ? wire::load16(ip) >> 4 & 0xff : wire::load8(ip + 1);
}

bool make_room(Packet& packet) noexcept {
  if (packet.length + kRoomyOffset + crypto::kEspTailRoom > kChunkBytes) return false;
  if (packet.offset >= kRoomyOffset) {
    return packet.offset + packet.length + crypto::kEspTailRoom <= kChunkBytes;
  }
  std::memmove(reinterpret_cast<std::byte*>(&packet) + kRoomyOffset, packet.data(), packet.length);
  packet.offset = kRoomyOffset;
  return true;
}

}  // namespace

/// Names the protection of a packet that goes to a FAR's port.
void Pipeline::name_protection(Packet& packet, const FarEntry& far) const noexcept {
  if (!is_protected(far.port)) return;
  packet.tag = far.leads_into_tunnel() ? peers_[far.peer].protection : far.teid;
}

/// Bytes that sealing adds at most to what goes by a FAR's port.
unsigned Pipeline::protection_bytes(const FarEntry& far) const noexcept {
  if (!is_protected(far.port)) return 0;
  const OutboundEnd* end =
      protections_.outbound(far.leads_into_tunnel() ? peers_[far.peer].protection : far.teid);
  return end == nullptr ? 0 : end->overhead();
}

void Pipeline::seal_outputs() noexcept {
  for (std::uint8_t port = 0; port < kPortsMax; ++port) {
    PacketList& list = outputs_[kProtectedPort + port];
    for (unsigned done = 0; done < list.count; done += kGroup) {
      seal(port, list.packets + done, std::min(list.count - done, kGroup));
    }
    list.count = 0;
  }
}

/// @param count  at most kGroup
void Pipeline::seal(std::uint8_t port, Packet* const* packets, unsigned count) noexcept {
  crypto::EspSealJob jobs[kGroup];
  Packet* sealed[kGroup];
  const OutboundEnd* ends[kGroup];
  unsigned tos[kGroup];
  unsigned n = 0;
  for (unsigned i = 0; i < count; ++i) {
    Packet* packet = packets[i];
    // A trace looks at the packet as it is before, and takes no sequence number.
    if (traced_) {
      emit(port, packet);
      continue;
    }
    OutboundEnd* const end = protections_.outbound(packet->tag);
    if (end == nullptr || !make_room(*packet)) {
      drop(&packet, 1, end == nullptr ? DropReason::NoProtection : DropReason::MtuExceeded);
      continue;
    }
    const bool is_v6 = wire::load8(packet->data()) >> 4 == 6;
    jobs[n] = {&end->esp, {packet->data(), packet->length}, is_v6 ? kNextIpv6 : kNextIpv4};
    sealed[n] = packet;
    ends[n] = end;
    tos[n++] = tos_of(packet->data());
  }
  crypto::esp_seal({jobs, n});
  const PipelinePort& out = ports_[port];
  for (unsigned i = 0; i < n; ++i) {
    Packet* packet = sealed[i];
    if (jobs[i].status != crypto::EspStatus::Ok) {
      drop(&packet, 1, DropReason::EspExpired);
      continue;
    }
    const auto bytes = static_cast<unsigned>(jobs[i].esp.size());
    const std::byte* start =
        ends[i]->write_outer(jobs[i].esp.data(), bytes, tos[i], out.fills_udp_checksum);
    packet->offset = static_cast<std::uint16_t>(start - reinterpret_cast<std::byte*>(packet));
    packet->length = static_cast<std::uint16_t>(ends[i]->outer.bytes + bytes);
    if (packet->length > out.mtu) {
      drop(&packet, 1, DropReason::MtuExceeded);
    } else {
      emit(port, packet);
    }
  }
}

}  // namespace sluice
