// Addresses that want a closer look, after AddressSieve has said so: martians, multicast, the
// UPF's own addresses, and other UEs (the packet turns round here, "hairpin").
#include <cstring>

#include "pipeline/pipeline.h"
#include "wire/fragment.h"

namespace sluice {
namespace {

bool is_multicast(const UeAddress& a) noexcept {
  return a.is_v6 ? a.words[0] >> 24 == 0xff : a.words[0] >> 28 == 14 || a.words[0] == 0xffffffff;
}

/// Never on a wire as source or destination: RFC 6890 (not forwardable), RFC 4291.
bool is_martian(const UeAddress& a) noexcept {
  if (a.is_v6) {
    const bool zero = (a.words[0] | a.words[1]) == 0;
    const bool unspecified_or_loopback = zero && a.words[2] == 0 && a.words[3] <= 1;
    const bool mapped = zero && a.words[2] == 0xffff;
    return unspecified_or_loopback || mapped || a.words[0] >> 22 == 0xfe80 >> 6;
  }
  const unsigned octet = a.words[0] >> 24;
  return octet == 0 || octet == 127 || octet >= 240 || a.words[0] >> 16 == 0xa9fe;
}

}  // namespace

/// Uplink to N6 by destination, downlink from N6 by source. What stays in tunnels is the next
/// UPF's to judge.
DropReason Pipeline::look_closer(Burst& burst, unsigned i, Hit& hit) noexcept {
  if (burst.direction[i] == Direction::Downlink) {
    if (burst.is_access || !policy_.drop_martians) return DropReason::None;
    const UeAddress source = address_of(burst, i, true);
    return is_martian(source) || is_multicast(source) ? DropReason::Martian : DropReason::None;
  }
  if (hit.far->own().action != FarAction::ToCore) return DropReason::None;
  // Else match has seen to it; a quota's FAR comes later.
  if (is_link_local(address_of(burst, i, true))) return DropReason::Martian;
  const UeAddress to = address_of(burst, i, false);
  if (is_multicast(to)) return policy_.drop_multicast ? DropReason::Multicast : DropReason::None;
  if (is_link_local(to)) return DropReason::Martian;
  if (is_martian(to)) return policy_.drop_martians ? DropReason::Martian : DropReason::None;
  if (const DropReason reason = to_own_address(burst, i, to); reason != DropReason::None) {
    return reason;
  }
  // What a FAR seals goes to its gateway, whoever it is for.
  const std::uint8_t port = hit.far->own().port;
  if (policy_.hairpin && !is_protected(port) &&
      sessions_.sieve().may_be_ue(to.words[0] >> 16, to.is_v6)) {
    SessionIndex session = kNoSession;
    const bool is_ue = to.is_v6 ? sessions_.ipv6().find(
                                      std::uint64_t{to.words[0]} << 32 | to.words[1], port, session)
                                : sessions_.ipv4().find(to.words[0], port, session);
    const AddressBits bits = AddressBits::of(to.words, to.is_v6);
    if (is_ue || sessions_.routes().find(bits, to.is_v6, port) != kNoSession) {
      if (hit.far->action == FarAction::Duplicate) {
        burst.flags[i] |= kTurnsRound;
      } else {
        hit.far = &hairpins_[port];
      }
    }
  }
  return DropReason::None;
}

DropReason Pipeline::to_own_address(const Burst& burst, unsigned i, const UeAddress& to) noexcept {
  const auto& lanes = burst.operand[i].lanes;
  for (const LocalAddress& own : network_.owns) {
    if (own.is_v6 != to.is_v6 || std::memcmp(own.words, to.words, sizeof(to.words)) != 0) continue;
    const bool is_gtpu = own.port != kNoPort && lanes[kProtocol] == wire::kProtocolUdp &&
                         lanes[kRemotePort] == ports_[own.port].udp_port;
    if (is_gtpu) return policy_.drop_nested_gtpu ? DropReason::NestedGtpu : DropReason::None;
    return policy_.drop_own_addresses ? DropReason::OwnAddress : DropReason::None;
  }
  return DropReason::None;
}

DropReason Pipeline::may_turn_round(Burst& burst, unsigned i, std::uint8_t core) noexcept {
  if (wire::has_hop(burst.packets[i]->data() + burst.inner_offset[i])) return DropReason::None;
  send_error(burst, i, wire::IcmpError::TimeExceeded, core, 0);
  return DropReason::TtlExceeded;
}

/// Turns round: out of this session, and in again as if N6 had sent it.
DropReason Pipeline::turn_round(Burst& burst, unsigned i, Hit hit) noexcept {
  const DropReason verdict = may_turn_round(burst, i, hit.far->port);
  if (verdict != DropReason::None) return verdict;
  Packet* packet = burst.packets[i];
  wire::take_hop(packet->data() + burst.inner_offset[i]);
  packet->offset = static_cast<std::uint16_t>(packet->offset + burst.inner_offset[i]);
  packet->length = burst.inner_length[i];
  const DropReason reason = reenter(hit.far->port, packet);
  return reason == DropReason::None ? burst.take_away(i, Fate::TurnedRound) : reason;
}

}  // namespace sluice
