// What is known of the paths to tunnel peers, for people and metrics.
#include <algorithm>

#include "port/address_text.h"
#include "worker/datapath.h"

namespace sluice {

std::vector<PathRow> Datapath::paths(std::size_t max, std::size_t& all) const {
  std::vector<PathRow> rows;
  all = 0;
  sessions_->peer_table().for_each(
      [&](std::uint16_t index, const std::uint32_t* destination, std::uint16_t udp_port) {
        if (++all > max) return;
        const Peer& peer = sessions_->peers()[index];
        const Path& path = sessions_->paths()[index];
        IpAddress address;
        address.is_v6 = peer.is_v6;
        for (unsigned i = 0; i < (peer.is_v6 ? 4u : 1u); ++i) {
          wire::store32(reinterpret_cast<std::byte*>(address.bytes.data()) + 4 * i, destination[i]);
        }
        rows.push_back({address_text(address), udp_port, config_.ports[plain_port(peer.port)].name,
                        path.state, path.round_trip_us, path.transitions});
      });
  std::sort(rows.begin(), rows.end(), [](const PathRow& a, const PathRow& b) {
    return a.address != b.address ? a.address < b.address : a.udp_port < b.udp_port;
  });
  return rows;
}

std::vector<PathChange> Datapath::take_path_changes() {
  std::vector<PathChange> changes;
  const std::uint32_t transitions = prober_ ? prober_->transitions() : 0;
  if (transitions == transitions_seen_) return changes;
  transitions_seen_ = transitions;
  std::unordered_map<std::string, PathState> now;
  std::size_t all = 0;
  for (PathRow& row : paths(SIZE_MAX, all)) {
    if (row.state == PathState::Unknown) continue;
    const std::string name = row.port + ' ' + std::to_string(row.udp_port) + ' ' + row.address;
    const auto seen = paths_seen_.find(name);
    const PathState before = seen == paths_seen_.end() ? PathState::Unknown : seen->second;
    now.emplace(name, row.state);
    if (row.state != before) changes.push_back({std::move(row), before});
  }
  paths_seen_ = std::move(now);
  return changes;
}

}  // namespace sluice
