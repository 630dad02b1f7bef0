// Echo Requests to the peers of tunnels, and their answers.
#include <cstring>

#include "pipeline/outer.h"
#include "pipeline/path/path_prober.h"
#include "pipeline/pipeline.h"
#include "wire/gtpu.h"

namespace sluice {

void Pipeline::expire_path_timer(TimerNode& node, Nanoseconds now) noexcept {
  const std::uint16_t index = prober_->expire(node, now, events_);
  if (index == PeerTable::kNone) return;
  const Peer& peer = sessions_.peers()[index];
  // No packet to spare: that counts as a request that was lost.
  Packet* packet = create(plain_port(peer.port));
  if (packet == nullptr) return;
  std::byte* message = packet->data() + outer_bytes(peer);
  address_to(*packet, peer, wire::write_echo_request(message, prober_->sequence_of(index)));
  emit(peer.port, packet);
}

/// An answer counts when it has the number of the request and comes from who was asked. It is
/// the business of one worker.
DropReason Pipeline::take_echo_response(Burst& burst, unsigned i) noexcept {
  if (prober_ == nullptr) {
    return worker_ == kProbingWorker ? DropReason::GtpuEcho : hand_to(burst, i, kProbingWorker, 0);
  }
  const auto sequence = static_cast<std::uint16_t>(burst.key[i]);
  const std::uint16_t index = prober_->asked(sequence);
  if (index == PeerTable::kNone) return DropReason::GtpuEcho;
  const OuterPath path = outer_path(burst.packets[i]->data());
  if (!protections_.trusts(*burst.packets[i], sessions_.peers()[index].protection)) {
    return DropReason::Unprotected;
  }
  const auto from = RemoteAddress::of(path.source, path.is_v6);
  if (from == RemoteAddress::of(sessions_.peers()[index])) {
    prober_->answered(index, burst.now, events_);
  }
  return DropReason::GtpuEcho;
}

}  // namespace sluice
