// Path management: an Echo Request becomes its answer in the same buffer.
#include <cstring>
#include <utility>

#include "pipeline/pipeline.h"
#include "wire/gtpu.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {

DropReason Pipeline::answer_echo(Burst& burst, unsigned i, unsigned gtpu,
                                 std::uint16_t sequence) noexcept {
  Packet* packet = burst.packets[i];
  const PipelinePort& port = ports_[packet->port];
  std::byte* p = packet->data();
  const bool is_v6 = wire::load8(p) >> 4 == 6;
  const std::uint16_t peer_port = wire::load16(p + gtpu - wire::kUdpBytes);
  std::byte source[16], destination[16];
  const unsigned at = is_v6 ? 8 : 12, width = is_v6 ? 16 : 4;
  std::memcpy(source, p + at, width);
  std::memcpy(destination, p + at + width, width);
  // The answer starts where the request did, without options or extension headers.
  const unsigned ip = is_v6 ? wire::kIpv6Bytes : wire::kIpv4Bytes;
  std::byte* message = p + ip + wire::kUdpBytes;
  const auto message_bytes =
      static_cast<std::uint16_t>(wire::write_echo_response(message, sequence));
  const auto udp_bytes = static_cast<std::uint16_t>(message_bytes + wire::kUdpBytes);
  wire::write_udp(p + ip, port.udp_port, peer_port, udp_bytes);
  if (is_v6) {
    wire::store32(p, 0x60000000);
    wire::store16(p + 4, udp_bytes);
    wire::store16(p + 6, wire::kProtocolUdp << 8 | 64);
    std::memcpy(p + 8, destination, 16);
    std::memcpy(p + 24, source, 16);
    if (!port.fills_udp_checksum) {
      wire::fill_udp_checksum(p + ip, udp_bytes,
                              wire::pseudo_header_v6(p + 8, p + 24, wire::kProtocolUdp, udp_bytes));
    }
  } else {
    wire::write_ipv4(p, {wire::load32(destination), wire::load32(source),
                         static_cast<std::uint16_t>(ip + udp_bytes)});
  }
  packet->length = static_cast<std::uint16_t>(ip + udp_bytes);
  ++counters_.created;
  ++counters_.dropped[static_cast<unsigned>(DropReason::GtpuEcho)];
  emit(packet->port, packet);
  return kTakenAway;
}

}  // namespace sluice
