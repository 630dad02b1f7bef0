#include "datagram/peer_sockets.h"

#include <algorithm>
#include <utility>

namespace sluice::datagram {

void PeerSockets::add(const Address& peer, std::vector<Listening>& listening) {
  for (std::uint32_t local = 0; local < listening.size(); ++local) {
    if (sockets_.size() == kSocketsMax) return;
    if (listening[local].family() != peer.family) continue;
    const auto same = [&](const PeerSocket& one) { return one.peer == peer && one.local == local; };
    if (std::any_of(sockets_.begin(), sockets_.end(), same)) continue;
    auto socket = listening[local].connect(peer, port_);
    if (socket) sockets_.push_back({peer, local, std::move(socket).value()});
  }
}

std::uint64_t PeerSockets::dropped() const noexcept {
  std::uint64_t out = dropped_;
  for (const PeerSocket& one : sockets_) out += one.socket.dropped();
  return out;
}

}  // namespace sluice::datagram
