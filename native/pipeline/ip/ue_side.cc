// The IP rules that few packets meet: members of Pipeline that the stages call when a common
// comparison has failed, and what they keep. All of it runs on the worker's thread. Start here.
//
// What, besides the UE's own address, is on the UE's side of a session: framed routes, and
// link-local sources.
#include "pipeline/match.h"
#include "wire/gtpu.h"
#include "wire/inner.h"

namespace sluice {
namespace {

constexpr std::uint16_t kDhcpv6Server = 547;

}  // namespace

/// The sessions with the longest framed routes to packets from N6 that are for no UE; kNoSession
/// where there is none.
/// @param wanted  `count` positions in the burst.
void Pipeline::find_routes(Burst& burst, const std::uint8_t* wanted, unsigned count) noexcept {
  RouteQuery queries[kBurstMax];
  for (unsigned n = 0; n < count; ++n) {
    const UeAddress to = address_of(burst, wanted[n], false);
    queries[n] = {AddressBits::of(to.words, to.is_v6), to.is_v6, kNoSession};
  }
  sessions_.routes().find(queries, count, burst.port);
  for (unsigned n = 0; n < count; ++n) burst.session[wanted[n]] = queries[n].session;
}

/// Whether the address is the UE's or in one of its framed routes.
bool Pipeline::has_address(const Burst& burst, unsigned i, const UeAddress& address) noexcept {
  const Flow& flow = *burst.flow[i];
  const bool own = address.is_v6
                       ? flow.state.ue_prefix != 0 && (std::uint64_t{address.words[0]} << 32 |
                                                       address.words[1]) == flow.state.ue_prefix
                       : flow.state.ue_ipv4 != 0 && address.words[0] == flow.state.ue_ipv4;
  if (own) return true;
  return flow.rules.extension != 0 &&
         sessions_.extension(flow.rules.extension)->has_route_to(address.words, address.is_v6);
}

/// Whether an uplink packet may have the source that it has. A link-local one has the interface
/// identifier that the UE was assigned, where the control plane told it, and is good for what a UE
/// has to send from it: ICMPv6 (router solicitations, neighbours, MLD) and DHCPv6.
bool Pipeline::may_send(const Burst& burst, unsigned i) noexcept {
  const UeAddress source = address_of(burst, i, true);
  if (is_link_local(source)) {
    const auto& lanes = burst.operand[i].lanes;
    const Flow& flow = *burst.flow[i];
    const std::uint16_t assigned = flow.rules.interface_mark;
    return flow.state.ue_prefix != 0 &&
           (assigned == 0 || assigned == interface_mark(source.words[2], source.words[3])) &&
           (lanes[kProtocol] == wire::kProtocolIcmpv6 ||
            (lanes[kProtocol] == wire::kProtocolUdp && lanes[kRemotePort] == kDhcpv6Server));
  }
  return has_address(burst, i, source);
}

/// An uplink packet from another address than the UE's.
DropReason Pipeline::match_other_source(Burst& burst, unsigned i, Hit& hit) noexcept {
  const ArenaRef filters = burst.filter_set[i];
  if (may_send(burst, i)) {
    const DropReason reason = match_rules(burst, i, hit, filters, true);
    // Link-local packets stay on their link: to the control plane function, never to N6.
    const bool leaves = reason == DropReason::None && hit.far->own().action == FarAction::ToCore;
    return leaves && is_link_local(address_of(burst, i, true)) ? DropReason::Martian : reason;
  }
  // Indirect forwarding: what the old gNB sends back was meant for the UE, and goes on to it.
  if (!is_for_ue(burst, i)) return DropReason::SpoofedSource;
  const DropReason reason = match_rules(burst, i, hit, filters, true);
  if (reason != DropReason::None) return reason;
  // What is buffered is asked again when it leaves.
  if (hit.far->action == FarAction::Buffer) return DropReason::None;
  const FarEntry& far = hit.far->own();
  return (far.action == FarAction::ToTunnel || far.action == FarAction::ToSelf) &&
                 far.container == wire::kPscDownlink
             ? DropReason::None
             : DropReason::SpoofedSource;
}

bool Pipeline::is_for_ue(const Burst& burst, unsigned i) noexcept {
  return has_address(burst, i, address_of(burst, i, false));
}

}  // namespace sluice
