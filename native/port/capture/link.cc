#include <algorithm>

#include "port/capture/capture_file.h"
#include "wire/ethernet.h"

namespace sluice {

namespace {
using wire::load16;
using wire::load32;
using wire::load8;

/// Trims [offset, end of frame) to what the IP header says, and checks the version.
DropReason trim(const CaptureFrame& frame, std::size_t offset, unsigned version,
                CapturedPacket& out) noexcept {
  const std::byte* ip = frame.data + offset;
  const std::size_t n = frame.length - offset;
  if (n == 0) return DropReason::TruncatedPacket;
  const unsigned found = load8(ip) >> 4;
  if ((found != 4 && found != 6) || (version != 0 && found != version)) {
    return DropReason::BadIpVersion;
  }
  std::size_t length = n;
  // A total length below a header's is left for the packet path to refuse; 0 is what offloads
  // leave behind in captures on the sender.
  if (found == 4 && n >= 20 && load16(ip + 2) >= 20) length = load16(ip + 2);
  if (found == 6 && n >= 40) length = std::size_t{40} + load16(ip + 4);
  out = {offset, std::min(length, n)};
  return DropReason::None;
}

DropReason typed(const CaptureFrame& frame, std::size_t type_offset, std::uint16_t header,
                 CapturedPacket& out) noexcept {
  if (frame.length < header) return DropReason::TruncatedPacket;
  wire::EthernetFrame link;
  const DropReason reason = wire::parse_ethertype(frame.data, frame.length,
                                                  load16(frame.data + type_offset), header, link);
  if (reason != DropReason::None) return reason;
  return trim(frame, link.payload_offset, link.ethertype == wire::kEthertypeIpv4 ? 4 : 6, out);
}

/// BSD's loopback: an address family in the byte order of the capturing machine or, for
/// Loop, of the network. Every family that is IP on some system is below 256.
DropReason loopback(const CaptureFrame& frame, CapturedPacket& out) noexcept {
  if (frame.length < 4) return DropReason::TruncatedPacket;
  const std::uint32_t word = load32(frame.data);
  const std::uint32_t family = word < 256 ? word : wire::swap32(word);
  if (family == 2) return trim(frame, 4, 4, out);
  if (family == 10 || family == 24 || family == 28 || family == 30) return trim(frame, 4, 6, out);
  return DropReason::UnknownEthertype;
}
}  // namespace

bool is_supported(LinkType link_type) noexcept {
  switch (link_type) {
    case LinkType::Null:
    case LinkType::Ethernet:
    case LinkType::RawBsd:
    case LinkType::RawOpenBsd:
    case LinkType::Raw:
    case LinkType::Loop:
    case LinkType::LinuxCooked:
    case LinkType::Ipv4:
    case LinkType::Ipv6:
    case LinkType::LinuxCooked2:
      return true;
  }
  return false;
}

DropReason find_ip_packet(const CaptureFrame& frame, CapturedPacket& out) noexcept {
  switch (frame.link_type) {
    case LinkType::Null:
    case LinkType::Loop:
      return loopback(frame, out);
    case LinkType::Ethernet:
      return typed(frame, 12, wire::kEthernetBytes, out);
    case LinkType::LinuxCooked:
      return typed(frame, 14, 16, out);
    case LinkType::LinuxCooked2:
      return typed(frame, 0, 20, out);
    case LinkType::RawBsd:
    case LinkType::RawOpenBsd:
    case LinkType::Raw:
      return trim(frame, 0, 0, out);
    case LinkType::Ipv4:
      return trim(frame, 0, 4, out);
    case LinkType::Ipv6:
      return trim(frame, 0, 6, out);
  }
  return DropReason::UnknownEthertype;
}

}  // namespace sluice
