// What comes under a protection: found among the packets that would end here, opened by bursts on
// the worker that has their association, and let in as if the port had received what is inside.
#include <algorithm>
#include <optional>

#include "pipeline/observe/association_note.h"
#include "pipeline/pipeline.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {
namespace {

constexpr unsigned kEcnMask = 3, kEcnCongested = 3;  ///< of ToS or traffic class

/// ESP in a packet, by itself or in UDP.
struct EspPart {
  unsigned offset, bytes;  ///< of it in the packet's data
  std::uint32_t to[4];     ///< destination of the packet
  bool in_udp;
  bool is_keepalive;  ///< of a NAT's mapping, and no ESP
};

/// Nothing: it is another kind of packet, of which ESP says no word.
std::optional<EspPart> find_esp(const Packet& packet) noexcept {
  const std::byte* const p = packet.data();
  const unsigned n = packet.length;
  EspPart part{};
  unsigned protocol, upper, end;
  if (n == 0) return std::nullopt;
  if (wire::load8(p) >> 4 == 6) {
    wire::Ipv6Header header{};
    wire::Ipv6Upper walk{};
    if (wire::parse_ipv6(p, n, header) != DropReason::None ||
        wire::walk_ipv6(p, header.total_length, walk) != DropReason::None || walk.is_fragment) {
      return std::nullopt;
    }
    protocol = walk.protocol;
    upper = static_cast<unsigned>(walk.offset);
    end = header.total_length;
    for (unsigned w = 0; w < 4; ++w) part.to[w] = wire::load32(p + 24 + 4 * w);
  } else {
    wire::Ipv4Header header{};
    if (wire::parse_ipv4(p, n, header) != DropReason::None || header.is_fragment) {
      return std::nullopt;
    }
    protocol = header.protocol;
    upper = header.header_length;
    end = header.total_length;
    part.to[0] = header.destination;
  }
  if (protocol == wire::kProtocolUdp) {
    wire::UdpHeader udp{};
    if (wire::parse_udp(p + upper, end - upper, udp) != DropReason::None ||
        udp.destination_port != wire::kEspUdpPort) {
      return std::nullopt;
    }
    // The checksum is not looked at: what is inside has a better one.
    end = upper + udp.length;
    upper += wire::kUdpBytes;
    part.in_udp = true;
    // One octet keeps a NAT's mapping alive, and SPI 0 marks IKE (RFC 3948 clause 2).
    part.is_keepalive = end - upper == 1 && wire::load8(p + upper) == 0xff;
    if (!part.is_keepalive && (end - upper < 4 || wire::load32(p + upper) == 0)) {
      return std::nullopt;
    }
  } else if (protocol != kProtocolEsp) {
    return std::nullopt;
  }
  part.offset = upper;
  part.bytes = end - upper;
  return part;
}

DropReason reason_of(crypto::EspStatus status) noexcept {
  switch (status) {
    case crypto::EspStatus::Replayed:
      return DropReason::EspReplayed;
    case crypto::EspStatus::NotGenuine:
      return DropReason::EspNotGenuine;
    default:
      return DropReason::EspMalformed;
  }
}

void count(InboundEnd& end, const Packet& packet, DropReason reason) noexcept {
  if (reason == DropReason::None) {
    ++end.packets;
    end.bytes += packet.length;
  }
  if (reason == DropReason::EspReplayed) ++end.replayed;
  if (reason == DropReason::EspNotGenuine) ++end.not_genuine;
  if (reason == DropReason::EspMalformed) ++end.malformed;
}

/// Whether an IP packet is inside, of the version that the next header says.
bool has_ip_inside(const CryptoJob& job) noexcept {
  if (job.packet->length == 0) return false;
  const unsigned version = wire::load8(job.packet->data()) >> 4;
  return (job.next_header == kNextIpv4 && version == 4) ||
         (job.next_header == kNextIpv6 && version == 6);
}

/// Whether routers said to the outer packet what the inner one has to be told.
bool brings_congestion(const CryptoJob& job) noexcept {
  const bool is_v6 = job.next_header == kNextIpv6;
  return (job.tos & kEcnMask) == kEcnCongested &&
         job.packet->length >= (is_v6 ? wire::kIpv6Bytes : wire::kIpv4Bytes);
}

/// Hands that on to a packet that may be marked. Source: RFC 6040 section 4.2.
void mark_congestion(Packet& packet) noexcept {
  std::byte* const p = packet.data();
  const unsigned more = kEcnCongested - (tos_of(p) & kEcnMask);
  if (wire::load8(p) >> 4 == 6) {
    wire::store32(p, wire::load32(p) + (more << 20));
  } else {
    const std::uint16_t before = wire::load16(p);
    const auto after = static_cast<std::uint16_t>(before + more);
    wire::store16(p, after);
    wire::store16(p + 10, wire::checksum_update16(wire::load16(p + 10), before, after));
  }
}

DropReason judge_opened(const CryptoJob& job) noexcept {
  if (job.status != crypto::EspStatus::Ok) return reason_of(job.status);
  if (job.next_header == kNextNothing) return DropReason::EspDummy;
  if (!has_ip_inside(job)) return DropReason::EspMalformed;
  const bool may_be_marked = (tos_of(job.packet->data()) & kEcnMask) != 0;
  return brings_congestion(job) && !may_be_marked ? DropReason::EspCongested : DropReason::None;
}

AssociationNote note_of(const CryptoJob& job, const crypto::EspLook& look) noexcept {
  AssociationNote note;
  const DropReason reason = judge_opened(job);
  note.verdict = reason == DropReason::None ? kTakenAway : reason;
  note.protection = job.opens->protection;
  note.spi = job.opens->esp.spi();
  note.suite = job.opens->esp.keys().suite();
  note.number = look.number;
  note.is_genuine = look.genuine;
  note.inside = static_cast<std::uint16_t>(look.packet.size());
  note.esp = job.bytes;
  return note;
}

}  // namespace

