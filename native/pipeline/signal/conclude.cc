// What follows from a packet that ends here. What is said about it: a G-PDU for nobody gets an
// Error Indication, an extension that had to be understood a notification of those that are
// (TS 29.281 clauses 7.3.1 and 7.2.3). At the end of a burst, so that nothing overtakes its own
// packets.
#include "pipeline/pipeline.h"
#include "pipeline/signal/answer.h"
#include "wire/gtpu.h"

namespace sluice {

/// @return the reason under which the packet is dropped, or kTakenAway.
DropReason Pipeline::conclude(Burst& burst, unsigned i) noexcept {
  const DropReason verdict = burst.verdict[i];
  switch (verdict) {
    case DropReason::UnknownTeid: {
      // A TEID that is being taken by a session has an owner already.
      SessionIndex owner = kNoSession;
      const bool owned = sessions_.teids().find(std::uint64_t{burst.local[i]} << 32 | burst.key[i],
                                                burst.local[i], owner);
      if (!owned && burst.key[i] != 0) answer(burst, i, verdict);
      return verdict;
    }
    case DropReason::GateClosed:
    case DropReason::MbrExceeded:
    case DropReason::QuotaExhausted:
    case DropReason::FarDrop:
    case DropReason::FarBuffer:
      count_discarded(burst, i);
      return verdict;
    case DropReason::GtpuUnknownExtension:
      answer(burst, i, verdict);
      return verdict;
    case DropReason::NotGtpu:
    case DropReason::UnknownUe:
      return take_sealed(burst, i);
    case DropReason::GtpuEcho:
      return take_echo_response(burst, i);
    case DropReason::EndMarker:
      return take_end_marker(burst, i);
    case DropReason::ErrorIndication:
      return take_error_indication(burst, i);
    default:
      return verdict;
  }
}

/// Makes the message that answers a packet, if the budget allows.
void Pipeline::answer(Burst& burst, unsigned i, DropReason why) noexcept {
  if (!answers_.take(burst.now)) {
    ++counters_.gtpu.answers_suppressed;
    return;
  }
  const Packet& request = *burst.packets[i];
  const PipelinePort& port = ports_[request.port];
  Packet* packet = create(request.port);
  if (packet == nullptr) {
    ++counters_.gtpu.answers_suppressed;
    return;
  }
  const OuterPath path = outer_path(request.data());
  std::byte* p = packet->data();
  std::byte* message = p + answer_header_bytes(path);
  std::size_t bytes;
  if (why == DropReason::UnknownTeid) {
    std::byte address[16];
    advertised_address(network_, path, address);
    bytes = wire::write_error_indication(message, sequence_++, Teid{burst.key[i]}, address,
                                         path.width());
    ++counters_.gtpu.error_indications_sent;
  } else {
    bytes = wire::write_supported_extensions(message, sequence_++);
    ++counters_.gtpu.extension_notifications_sent;
  }
  // To the GTP-U port of the sender, whatever port it sent from.
  packet->length = static_cast<std::uint16_t>(write_answer(p, path, port.udp_port, wire::kGtpuPort,
                                                           static_cast<unsigned>(bytes),
                                                           !port.fills_udp_checksum));
  emit(request.port, packet);
}

}  // namespace sluice
