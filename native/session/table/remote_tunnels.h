// The tunnels that a session's rules send packets into: compared before and after a change,
// they say which paths ended (End Markers) and whom an Error Indication is about. Pure.
#pragma once
#include <vector>

#include "session/rules_arena.h"

namespace sluice {

/// A tunnel as the sending side knows it.
struct RemoteTunnel {
  std::uint32_t teid;
  std::uint16_t peer;  ///< index in the PeerTable
  std::uint16_t reserved = 0;
  bool operator==(const RemoteTunnel&) const = default;
};

/// Lies in the rules arena: what an apply sends End Markers into.
struct RemoteTunnelList {
  std::uint32_t count;
  std::uint32_t reserved;
  RemoteTunnel* tunnels() noexcept { return reinterpret_cast<RemoteTunnel*>(this + 1); }
  const RemoteTunnel* tunnels() const noexcept {
    return reinterpret_cast<const RemoteTunnel*>(this + 1);
  }
  static std::size_t size(std::size_t count) noexcept {
    return sizeof(RemoteTunnelList) + count * sizeof(RemoteTunnel);
  }
};

/// Calls f(FarEntry&) for what a direction's FARs do with the packets themselves, not with
/// copies of them.
template <typename F>
void for_each_own_far(const RulesArena& arena, FlowRules& rules, F&& f) {
  FarEntry* fars =
      rules.extension == 0 ? rules.fars : arena.at<RulesExtension>(rules.extension)->fars();
  for (unsigned i = 0; i < rules.far_count; ++i) {
    unsigned copies = 0;
    if (fars[i].action == FarAction::Duplicate) copies = fars[i++].copies();
    f(fars[i]);
    i += copies;
  }
}

/// Each tunnel of both directions once. Copies of packets count for nothing.
void list_remote_tunnels(const RulesArena& arena, FlowRules (&rules)[kDirections],
                         std::vector<RemoteTunnel>& out);
/// Those of `from` that are not in `without`.
void subtract_tunnels(const std::vector<RemoteTunnel>& from,
                      const std::vector<RemoteTunnel>& without, std::vector<RemoteTunnel>& out);

}  // namespace sluice
