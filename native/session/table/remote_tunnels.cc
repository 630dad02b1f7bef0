#include "session/table/remote_tunnels.h"

#include <algorithm>

namespace sluice {

void list_remote_tunnels(const RulesArena& arena, FlowRules (&rules)[kDirections],
                         std::vector<RemoteTunnel>& out) {
  out.clear();
  for (FlowRules& side : rules) {
    for_each_own_far(arena, side, [&](const FarEntry& far) {
      const RemoteTunnel tunnel{far.teid, far.peer};
      if (!far.leads_into_tunnel()) return;
      if (std::find(out.begin(), out.end(), tunnel) == out.end()) out.push_back(tunnel);
    });
  }
}

void subtract_tunnels(const std::vector<RemoteTunnel>& from,
                      const std::vector<RemoteTunnel>& without, std::vector<RemoteTunnel>& out) {
  out.clear();
  for (const RemoteTunnel& tunnel : from) {
    if (std::find(without.begin(), without.end(), tunnel) == without.end()) out.push_back(tunnel);
  }
}

}  // namespace sluice
