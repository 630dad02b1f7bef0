// What listens at one address: sockets of one name, among which the system shares out what comes
// by where it is from, heartbeats apart from everything else. A flood fills the buffer that it
// goes to, and the others are there for everybody else, whether they are peers already or not.
// Owner: as for Datagrams, whose thread receives.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "datagram/udp_socket.h"

namespace sluice::datagram {

class Listening {
 public:
  /// Sockets for heartbeats, and as many for the rest: one for each class of source addresses.
  static constexpr unsigned kSources = 8;

  /// Nobody else may have the name; an error's message begins with the name of its code.
  /// @param port  0: one that is free
  static Result<Listening> open(const Address& address, std::uint16_t port);

  /// One of the same name that has what comes from this peer's address and port, and nothing
  /// else.
  Result<UdpSocket> connect(const Address& peer, std::uint16_t port);

  std::span<const UdpSocket> sockets() const noexcept { return sockets_; }
  /// By which answers leave.
  const UdpSocket& sender() const noexcept { return sockets_.front(); }
  std::uint16_t port() const noexcept { return sender().port(); }
  std::uint32_t family() const noexcept { return sender().family(); }
  /// Datagrams for which there was no room. Threads: any.
  std::uint64_t dropped() const noexcept;

 private:
  std::vector<UdpSocket> sockets_;
};

}  // namespace sluice::datagram
