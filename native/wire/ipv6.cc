#include "wire/ipv6.h"

namespace sluice::wire {

namespace {
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::uint8_t kMobility = 135;
constexpr std::uint8_t kHip = 139;
constexpr std::uint8_t kShim6 = 140;

constexpr bool is_extension(std::uint8_t protocol) noexcept {
  switch (protocol) {
    case kHopByHop:
    case kRouting:
    case kFragment:
    case kProtocolAh:
    case kDestinationOptions:
    case kMobility:
    case kHip:
    case kShim6:
      return true;
    default:
      return false;
  }
}

/// Length in bytes of the extension header at `bytes`, of which 8 bytes are there.
std::uint32_t extension_length(std::uint8_t protocol, const std::byte* bytes) noexcept {
  if (protocol == kFragment) return 8;
  if (protocol == kProtocolAh) return (load8(bytes + 1) + 2u) * 4;
  return (load8(bytes + 1) + 1u) * 8;
}
}  // namespace

DropReason walk_ipv6(const std::byte* bytes, std::uint32_t total_length, Ipv6Upper& out) noexcept {
  Ipv6Upper upper{};
  upper.protocol = load8(bytes + 6);
  std::uint32_t offset = kIpv6Bytes;
  while (is_extension(upper.protocol)) {
    if (upper.extensions == kIpv6ExtensionsMax) return DropReason::ExtensionLimit;
    if (upper.protocol == kHopByHop && upper.extensions != 0) return DropReason::BadIpHeader;
    if (total_length - offset < 8) return DropReason::TruncatedPacket;
    const std::byte* header = bytes + offset;
    const std::uint32_t length = extension_length(upper.protocol, header);
    if (length > total_length - offset) return DropReason::TruncatedPacket;
    const std::uint8_t protocol = upper.protocol;
    upper.protocol = load8(header);
    upper.extensions++;
    offset += length;
    if (protocol == kFragment) {
      const std::uint16_t word = load16(header + 2);
      upper.fragment_offset = word & 0xfff8;
      upper.more_fragments = (word & 1) != 0;
      upper.is_fragment = (word & 0xfff9) != 0;
      if (upper.fragment_offset + (total_length - offset) > 0xffff) return DropReason::BadIpHeader;
      if (upper.fragment_offset != 0) break;  // what follows is the middle of something
    } else if (protocol == kProtocolAh && !upper.has_ah) {
      upper.has_ah = true;
      upper.ah_spi = load32(header + 4);
    }
  }
  upper.offset = static_cast<std::uint16_t>(offset);
  out = upper;
  return DropReason::None;
}

}  // namespace sluice::wire
