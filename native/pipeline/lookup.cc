// lookup: from the key to the session and its flow, whose lines parse (uplink) or this
// stage (downlink) has put on their way.
#include "pipeline/pipeline.h"

namespace sluice {

void Pipeline::lookup_access(Burst& burst) noexcept {
  // Copies, since a store into the burst might otherwise change them for all that is known.
  Flow* const uplink = uplink_;
  const bool alone = workers_ == 1;
  const unsigned count = burst.count;
  for (unsigned i = 0; i < count; ++i) {
    if (i + kNearAhead < count) fetch_near_pair(uplink + burst.session[i + kNearAhead]);
    if (__builtin_expect(burst.verdict[i] != DropReason::None, 0)) continue;
    const SessionIndex session = burst.session[i];
    const bool ours =
        alone || (burst.flags[i] & kResolved) ||
        (session != kNoSession && bucket_owner_[sessions_.scheme().bucket(session)] == worker_);
    if (__builtin_expect(session != kNoSession && ours, 1)) {
      Flow& flow = uplink[session];
      if (__builtin_expect(
              flow.state.key == burst.key[i] && (flow.state.local_mask >> burst.local[i] & 1), 1)) {
        burst.flow[i] = &flow;
        burst.filter_set[i] = flow.rules.filter_set;
        continue;
      }
    }
    burst.verdict[i] = find_tunnel(burst, i);
  }
}

DropReason Pipeline::find_tunnel(Burst& burst, unsigned i) noexcept {
  const DropReason reason = locate_tunnel(burst, i);
  if (reason != DropReason::None || burst.direction[i] == Direction::Uplink) return reason;
  // Arrives in a tunnel, but towards the UE: remote and local change places.
  return set_inner(burst, i, false);
}

/// A TEID that does not name its session by itself: chosen by the control plane function, a
/// further tunnel of the session, another worker's, or nobody's.
DropReason Pipeline::locate_tunnel(Burst& burst, unsigned i) noexcept {
  const std::uint32_t teid = burst.key[i];
  SessionIndex session = burst.session[i];
  if ((burst.flags[i] & kResolved) == 0) {
    SessionIndex found = kNoSession;
    if (sessions_.teids().find(std::uint64_t{burst.local[i]} << 32 | teid, burst.local[i], found)) {
      session = found;
    } else if (session == kNoSession) {
      return DropReason::UnknownTeid;
    }
    if (workers_ > 1) {
      const DropReason verdict = hand_over(burst, i, session);
      if (verdict != DropReason::None) return verdict;
    }
  }
  Flow& up = uplink_[session];
  burst.session[i] = session;
  burst.flow[i] = &up;
  burst.direction[i] = Direction::Uplink;
  if (up.state.key == teid && (up.state.local_mask >> burst.local[i] & 1)) {
    burst.filter_set[i] = up.rules.filter_set;
    return DropReason::None;
  }
  if ((up.state.flags & kFlowLive) == 0 || up.rules.extension == 0) return DropReason::UnknownTeid;
  RulesExtension* extension = sessions_.extension(up.rules.extension);
  for (unsigned t = 0; t < extension->tunnel_count; ++t) {
    const TunnelEntry& tunnel = extension->tunnels()[t];
    if (tunnel.teid != teid || (tunnel.local_mask >> burst.local[i] & 1) == 0) continue;
    burst.filter_set[i] = tunnel.filter_set;
    burst.direction[i] = tunnel.direction;
    burst.flow[i] = &flow_of(session, tunnel.direction);
    return DropReason::None;
  }
  return DropReason::UnknownTeid;
}

void Pipeline::lookup_core(Burst& burst) noexcept {
  // No copy of the table: what the control thread counts in it changes at any time.
  const Ipv4Table& ipv4 = sessions_.ipv4();
  Flow* const downlink = downlink_;
  const bool alone = workers_ == 1;
  const std::uint8_t port = burst.port;
  const unsigned count = burst.count;
  const auto arrive = [&](unsigned i, SessionIndex session) {
    Flow& flow = downlink[session];
    burst.flow[i] = &flow;
    fetch_far_pair(&flow);
  };
  std::uint8_t others[kBurstMax];  // that are for no UE
  unsigned other_count = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (i + kNearAhead < count) fetch_near(burst.line[i + kNearAhead]);
    if (__builtin_expect(burst.verdict[i] != DropReason::None, 0)) continue;
    SessionIndex session = burst.session[i];
    if (__builtin_expect((burst.flags[i] & kResolved) == 0, 1)) {
      session = (burst.flags[i] & kInnerV6)
                    ? sessions_.ipv6().find_at(burst.line[i], burst.prefix[i], port)
                    : ipv4.find_at(burst.line[i], burst.key[i], port);
      if (__builtin_expect(session == kNoSession, 0)) {
        others[other_count++] = static_cast<std::uint8_t>(i);
        continue;
      }
      burst.session[i] = session;
      if (!alone) {
        burst.verdict[i] = hand_over(burst, i, session);
        if (burst.verdict[i] != DropReason::None) continue;
      }
    }
    arrive(i, session);
  }
  if (__builtin_expect(other_count == 0, 1)) return;
  find_routes(burst, others, other_count);
  for (unsigned n = 0; n < other_count; ++n) {
    const unsigned i = others[n];
    const SessionIndex session = burst.session[i];
    if (session == kNoSession) {
      const bool multicast =
          (burst.flags[i] & kInnerV6) ? burst.prefix[i] >> 56 == 0xff : burst.key[i] >> 28 == 14;
      burst.verdict[i] = multicast ? DropReason::Multicast : DropReason::UnknownUe;
      continue;
    }
    if (!alone) burst.verdict[i] = hand_over(burst, i, session);
    if (burst.verdict[i] == DropReason::None) arrive(i, session);
  }
}

}  // namespace sluice
