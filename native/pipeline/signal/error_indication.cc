// Error Indications of peers (TS 29.281 clause 7.3.1): the peer has no such tunnel any more.
// Its session is found by the tunnel that it sends into, and the control plane is told once,
// until the FAR leads elsewhere. Only the peer itself may say so, and where its tunnel is under a
// protection, only what comes under that.
#include <algorithm>
#include <cstring>

#include "pipeline/pipeline.h"
#include "pipeline/signal/answer.h"
#include "wire/gtpu.h"

namespace sluice {

DropReason Pipeline::take_error_indication(Burst& burst, unsigned i) noexcept {
  Packet* const packet = burst.packets[i];
  wire::ErrorIndication said{};
  if (const auto reason = wire::parse_error_indication(packet->data() + burst.inner_offset[i],
                                                       burst.inner_length[i], said);
      reason != DropReason::None) {
    return reason;
  }
  const OuterPath path = outer_path(packet->data());
  if (said.address_bytes != path.width() ||
      std::memcmp(said.address, path.source, path.width()) != 0) {
    return DropReason::ErrorIndicationForged;
  }
  const auto peer = RemoteAddress::of(reinterpret_cast<const std::byte*>(said.address), path.is_v6);
  const auto teid = static_cast<std::uint32_t>(said.teid);
  // Sessions may share a tunnel; the worker before has asked those up to its own.
  DropReason verdict = DropReason::ErrorIndication;
  unsigned turn = (burst.flags[i] & kResolved) ? packet->word : 0;
  for (; turn < RemoteTable::kTurns; ++turn) {
    SessionIndex session = kNoSession;
    if (!sessions_.remotes().find(peer, teid, turn, session)) continue;
    packet->word = turn;
    if (workers_ > 1) {
      const DropReason handed = hand_over(burst, i, session);
      if (handed != DropReason::None) return handed;
    }
    if (!report_lost_tunnel(*packet, session, peer, teid)) verdict = DropReason::Unprotected;
  }
  return verdict;
}

/// False: the tunnel is under a protection that the message has not come under.
bool Pipeline::report_lost_tunnel(const Packet& said_by, SessionIndex session,
                                  const RemoteAddress& peer, std::uint32_t teid) noexcept {
  // The table has a hash of the tunnel: the session's FARs say whether it is theirs.
  const auto visit = [&](auto&& f) {
    for (const Direction direction : {Direction::Uplink, Direction::Downlink}) {
      FlowRules& rules = flow_of(session, direction).rules;
      for_each_own_far(sessions_.arena(), rules, [&](FarEntry& far) {
        if (!far.leads_into_tunnel() || far.teid != teid) return;
        const Peer& there = sessions_.peers()[far.peer];
        if (RemoteAddress::of(there) == peer) f(rules, far, there.protection);
      });
    }
  };
  bool sends_there = false, reported = false, trusted = true;
  visit([&](const FlowRules&, const FarEntry& far, std::uint16_t protection) {
    sends_there = true;
    reported = reported || (far.flags & kFarErrorReported) != 0;
    trusted = trusted && protections_.trusts(said_by, protection);
  });
  if (!sends_there || !trusted || reported) return trusted;
  Event event{};
  event.kind = EventKind::ErrorIndication;
  event.session = session;
  event.incarnation = uplink_[session].rules.incarnation;
  event.id = teid;
  event.qfi = peer.is_v6 ? 1 : 0;
  std::copy(peer.words, peer.words + 4, event.address);
  // A full ring loses nothing: the peer says it again with the next packet.
  if (!events_.push(event) || traced_) return true;
  visit([](FlowRules& rules, FarEntry& far, std::uint16_t) {
    rules.flags |= kRulesErrorReported;
    far.flags |= kFarErrorReported;
  });
  return true;
}

}  // namespace sluice
