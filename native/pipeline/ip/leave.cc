// A packet that may not leave as it is: too big for where it goes, a hop to count, a segment
// size to lower. Asked for by one comparison with PipelinePort::plain_bytes.
#include <algorithm>
#include <cstring>

#include "pipeline/pipeline.h"
#include "wire/fragment.h"
#include "wire/tcp.h"

namespace sluice {
namespace {

constexpr unsigned kPiecesMax = 8;
constexpr Nanoseconds kErrorsWindow = 1'000'000'000;

/// Fragments that an IPv4 packet is cut into; 0: it can't be.
unsigned pieces_of(const std::byte* inner, unsigned length, unsigned room) noexcept {
  const unsigned header = (wire::load8(inner) & 15u) * 4;
  const unsigned step = wire::fragment_payload_bytes(header, room);
  const unsigned payload = length - header;
  return step == 0 || payload > step * kPiecesMax ? 0 : (payload + step - 1) / step;
}

unsigned smaller(unsigned a, unsigned b) noexcept { return a == 0 || (b != 0 && b < a) ? b : a; }

}  // namespace

/// Whether a packet has a hop to lose and is small enough, or may be cut up; if not, its sender is
/// told.
/// @param room  bytes of IP packet that fit.
DropReason Pipeline::may_leave(Burst& burst, unsigned i, std::uint8_t to, unsigned room) noexcept {
  const std::byte* inner = burst.packets[i]->data() + burst.inner_offset[i];
  const bool uplink = burst.direction[i] == Direction::Uplink;
  const std::uint8_t core = uplink ? plain_port(to) : burst.port;
  if (counts_hop(burst, i, to) && !wire::has_hop(inner)) {
    send_error(burst, i, wire::IcmpError::TimeExceeded, core, 0);
    return DropReason::TtlExceeded;
  }
  const unsigned length = burst.inner_length[i];
  if (length <= room) return DropReason::None;
  const bool may_fragment =
      (burst.flags[i] & kInnerV6) == 0 && (wire::load16(inner + 6) & 0x4000) == 0;
  if (may_fragment) {
    return pieces_of(inner, length, room) == 0 ? DropReason::MtuExceeded : DropReason::None;
  }
  send_error(burst, i, wire::IcmpError::TooBig, core, room);
  return DropReason::MtuExceeded;
}

/// @param room  bytes of IP packet that fit.
/// @return None: it may leave now; kTakenAway: it has left in pieces.
DropReason Pipeline::leave(Burst& burst, unsigned i, const Hit& hit, unsigned room) noexcept {
  const DropReason verdict = may_leave(burst, i, hit.far->port, room);
  if (verdict != DropReason::None) return verdict;
  std::byte* inner = burst.packets[i]->data() + burst.inner_offset[i];
  const PipelinePort &from = ports_[burst.port], &to = ports_[hit.far->port];
  if (counts_hop(burst, i, hit.far->port)) wire::take_hop(inner);
  const unsigned mss4 = smaller(from.mss4, to.mss4), mss6 = smaller(from.mss6, to.mss6);
  if ((mss4 | mss6) != 0 && burst.operand[i].lanes[kProtocol] == wire::kProtocolTcp) {
    wire::InnerPacket parsed;
    if (wire::parse_inner(inner, burst.inner_length[i], parsed) == DropReason::None) {
      wire::clamp_mss(inner, parsed, static_cast<std::uint16_t>(parsed.version == 6 ? mss6 : mss4));
    }
  }
  return burst.inner_length[i] <= room ? DropReason::None : leave_in_pieces(burst, i, hit, room);
}

/// Between ports of which one says so; what turned round here has lost its hop then.
bool Pipeline::counts_hop(const Burst& burst, unsigned i, std::uint8_t to) const noexcept {
  return (ports_[burst.port].decrements_ttl || ports_[to].decrements_ttl) &&
         (burst.packets[i]->flags & kPacketReentered) == 0;
}

/// IPv4 without "don't fragment": as many packets as pieces_of() says, the first in the same
/// buffer.
DropReason Pipeline::leave_in_pieces(Burst& burst, unsigned i, const Hit& hit,
                                     unsigned room) noexcept {
  Packet* const whole = burst.packets[i];
  std::byte* const inner = whole->data() + burst.inner_offset[i];
  const unsigned header = (wire::load8(inner) & 15u) * 4;
  const unsigned payload = burst.inner_length[i] - header;
  const unsigned step = wire::fragment_payload_bytes(header, room);
  const unsigned count = pieces_of(inner, burst.inner_length[i], room);
  Packet* pieces[kPiecesMax] = {whole};
  for (unsigned k = 1; k < count; ++k) {
    pieces[k] = create(whole->port);
    if (pieces[k] == nullptr) {
      drop(pieces + 1, k - 1, DropReason::NoBuffer);
      return DropReason::NoBuffer;
    }
    pieces[k]->flags = whole->flags;
    mark_like(*pieces[k], *whole);
  }
  const std::uint16_t word = wire::load16(inner + 6);
  const unsigned first = (word & 0x1fffu) * 8;
  const bool last_of_more = (word & 0x2000) != 0;
  for (unsigned k = 1; k < count; ++k) {
    std::byte* out = pieces[k]->data();
    const unsigned bytes = wire::write_fragment_header(out, inner);
    const unsigned n = std::min(step, payload - k * step);
    std::memcpy(out + bytes, inner + header + k * step, n);
    wire::finish_fragment(out, bytes + n, first + k * step, last_of_more || k + 1 < count);
    pieces[k]->length = static_cast<std::uint16_t>(bytes + n);
  }
  wire::finish_fragment(inner, header + step, first, true);
  burst.inner_length[i] = static_cast<std::uint16_t>(header + step);
  burst.flags[i] |= kFits;
  for (unsigned k = 0; k < count; ++k) {
    if (k != 0) {
      burst.packets[i] = pieces[k];
      burst.inner_offset[i] = 0;
      burst.inner_length[i] = pieces[k]->length;
    }
    const DropReason reason =
        hit.far->leads_into_tunnel() ? to_tunnel(burst, i, hit) : to_core(burst, i, hit);
    if (reason == DropReason::None) {
      emit(hit.far->port, pieces[k]);
    } else {
      drop(&pieces[k], 1, reason);
    }
  }
  return burst.take_away(i, Fate::InPieces);
}

/// Plain IP, from the tunnel or as it is.
DropReason Pipeline::to_core(Burst& burst, unsigned i, Hit hit) noexcept {
  Packet* packet = burst.packets[i];
  const PipelinePort& port = ports_[hit.far->port];
  if (burst.inner_length[i] > port.plain_bytes && (burst.flags[i] & kFits) == 0) {
    const DropReason reason = leave(burst, i, hit, port.mtu - protection_bytes(*hit.far));
    if (reason != DropReason::None) return reason;
  }
  name_protection(*packet, *hit.far);
  packet->offset = static_cast<std::uint16_t>(packet->offset + burst.inner_offset[i]);
  packet->length = burst.inner_length[i];
  return DropReason::None;
}

/// Tells the sender why: a UE through its session, others by the port that they sent to.
/// @param core  the port whose address the message has, on whose side the sender is.
void Pipeline::send_error(const Burst& burst, unsigned i, wire::IcmpError error, std::uint8_t core,
                          unsigned mtu) noexcept {
  const PipelinePort& port = ports_[core];
  const bool is_v6 = (burst.flags[i] & kInnerV6) != 0;
  const bool has_source = is_v6 ? port.has_icmp_source6 : port.has_icmp_source4;
  // From a tunnel towards the UE there is no way back to the sender.
  if (port.is_access || !has_source) return;
  // Nobody hears of copies, whoever they are for.
  if (burst.packets[i]->flags & kPacketCopy) return;
  const std::byte* inner = burst.packets[i]->data() + burst.inner_offset[i];
  if (!wire::may_answer_with_icmp(inner, burst.inner_length[i])) return;
  if (burst.now - errors_since_ >= kErrorsWindow) {
    errors_since_ = burst.now;
    errors_sent_ = 0;
  }
  if (errors_sent_ >= policy_.icmp_errors_per_second) return;
  Packet* packet = create(core);
  if (packet == nullptr) return;
  ++errors_sent_;
  packet->length = static_cast<std::uint16_t>(wire::write_icmp_error(
      packet->data(), inner, burst.inner_length[i], error,
      reinterpret_cast<const std::byte*>(is_v6 ? port.icmp_source6 : port.icmp_source4), mtu));
  const bool sender_is_ue =
      burst.direction[i] == Direction::Uplink || (burst.packets[i]->flags & kPacketReentered) != 0;
  // Whoever captures the session wants to see what is said about its packet.
  mark_like(*packet, *burst.packets[i]);
  if (!sender_is_ue) return emit(core, packet);
  const DropReason reason = reenter(core, packet);
  if (reason != DropReason::None) drop(&packet, 1, reason);
}

}  // namespace sluice
