// The few words of rtnetlink that a TUN device needs: address, MTU, up, route.
// Owner: the control thread.
#pragma once
#include "base/types.h"
#include "port/port.h"

namespace sluice {

/// One rtnetlink socket of the network namespace that the caller is in.
class Netlink {
 public:
  Netlink() noexcept;
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  // Each request waits for the kernel's answer and returns 0 or a positive errno.

  /// Sets the MTU; that the kernel makes no link-local IPv6 address, since nobody would answer
  /// it; that it takes IPv4 packets from the device's own address (accept_local), since ICMP
  /// errors of the packet path come from there; and that it tells no UE to send elsewhere what
  /// goes back into the device (send_redirects), since a UE has no other way.
  int configure_link(unsigned device, std::uint16_t mtu) noexcept;
  int set_link_up(unsigned device) noexcept;
  /// Adds an address with the prefix length of its network, whose route comes with it.
  int add_address(unsigned device, const IpPrefix& address) noexcept;
  int add_route(unsigned device, const IpPrefix& network) noexcept;

 private:
  struct Request;
  int exchange(Request& request) noexcept;

  int fd_;
  unsigned sequence_ = 0;
};

}  // namespace sluice
