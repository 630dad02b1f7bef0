// End Markers (TS 29.281 clause 7.3.2): made when new rules leave a tunnel, behind the last
// packet that took it; passed on when they come in by a tunnel that leads into another.
#include <algorithm>

#include "pipeline/outer.h"
#include "pipeline/pipeline.h"
#include "session/compile/filter_set.h"
#include "wire/gtpu.h"

namespace sluice {
namespace {

constexpr unsigned kTunnelsMax = 512;  // of a session: 255 FARs a direction

/// Whether an End Marker has come as the packets of all PDRs of its tunnel have to.
bool came_as_wanted(const Packet& marker, const FilterSet& set, RulesExtension* rules) noexcept {
  for (unsigned f = 0; rules != nullptr && f < set.count4 + set.count6; ++f) {
    const unsigned position = set.extra()[f].pdr;
    if ((rules->pdrs()[position].flags & kPdrProtected) &&
        !came_protected(marker, rules->protections()[position])) {
      return false;
    }
  }
  return true;
}

}  // namespace

/// Completes a message that lies behind its outer header to be.
void Pipeline::address_to(Packet& packet, const Peer& peer, std::size_t message_bytes) noexcept {
  const auto udp = static_cast<unsigned>(message_bytes + 8);
  const PipelinePort& port = ports_[peer.port];
  write_outer(packet.data(), peer, udp, 0, port.udp_port);
  if (!port.fills_udp_checksum) fill_outer_checksum(packet.data(), peer, udp);
  packet.length = static_cast<std::uint16_t>(outer_bytes(peer) + message_bytes);
  packet.tag = peer.protection;
}

void Pipeline::end_path(const RemoteTunnel& tunnel, Packet* packet) noexcept {
  const Peer& peer = sessions_.peers()[tunnel.peer];
  packet->port = plain_port(peer.port);
  address_to(*packet, peer,
             wire::write_end_marker(packet->data() + outer_bytes(peer), Teid{tunnel.teid}));
  ++counters_.gtpu.end_markers_sent;
  // By itself, so that a port that spreads packets over sockets doesn't send it ahead.
  trailers_.packets[trailers_.count++] = packet;
}

bool Pipeline::end_paths(const RemoteTunnelList& list) noexcept {
  Packet* packets[kTunnelsMax];
  const unsigned count = std::min(list.count, kTunnelsMax);
  // All or none: what is missing now comes back when other packets have left.
  const unsigned got = pool_.allocate(packets, count);
  if (got < count || trailers_.count + count > PacketList::kMax) {
    pool_.free(packets, got);
    return false;
  }
  for (unsigned i = 0; i < count; ++i) {
    start_created(packets[i], 0);
    end_path(list.tunnels()[i], packets[i]);
  }
  return true;
}

bool Pipeline::emit_trailers() noexcept {
  const unsigned count = trailers_.count;
  for (unsigned i = 0; i < count; ++i) {
    Packet* packet = trailers_.packets[i];
    emit(static_cast<std::uint8_t>(packet->port + (packet->tag != 0 ? kProtectedPort : 0)), packet);
  }
  trailers_.count = 0;
  return count != 0;
}

/// Behind the packets of its tunnel: those of its burst have left, and if some are held, it is
/// held behind them.
DropReason Pipeline::take_end_marker(Burst& burst, unsigned i) noexcept {
  Packet* const packet = burst.packets[i];
  burst.session[i] = (burst.flags[i] & kResolved)
                         ? packet->session
                         : sessions_.scheme().candidate(Teid{burst.key[i]});
  const DropReason located = locate_tunnel(burst, i);
  if (located == kTakenAway || located == DropReason::HandoffFull) return located;
  if (located != DropReason::None || burst.filter_set[i] == 0) return DropReason::EndMarker;
  Flow& flow = *burst.flow[i];
  const auto& set = *sessions_.rule<FilterSet>(burst.filter_set[i]);
  RulesExtension* const more =
      flow.rules.extension == 0 ? nullptr : sessions_.extension(flow.rules.extension);
  // Of one that was held it was asked when it came.
  if ((burst.flags[i] & kReleased) == 0 && !came_as_wanted(*packet, set, more)) {
    return DropReason::Unprotected;
  }
  if ((flow.state.flags & kFlowHold) && (burst.flags[i] & kReleased) == 0) {
    Hold* hold = holds_.find(burst.session[i], burst.direction[i]);
    if (hold != nullptr && !holds_.is_full()) {
      if (traced_) return give_back(burst, i);
      holds_.append(*hold, packet, burst.now);
      holds_.settle(pool_);
      return burst.take_away(i, Fate::Held);
    }
  }
  RemoteTunnel done[kTunnelsMax];
  unsigned count = 0;
  const bool is_from_here = is_from_self(network_, *packet);
  if ((flow.rules.flags & kRulesTellEndMarker) && !traced_) tell_end_marker(burst, i, set);
  for (unsigned f = 0; f < set.count4 + set.count6; ++f) {
    const FarEntry far = own_far(flow.rules, set.extra()[f].pdr);
    const RemoteTunnel tunnel{far.teid, far.peer};
    if (!far.leads_into_tunnel() || count == kTunnelsMax) continue;
    if (is_from_here && (far.flags & kFarToSelf) != 0) continue;
    if (std::find(done, done + count, tunnel) != done + count) continue;
    done[count++] = tunnel;
    Packet* marker = trailers_.count < PacketList::kMax ? create(packet->port) : nullptr;
    if (marker != nullptr) end_path(tunnel, marker);
  }
  return DropReason::EndMarker;
}

/// To the URRs of the PDRs of its tunnel.
void Pipeline::tell_end_marker(const Burst& burst, unsigned i, const FilterSet& set) noexcept {
  std::uint64_t urrs = 0;
  for (unsigned f = 0; f < set.count4 + set.count6; ++f) {
    urrs |= urrs_of(*burst.flow[i], burst.direction[i], set.extra()[f].pdr);
  }
  SessionView session = sessions_.view(burst.session[i]);
  if (urrs != 0) usage_end_marker(session, urrs, burst.now, events_);
}

/// What a PDR's FAR does with the packet itself.
FarEntry Pipeline::own_far(const FlowRules& rules, unsigned position) const noexcept {
  RulesExtension* extension = rules.extension == 0 ? nullptr : sessions_.extension(rules.extension);
  const PdrEntry& pdr = extension ? extension->pdrs()[position] : rules.pdrs[position];
  const FarEntry* fars = extension ? extension->fars() : rules.fars;
  return fars[pdr.far].own();
}

}  // namespace sluice
