// Part of parse: outer headers of any kind, one by one, to the local address that they name and the
// GTP-U message behind them. What is plain has its own way in parse.cc.
#include "pipeline/pipeline.h"
#include "wire/gtpu.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {

/// Outer IP and UDP headers.
DropReason Pipeline::parse_outer_slow(Burst& burst, unsigned i) noexcept {
  Packet* packet = burst.packets[i];
  const PipelinePort& port = ports_[packet->port];
  const std::byte* p = packet->data();
  const std::size_t n = packet->length;
  const bool checked = (packet->flags & kPacketOuterChecksumGood) != 0;
  if (n == 0) return DropReason::TruncatedPacket;
  std::uint32_t to[4] = {};
  std::size_t upper = 0, end = 0;
  const bool is_v6 = wire::load8(p) >> 4 == 6;
  bool is_fragment = false;
  wire::Ipv4Header v4{};
  if (is_v6) {
    wire::Ipv6Header v6{};
    wire::Ipv6Upper walk{};
    DropReason reason = wire::parse_ipv6(p, n, v6);
    if (reason == DropReason::None) reason = wire::walk_ipv6(p, v6.total_length, walk);
    if (reason != DropReason::None) return reason;
    if (walk.protocol != wire::kProtocolUdp) return DropReason::NotGtpu;
    is_fragment = walk.is_fragment;
    upper = walk.offset;
    end = v6.total_length;
    for (unsigned w = 0; w < 4; ++w) to[w] = wire::load32(p + 24 + 4 * w);
  } else {
    if (const auto reason = wire::parse_ipv4(p, n, v4); reason != DropReason::None) return reason;
    if (!checked && !wire::ipv4_checksum_good(p, v4.header_length))
      return DropReason::BadIpChecksum;
    if (v4.protocol != wire::kProtocolUdp) return DropReason::NotGtpu;
    is_fragment = v4.is_fragment;
    upper = v4.header_length;
    end = v4.total_length;
    to[0] = v4.destination;
  }
  unsigned local = 0;
  for (; local < network_.locals.size(); ++local) {
    const LocalAddress& address = network_.locals[local];
    if ((port.local_mask >> local & 1) && address.is_v6 == is_v6 &&
        std::memcmp(address.words, to, sizeof(to)) == 0) {
      break;
    }
  }
  if (local == network_.locals.size()) return DropReason::NotForUs;
  if (is_fragment) return reassemble(burst, i);
  wire::UdpHeader udp{};
  if (const auto reason = wire::parse_udp(p + upper, end - upper, udp);
      reason != DropReason::None) {
    return reason;
  }
  if (udp.destination_port != port.udp_port) return DropReason::NotGtpu;
  if (!checked &&
      !(is_v6 ? wire::udp_checksum_good_v6(p + upper, udp, p + 8, p + 24)
              : wire::udp_checksum_good_v4(p + upper, udp, v4.source, v4.destination))) {
    return DropReason::BadUdpChecksum;
  }
  burst.local[i] = static_cast<std::uint8_t>(local);
  return gtpu_message(burst, i, static_cast<unsigned>(upper + wire::kUdpBytes),
                      static_cast<unsigned>(udp.length - wire::kUdpBytes));
}

/// The GTP-U part, at `gtpu` in the packet's data. An Echo Request is answered in place.
DropReason Pipeline::gtpu_message(Burst& burst, unsigned i, unsigned gtpu, unsigned n) noexcept {
  Packet* packet = burst.packets[i];
  wire::GtpuHeader header{};
  if (const auto reason = wire::parse_gtpu(packet->data() + gtpu, n, header);
      reason != DropReason::None) {
    return reason;
  }
  if (header.type == wire::kGtpuEchoRequest) return answer_echo(burst, i, gtpu, header.sequence);
  if (header.type == wire::kGtpuEchoResponse) {
    burst.key[i] = header.sequence;
    return DropReason::GtpuEcho;
  }
  if (header.unknown_required != 0) return DropReason::GtpuUnknownExtension;
  burst.key[i] = static_cast<std::uint32_t>(header.teid);
  burst.qfi[i] = header.has_psc ? header.qfi : static_cast<std::uint8_t>(kNoQfi);
  if (header.has_psc) burst.flags[i] |= kHasContainer;
  if (header.pdcp_type != 0) packet->flags |= kPacketPdcpNumber;
  burst.inner_offset[i] = static_cast<std::uint16_t>(gtpu + header.payload_offset);
  burst.inner_length[i] = header.payload_length;
  switch (header.type) {
    case wire::kGtpuGpdu:
      return header.payload_length == 0 ? DropReason::EmptyPayload : DropReason::None;
    case wire::kGtpuEndMarker:
      return DropReason::EndMarker;
    case wire::kGtpuErrorIndication:
      return DropReason::ErrorIndication;
    case wire::kGtpuSupportedExtensions:
      return DropReason::ExtensionsNotification;
    default:
      return DropReason::GtpuMessageType;
  }
}

}  // namespace sluice
