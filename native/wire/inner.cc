#include "wire/inner.h"

namespace sluice::wire {

void parse_inner_upper(const std::byte* bytes, std::size_t n, InnerPacket& out) noexcept {
  if (n < 4) return;
  if (protocol_has_ports(out.protocol)) {
    out.has_ports = true;
    out.source_port = load16(bytes);
    out.destination_port = load16(bytes + 2);
  } else if (out.protocol == kProtocolEsp) {
    out.has_spi = true;
    out.spi = load32(bytes);
  } else if (out.protocol == kProtocolAh && n >= 8) {
    out.has_spi = true;
    out.spi = load32(bytes + 4);
  }
}

DropReason parse_inner_v6(const std::byte* bytes, std::size_t n, InnerPacket& out) noexcept {
  Ipv6Header header;
  Ipv6Upper upper;
  if (parse_ipv6(bytes, n, header) != DropReason::None) return DropReason::InnerMalformed;
  const DropReason reason = walk_ipv6(bytes, header.total_length, upper);
  // A packet of more headers than are followed may well be a good one.
  if (reason == DropReason::ExtensionLimit) return reason;
  if (reason != DropReason::None) return DropReason::InnerMalformed;
  out = InnerPacket{};
  out.version = 6;
  out.protocol = upper.protocol;
  out.tos = header.traffic_class;
  out.is_fragment = upper.is_fragment;
  out.header_length = upper.offset;
  out.fragment_offset = upper.fragment_offset;
  out.total_length = header.total_length;
  for (unsigned i = 0; i < 4; ++i) {
    out.source[i] = load32(bytes + 8 + 4 * i);
    out.destination[i] = load32(bytes + 24 + 4 * i);
  }
  out.flow_label = header.flow_label;
  out.has_spi = upper.has_ah;
  out.spi = upper.ah_spi;
  if (upper.fragment_offset == 0) {
    parse_inner_upper(bytes + upper.offset, header.total_length - upper.offset, out);
  }
  return DropReason::None;
}

}  // namespace sluice::wire
