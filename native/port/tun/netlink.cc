#include "port/tun/netlink.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "port/netlink/request.h"

namespace sluice {

// Each waits for an answer.
struct Netlink::Request : NetlinkRequest {
  Request(unsigned type, unsigned flags, const void* fixed, std::size_t n) noexcept
      : NetlinkRequest(type, NLM_F_ACK | flags, fixed, n) {}
};

Netlink::Netlink() noexcept : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {}

Netlink::~Netlink() {
  if (fd_ >= 0) ::close(fd_);
}

int Netlink::exchange(Request& request) noexcept {
  if (fd_ < 0) return EBADF;
  request.header().nlmsg_seq = ++sequence_;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_, request.bytes, request.header().nlmsg_len, 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return errno;
  }
  // The answer is one nlmsgerr, with the request (and perhaps a text) behind it.
  alignas(nlmsghdr) std::byte answer[4096];
  ssize_t got = 0;
  while ((got = ::recv(fd_, answer, sizeof answer, 0)) < 0) {
    if (errno != EINTR) return errno;
  }
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
  if (static_cast<std::size_t>(got) < NLMSG_LENGTH(sizeof(nlmsgerr)) ||
      header->nlmsg_type != NLMSG_ERROR || header->nlmsg_seq != sequence_) {
    return EPROTO;
  }
  return -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
}

int Netlink::configure_link(unsigned device, std::uint16_t mtu) noexcept {
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(device);
  Request resize(RTM_NEWLINK, 0, &link, sizeof link);
  const std::uint32_t bytes = mtu;
  resize.add(IFLA_MTU, &bytes, sizeof bytes);
  if (const int error = exchange(resize); error != 0) return error;
  Request quiet(RTM_NEWLINK, 0, &link, sizeof link);
  rtattr* families = quiet.open(IFLA_AF_SPEC);
  rtattr* inet6 = quiet.open(AF_INET6);
  const std::uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
  quiet.add(IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
  quiet.close(inet6);
  quiet.close(families);
  // A kernel without IPv6 does not know the attribute, and does not need it.
  exchange(quiet);
  Request router(RTM_NEWLINK, 0, &link, sizeof link);
  families = router.open(IFLA_AF_SPEC);
  rtattr* inet = router.open(AF_INET);
  rtattr* options = router.open(IFLA_INET_CONF);
  const std::uint32_t on = 1, off = 0;
  router.add(IPV4_DEVCONF_ACCEPT_LOCAL, &on, sizeof on);
  router.add(IPV4_DEVCONF_SEND_REDIRECTS, &off, sizeof off);
  router.close(options);
  router.close(inet);
  router.close(families);
  return exchange(router);
}

int Netlink::set_link_up(unsigned device) noexcept {
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(device);
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  Request request(RTM_NEWLINK, 0, &link, sizeof link);
  return exchange(request);
}

int Netlink::add_address(unsigned device, const IpPrefix& address) noexcept {
  ifaddrmsg fixed{};
  const bool is_v6 = address.address.is_v6;
  fixed.ifa_family = is_v6 ? AF_INET6 : AF_INET;
  fixed.ifa_prefixlen = address.length;
  fixed.ifa_flags = is_v6 ? IFA_F_NODAD : 0;
  fixed.ifa_index = device;
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &fixed, sizeof fixed);
  const std::size_t bytes = is_v6 ? 16 : 4;
  request.add(IFA_LOCAL, address.address.bytes.data(), bytes);
  request.add(IFA_ADDRESS, address.address.bytes.data(), bytes);
  return exchange(request);
}

int Netlink::add_route(unsigned device, const IpPrefix& network) noexcept {
  rtmsg fixed{};
  const bool is_v6 = network.address.is_v6;
  fixed.rtm_family = is_v6 ? AF_INET6 : AF_INET;
  fixed.rtm_dst_len = network.length;
  fixed.rtm_table = RT_TABLE_MAIN;
  fixed.rtm_protocol = RTPROT_STATIC;
  fixed.rtm_scope = is_v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  fixed.rtm_type = RTN_UNICAST;
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &fixed, sizeof fixed);
  if (network.length != 0) request.add(RTA_DST, network.address.bytes.data(), is_v6 ? 16 : 4);
  request.add(RTA_OIF, &device, sizeof device);
  return exchange(request);
}

}  // namespace sluice
