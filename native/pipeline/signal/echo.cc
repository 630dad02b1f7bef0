// Path management: an Echo Request becomes its answer in the same buffer.
#include "pipeline/pipeline.h"
#include "pipeline/signal/answer.h"
#include "wire/gtpu.h"

namespace sluice {

DropReason Pipeline::answer_echo(Burst& burst, unsigned i, unsigned gtpu,
                                 std::uint16_t sequence) noexcept {
  Packet* packet = burst.packets[i];
  const PipelinePort& port = ports_[packet->port];
  std::byte* p = packet->data();
  const OuterPath path = outer_path(p);
  const std::uint16_t peer_port = wire::load16(p + gtpu - wire::kUdpBytes);
  // The answer starts where the request did, without options or extension headers.
  const std::size_t bytes = wire::write_echo_response(p + answer_header_bytes(path), sequence);
  packet->length = static_cast<std::uint16_t>(write_answer(
      p, path, port.udp_port, peer_port, static_cast<unsigned>(bytes), !port.fills_udp_checksum));
  ++counters_.created;
  ++counters_.dropped[static_cast<unsigned>(DropReason::GtpuEcho)];
  emit(packet->port, packet);
  return burst.take_away(i, Fate::Answered);
}

}  // namespace sluice