/// For a packet that ends here unless it is ESP.
/// @return kTakenAway, or why it is dropped after all.
DropReason Pipeline::take_sealed(Burst& burst, unsigned i) noexcept {
  const DropReason verdict = burst.verdict[i];
  Fate fate = Fate::Opened;
  const DropReason reason = admit_sealed(burst.packets[i], verdict, fate);
  if (traced_ && reason != verdict) look_at_admission(*burst.packets[i], reason, fate);
  return reason == DropReason::None ? burst.take_away(i, fate) : reason;
}

DropReason Pipeline::admit_sealed(Packet* packet, DropReason otherwise, Fate& fate) noexcept {
  const auto part = find_esp(*packet);
  if (!part) return otherwise;
  // Towards a UE that is not there, it is none of ours. What a port takes ESP for is ours whatever
  // protections there are; what came under one is no packet of the port any more.
  const PipelinePort& port = ports_[packet->port];
  const bool is_of_port = (part->in_udp ? port.takes_esp_in_udp : port.takes_esp) &&
                          (packet->flags & kPacketProtected) == 0;
  const bool is_local = is_of_port || protections_.may_be_local(part->to);
  if (part->is_keepalive) return is_local ? DropReason::NatKeepalive : otherwise;
  if (part->bytes < crypto::kEspHeaderBytes) return is_local ? DropReason::EspMalformed : otherwise;
  const InboundPlace* place = protections_.inbound(wire::load32(packet->data() + part->offset));
  if (place == nullptr) return is_local ? DropReason::EspUnknownSpi : otherwise;
  // One inside another is nobody's.
  if (packet->flags & kPacketProtected) return DropReason::EspMalformed;
  if (place->owner != worker_) {
    PacketList& list = handoffs_[place->owner];
    if (list.count == PacketList::kMax) return DropReason::HandoffFull;
    packet->flags |= kPacketSealed;
    list.packets[list.count++] = packet;
    ++counters_.handed_over;
    fate = Fate::HandedOver;
    return DropReason::None;
  }
  InboundEnd& end = *place->end;
  if (!std::equal(part->to, part->to + 4, end.local.words)) return DropReason::EspUnknownSpi;
  if (sealed_count_ == kSealedMax) return DropReason::CryptoFull;
  CryptoJob& job = sealed_[sealed_count_++];
  job = {};
  job.packet = packet;
  job.opens = &end;
  job.offset = static_cast<std::uint16_t>(part->offset);
  job.bytes = static_cast<std::uint16_t>(part->bytes);
  job.tos = static_cast<std::uint8_t>(tos_of(packet->data()));
  ++inside_;
  return DropReason::None;
}

