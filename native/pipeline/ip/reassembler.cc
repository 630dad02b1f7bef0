#include "pipeline/ip/reassembler.h"

#include <algorithm>
#include <cstring>

#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace sluice {

bool Reassembler::place_of(const Packet& fragment, Place& out) noexcept {
  const std::byte* p = fragment.data();
  out = Place{};
  out.key.port = fragment.port;
  out.key.is_v6 = wire::load8(p) >> 4 == 6;
  unsigned end;
  if (out.key.is_v6) {
    wire::Ipv6Header header{};
    wire::Ipv6Upper upper{};
    if (wire::parse_ipv6(p, fragment.length, header) != DropReason::None ||
        wire::walk_ipv6(p, header.total_length, upper) != DropReason::None) {
      return false;
    }
    // The identification is in the fragment header, right before the data of a later fragment.
    // Headers between it and UDP in a first one are more than tunnels have.
    out.at = upper.offset;
    if (wire::load16(p + out.at - 6) >> 3 != upper.fragment_offset / 8u) return false;
    out.key.identification = wire::load32(p + out.at - 4);
    out.offset = upper.fragment_offset;
    out.more = upper.more_fragments;
    std::memcpy(out.key.addresses, p + 8, 32);
    end = header.total_length;
  } else {
    wire::Ipv4Header header{};
    if (wire::parse_ipv4(p, fragment.length, header) != DropReason::None) return false;
    out.at = header.header_length;
    out.key.identification = header.identification;
    out.offset = header.fragment_offset;
    out.more = header.more_fragments;
    std::memcpy(out.key.addresses, p + 12, 8);
    end = header.total_length;
  }
  out.bytes = end - out.at;
  return out.bytes != 0 && (!out.more || out.bytes % 8 == 0) && out.offset + out.bytes <= kBytesMax;
}

Reassembler::Slot* Reassembler::find(const Key& key, Slot*& free) noexcept {
  free = nullptr;
  for (unsigned i = 0; i < limits_.datagrams; ++i) {
    Slot& slot = slots_[i];
    if (slot.packet == nullptr) {
      free = &slot;
    } else if (std::memcmp(&slot.key, &key, sizeof(Key)) == 0) {
      return &slot;
    }
  }
  return nullptr;
}

/// Notes the units of a fragment; false: some have come before, or it lies beyond the end.
bool Reassembler::claim(Slot& slot, const Place& place) noexcept {
  const unsigned end = place.offset + place.bytes;
  if (slot.total != 0 && (end > slot.total || !place.more)) return false;
  if (!place.more && slot.reach > end) return false;
  for (unsigned unit = place.offset / 8; unit < (end + 7) / 8; ++unit) {
    const std::uint64_t bit = 1ull << unit % 64;
    if (slot.units[unit / 64] & bit) return false;
    slot.units[unit / 64] |= bit;
  }
  slot.bytes += place.bytes;
  slot.reach = std::max(slot.reach, end);
  if (!place.more) slot.total = end;
  ++slot.fragments;
  return true;
}

/// A plain header before the payload: options and extension headers have done their part.
void Reassembler::write_header(Slot& slot) noexcept {
  Packet* packet = slot.packet;
  const unsigned header = slot.key.is_v6 ? wire::kIpv6Bytes : wire::kIpv4Bytes;
  packet->offset = static_cast<std::uint16_t>(kPayloadOffset - header);
  packet->length = static_cast<std::uint16_t>(header + slot.total);
  packet->flags = 0;
  const auto* addresses = reinterpret_cast<const std::byte*>(slot.key.addresses);
  if (slot.key.is_v6) {
    wire::write_ipv6(packet->data(), {.source = addresses,
                                      .destination = addresses + 16,
                                      .payload_length = static_cast<std::uint16_t>(slot.total)});
  } else {
    wire::write_ipv4(packet->data(), {.source = wire::load32(addresses),
                                      .destination = wire::load32(addresses + 4),
                                      .total_length = packet->length});
  }
}

Reassembler::Outcome Reassembler::add(Packet* fragment, Nanoseconds now) noexcept {
  if (limits_.datagrams == 0) return {DropReason::OuterFragment, nullptr, 0, false};
  Place place;
  if (!place_of(*fragment, place)) return {DropReason::ReassemblyLimit, nullptr, 0, false};
  Slot* free;
  Slot* slot = find(place.key, free);
  const bool is_first = slot == nullptr;
  if (is_first) {
    if (free == nullptr) return {DropReason::ReassemblyLimit, nullptr, 0, false};
    slot = free;
    *slot = Slot{};
    slot->key = place.key;
    slot->deadline = now + limits_.timeout;
  }
  if (slot->fragments == limits_.fragments || !claim(*slot, place)) {
    Packet* lost = slot->packet;
    const unsigned ended = slot->fragments;
    slot->packet = nullptr;
    if (!is_first) {
      --waiting_;
      update_expiry();
    }
    return {DropReason::ReassemblyLimit, lost, ended, false};
  }
  if (is_first) {
    slot->packet = fragment;
    ++waiting_;
    next_expiry_ = std::min(next_expiry_, slot->deadline);
  }
  auto* const whole = reinterpret_cast<std::byte*>(slot->packet) + kPayloadOffset;
  std::memmove(whole + place.offset, fragment->data() + place.at, place.bytes);
  if (is_first || slot->total == 0 || slot->bytes != slot->total) {
    return {DropReason::Count, nullptr, 0, is_first};
  }
  write_header(*slot);
  Packet* packet = slot->packet;
  slot->packet = nullptr;
  --waiting_;
  update_expiry();
  return {DropReason::None, packet, slot->fragments - 1, false};
}

Packet* Reassembler::expire(Nanoseconds now, unsigned& waited) noexcept {
  for (unsigned i = 0; waiting_ != 0 && i < limits_.datagrams; ++i) {
    Slot& slot = slots_[i];
    if (slot.packet == nullptr || slot.deadline > now) continue;
    Packet* packet = slot.packet;
    slot.packet = nullptr;
    --waiting_;
    waited = slot.fragments;
    update_expiry();
    return packet;
  }
  update_expiry();
  return nullptr;
}

void Reassembler::update_expiry() noexcept {
  next_expiry_ = ~Nanoseconds{0};
  for (unsigned i = 0; waiting_ != 0 && i < limits_.datagrams; ++i) {
    if (slots_[i].packet != nullptr) next_expiry_ = std::min(next_expiry_, slots_[i].deadline);
  }
}

}  // namespace sluice
