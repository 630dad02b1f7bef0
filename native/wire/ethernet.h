// Ethernet II and IEEE 802.3 with SNAP, under at most two VLAN tags.
#pragma once
#include "base/types.h"
#include "wire/bytes.h"

namespace sluice::wire {

inline constexpr std::uint16_t kEthertypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEthertypeIpv6 = 0x86dd;
inline constexpr std::uint16_t kEthertypeVlan = 0x8100;         ///< IEEE 802.1Q C-tag
inline constexpr std::uint16_t kEthertypeServiceVlan = 0x88a8;  ///< IEEE 802.1ad S-tag
inline constexpr std::uint16_t kEthertypeOldServiceVlan = 0x9100;
inline constexpr unsigned kVlanTagsMax = 2;
inline constexpr std::size_t kEthernetBytes = 14;

struct EthernetFrame {
  std::uint16_t ethertype;           ///< kEthertypeIpv4 or kEthertypeIpv6
  std::uint16_t payload_offset;      ///< bytes from the start of the frame
  std::uint8_t vlan_tags;            ///< 0 to 2
  std::uint16_t vlan[kVlanTagsMax];  ///< tag control words, outermost first; 0 where absent
};

constexpr bool is_vlan_ethertype(std::uint16_t ethertype) noexcept {
  return ethertype == kEthertypeVlan || ethertype == kEthertypeServiceVlan ||
         ethertype == kEthertypeOldServiceVlan;
}

/// Follows tags and SNAP from a type field to an IP packet.
/// @param type    the type field, as Ethernet and Linux cooked captures have it.
/// @param offset  bytes from the start of the frame to what follows that field.
/// @param out     written only on success.
/// @return None, TruncatedPacket or UnknownEthertype (no IP, or more than two tags).
/// Bounds: at most two tags. Threads: any; pure. Source: IEEE 802.1Q, RFC 1042.
inline DropReason parse_ethertype(const std::byte* bytes, std::size_t n, std::uint16_t type,
                                  std::uint16_t offset, EthernetFrame& out) noexcept {
  EthernetFrame frame{};
  while (is_vlan_ethertype(type)) {
    if (frame.vlan_tags == kVlanTagsMax) return DropReason::UnknownEthertype;
    if (n < offset + 4u) return DropReason::TruncatedPacket;
    frame.vlan[frame.vlan_tags++] = load16(bytes + offset);
    type = load16(bytes + offset + 2);
    offset += 4;
  }
  if (type <= 1500) {  // a length: LLC follows, and only SNAP can carry IP
    if (n < offset + 8u) return DropReason::TruncatedPacket;
    const bool is_snap = load32(bytes + offset) == 0xaaaa0300 && load16(bytes + offset + 4) == 0;
    if (!is_snap) return DropReason::UnknownEthertype;
    type = load16(bytes + offset + 6);
    offset += 8;
  }
  if (type != kEthertypeIpv4 && type != kEthertypeIpv6) return DropReason::UnknownEthertype;
  frame.ethertype = type;
  frame.payload_offset = offset;
  out = frame;
  return DropReason::None;
}

/// Finds the IP packet in a frame.
/// @param bytes  [destination 6 | source 6 | tags | type], without preamble and FCS.
/// @param out    written only on success.
/// @return None, TruncatedPacket or UnknownEthertype (no IP, or more than two tags).
/// Bounds: at most two tags. Threads: any; pure. Source: IEEE 802.3 clause 3.
inline DropReason parse_ethernet(const std::byte* bytes, std::size_t n,
                                 EthernetFrame& out) noexcept {
  if (n < kEthernetBytes) return DropReason::TruncatedPacket;
  return parse_ethertype(bytes, n, load16(bytes + 12), kEthernetBytes, out);
}

}  // namespace sluice::wire