/// What does not come to its association here, which would tell more.
void Pipeline::look_at_admission(const Packet& packet, DropReason reason, Fate fate) noexcept {
  if (reason == DropReason::None && fate == Fate::Opened) return;
  AssociationNote note;
  note.verdict = reason == DropReason::None ? kTakenAway : reason;
  note.fate = fate;
  if (const auto part = find_esp(packet); part && part->bytes >= 4) {
    note.spi = wire::load32(packet.data() + part->offset);
    note.esp = static_cast<std::uint16_t>(part->bytes);
  }
  observer_->at_association(note);
}

/// Of what another worker handed over, the sealed ones. @return how many are left of the others.
unsigned Pipeline::admit_handed_over(Packet** packets, unsigned count) noexcept {
  unsigned others = 0;
  for (unsigned i = 0; i < count; ++i) {
    Packet* packet = packets[i];
    if ((packet->flags & kPacketSealed) == 0) {
      packets[others++] = packet;
      continue;
    }
    packet->flags = static_cast<std::uint8_t>(packet->flags & ~kPacketSealed);
    Fate fate = Fate::Opened;
    // The association may have gone meanwhile, or to another worker with a new one.
    const DropReason reason = admit_sealed(packet, DropReason::EspUnknownSpi, fate);
    if (traced_) look_at_admission(*packet, reason, fate);
    if (reason != DropReason::None) drop(&packet, 1, reason);
  }
  return others;
}

void Pipeline::open_sealed(Nanoseconds now) noexcept {
  for (unsigned done = 0; done < sealed_count_;) {
    const unsigned n = std::min(sealed_count_ - done, kCryptoBurst);
    CryptoJob group[kCryptoBurst];
    std::copy_n(&sealed_[done], n, group);
    done += n;
    // Letting packets in finishes bursts that are inside, which may bring further ones.
    if (done == sealed_count_) done = sealed_count_ = 0;
    if (traced_) {
      for (unsigned i = 0; i < n; ++i) {
        const crypto::EspLook look = look_into(group[i]);
        observer_->at_association(note_of(group[i], look));
      }
      finish_opened({group, n}, now);
    } else if (!lanes_.empty()) {
      send_to_lanes({group, n});
    } else {
      do_jobs({group, n});
      finish_opened({group, n}, now);
    }
  }
}

/// @param jobs  at most kCryptoBurst
void Pipeline::finish_opened(std::span<const CryptoJob> jobs, Nanoseconds now) noexcept {
  Packet* opened[kCryptoBurst];
  unsigned good = 0;
  for (const CryptoJob& job : jobs) {
    Packet* packet = job.packet;
    InboundEnd& end = *job.opens;
    inside_ -= 1;
    const DropReason reason = judge_opened(job);
    if (!traced_) count(end, *packet, reason);
    if (reason != DropReason::None) {
      drop(&packet, 1, reason);
      continue;
    }
    if (brings_congestion(job)) mark_congestion(*packet);
    // Its checksums are inside what was found to be genuine.
    packet->flags |= kPacketProtected | kPacketOuterChecksumGood;
    packet->tag = end.protection;
    opened[good++] = packet;
  }
  if (good == 0) return;
  inside_ += good;
  enter_sorted(opened, good, 0, now);
}

}  // namespace sluice
