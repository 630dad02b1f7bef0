// A socket for each associated peer, connected to PFCP's port there. The system keeps what comes
// from that peer apart, so that a flood fills the buffer of its own peer alone. What comes from
// other ports and addresses comes in by the listening sockets (listening.h).
// Owner: the datagram thread; set() and dropped() under the settings' lock of Datagrams.
#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "datagram/listening.h"
#include "datagram/queue/turns.h"

namespace sluice::datagram {

/// Of a peer at one listening socket.
struct PeerSocket {
  Address peer;
  std::uint32_t local;  ///< index of the listening address
  UdpSocket socket;
};

class PeerSockets {
 public:
  /// Further peers share the listening sockets.
  static constexpr std::size_t kSocketsMax = 64;

  /// @param port  that peers send from
  explicit PeerSockets(std::uint16_t port) : port_(port) {}

  /// Takes the place of the list before; sockets of peers that stay in it stay. Where the system
  /// gives none, the peer shares the listening one.
  /// @param leaving  is given sockets before they are closed
  template <typename Leaving>
  void set(const std::vector<Peer>& peers, std::vector<Listening>& listening, Leaving&& leaving) {
    std::erase_if(sockets_, [&](PeerSocket& one) {
      const auto same = [&](const Peer& peer) { return peer.address == one.peer; };
      if (std::any_of(peers.begin(), peers.end(), same)) return false;
      leaving(one);
      dropped_ += one.socket.dropped();
      return true;
    });
    for (const Peer& peer : peers) add(peer.address, listening);
  }

  void close() noexcept { sockets_.clear(); }

  std::span<const PeerSocket> all() const noexcept { return sockets_; }
  /// Datagrams for which there was no room, also of sockets that are gone.
  std::uint64_t dropped() const noexcept;

 private:
  void add(const Address& peer, std::vector<Listening>& listening);

  const std::uint16_t port_;
  std::vector<PeerSocket> sockets_;
  std::uint64_t dropped_ = 0;
};

}  // namespace sluice::datagram
