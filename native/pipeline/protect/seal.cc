// What leaves under a protection: sealed by bursts, behind everything else that is done to a
// packet, and put among what leaves by the port itself.
#include <algorithm>
#include <cstring>

#include "pipeline/observe/association_note.h"
#include "pipeline/pipeline.h"
#include "wire/bytes.h"

namespace sluice {
namespace {

/// Where a packet is put that has too little room before it: behind the longest outer header.
constexpr std::uint16_t kRoomyOffset = 96;
static_assert(kRoomyOffset >= sizeof(Packet) + sizeof(EspOuter::header) + crypto::kEspHeadRoom);

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
    for (unsigned done = 0; done < list.count; done += kCryptoBurst) {
      seal(port, list.packets + done, std::min(list.count - done, kCryptoBurst));
    }
    list.count = 0;
  }
}

/// @param count  at most kCryptoBurst
void Pipeline::seal(std::uint8_t port, Packet* const* packets, unsigned count) noexcept {
  CryptoJob jobs[kCryptoBurst];
  unsigned n = 0;
  for (unsigned i = 0; i < count; ++i) {
    Packet* packet = packets[i];
    OutboundEnd* const end = protections_.outbound(packet->tag);
    const DropReason verdict = end == nullptr       ? DropReason::NoProtection
                               : make_room(*packet) ? DropReason::None
                                                    : DropReason::MtuExceeded;
    if (traced_) {
      look_at_sealing(port, packet, end, verdict);
      continue;
    }
    if (verdict != DropReason::None) {
      drop(&packet, 1, verdict);
      continue;
    }
    CryptoJob& job = jobs[n++];
    job = {};
    job.packet = packet;
    job.seals = end;
    job.port = port;
    job.next_header = wire::load8(packet->data()) >> 4 == 6 ? kNextIpv6 : kNextIpv4;
    job.tos = static_cast<std::uint8_t>(tos_of(packet->data()));
  }
  if (!lanes_.empty()) {
    inside_ += n;
    send_to_lanes({jobs, n});
    return;
  }
  do_jobs({jobs, n});
  for (unsigned i = 0; i < n; ++i) finish_sealed(jobs[i]);
}

/// What sealing would come to. No number is taken, and the packet stays as it is: two of one number
/// would give their contents away.
void Pipeline::look_at_sealing(std::uint8_t port, Packet* packet, const OutboundEnd* end,
                               DropReason verdict) noexcept {
  AssociationNote note;
  note.stage = Stage::Seal;
  note.verdict = verdict;
  note.is_copy = (packet->flags & kPacketCopy) != 0;
  note.protection = static_cast<std::uint16_t>(packet->tag);
  note.inside = packet->length;
  if (end != nullptr) {
    note.spi = end->esp.spi();
    note.suite = end->esp.keys().suite();
    note.number = end->esp.last_number() + 1;
    note.esp = static_cast<std::uint16_t>(crypto::esp_sealed_bytes(note.suite, packet->length));
    note.headers = end->outer.bytes;
    note.outer = end->outer.header;
    if (!end->esp.may_take(packet->length)) {
      note.verdict = DropReason::EspExpired;
    } else if (note.headers + note.esp > ports_[port].mtu) {
      note.verdict = DropReason::MtuExceeded;
    }
  }
  observer_->at_association(note);
  if (note.verdict == DropReason::None) {
    emit(port, packet);
  } else {
    drop(&packet, 1, note.verdict);
  }
}

void Pipeline::finish_sealed(const CryptoJob& job) noexcept {
  Packet* packet = job.packet;
  if (job.status != crypto::EspStatus::Ok) {
    drop(&packet, 1, DropReason::EspExpired);
    return;
  }
  const PipelinePort& out = ports_[job.port];
  const unsigned bytes = packet->length;
  const std::byte* start =
      job.seals->write_outer(packet->data(), bytes, job.tos, out.fills_udp_checksum);
  packet->offset = static_cast<std::uint16_t>(start - reinterpret_cast<std::byte*>(packet));
  packet->length = static_cast<std::uint16_t>(job.seals->outer.bytes + bytes);
  if (packet->length > out.mtu) {
    drop(&packet, 1, DropReason::MtuExceeded);
  } else {
    emit(job.port, packet);
  }
}

}  // namespace sluice
