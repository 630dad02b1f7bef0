#include "port/next_hop/kernel_tables.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "port/netlink/attributes.h"
#include "wire/bytes.h"

namespace sluice {
namespace {

constexpr unsigned kEventGroups =
    RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
constexpr int kEventsBytes = 1 << 20;  // of the kernel's queue of news

/// A next hop of a route: by its own family's gateway, by another's (RTA_VIA), or on the link.
template <unsigned kLast>
bool gateway_of(const Attributes<kLast>& route, bool is_v6, HopAddress& gateway) noexcept {
  if (const std::byte* own = route.data(RTA_GATEWAY, is_v6 ? 16 : 4)) {
    gateway = HopAddress::of(own, is_v6);
    return true;
  }
  const std::byte* via = route.data(RTA_VIA, 2 + 4);
  if (via == nullptr) return false;
  std::uint16_t family;
  std::memcpy(&family, via, sizeof family);
  const bool via_v6 = family == AF_INET6;
  if (via_v6 && route.data(RTA_VIA, 2 + 16) == nullptr) return false;
  gateway = HopAddress::of(via + 2, via_v6);
  return true;
}

void add_route(const nlmsghdr& message, unsigned interface, NextHopTable& table) {
  const auto* route = fixed_of<rtmsg>(message);
  if (message.nlmsg_type != RTM_NEWROUTE || route == nullptr) return;
  if (route->rtm_type != RTN_UNICAST || (route->rtm_flags & RTM_F_CLONED) != 0) return;
  const bool is_v6 = route->rtm_family == AF_INET6;
  if (!is_v6 && route->rtm_family != AF_INET) return;
  const auto attributes = attributes_of<RTA_VIA, rtmsg>(message);
  if (attributes.template value<std::uint32_t>(RTA_TABLE, route->rtm_table) == RT_TABLE_LOCAL) {
    return;
  }
  HopAddress prefix = HopAddress::of(std::array<std::byte, 16>{}.data(), is_v6);
  if (const std::byte* to = attributes.data(RTA_DST, is_v6 ? 16 : 4)) {
    prefix = HopAddress::of(to, is_v6);
  }
  const unsigned length = route->rtm_dst_len + (is_v6 ? 0 : NextHopTable::kIpv4Bits);
  const auto metric = attributes.template value<std::uint32_t>(RTA_PRIORITY, 0);
  constexpr unsigned kDown = RTNH_F_DEAD | RTNH_F_LINKDOWN;
  HopAddress gateway;
  if (attributes.template value<std::uint32_t>(RTA_OIF, 0) == interface) {
    if ((route->rtm_flags & kDown) != 0) return;
    const bool has_gateway = gateway_of(attributes, is_v6, gateway);
    table.add_route(prefix, length, metric, has_gateway ? &gateway : nullptr);
    return;
  }
  const rtattr* paths = attributes.at(RTA_MULTIPATH);
  if (paths == nullptr) return;
  // The first of several paths by this device: one device's load is not shared among gateways.
  const auto* path = static_cast<const rtnexthop*>(RTA_DATA(paths));
  auto left = static_cast<int>(RTA_PAYLOAD(paths));
  for (; left >= static_cast<int>(sizeof *path) && RTNH_OK(path, left); path = RTNH_NEXT(path)) {
    const bool ours = static_cast<unsigned>(path->rtnh_ifindex) == interface;
    if (ours && (path->rtnh_flags & kDown) == 0) {
      const Attributes<RTA_VIA> own(RTNH_DATA(path), path->rtnh_len - sizeof *path);
      const bool has_gateway = gateway_of(own, is_v6, gateway);
      table.add_route(prefix, length, metric, has_gateway ? &gateway : nullptr);
      return;
    }
    left -= static_cast<int>(RTNH_ALIGN(path->rtnh_len));
  }
}

void add_neighbour(const nlmsghdr& message, unsigned interface, NextHopTable& table) {
  const auto* row = fixed_of<ndmsg>(message);
  if (message.nlmsg_type != RTM_NEWNEIGH || row == nullptr) return;
  constexpr unsigned kUsable =
      NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
  if (static_cast<unsigned>(row->ndm_ifindex) != interface || (row->ndm_state & kUsable) == 0) {
    return;
  }
  const bool is_v6 = row->ndm_family == AF_INET6;
  if (!is_v6 && row->ndm_family != AF_INET) return;
  const auto attributes = attributes_of<NDA_LLADDR, ndmsg>(message);
  const std::byte* address = attributes.data(NDA_DST, is_v6 ? 16 : 4);
  if (address == nullptr || attributes.data(NDA_LLADDR, sizeof(LinkAddress)) == nullptr) return;
  table.add_neighbour({HopAddress::of(address, is_v6),
                       attributes.template value<LinkAddress>(NDA_LLADDR, {}),
                       (row->ndm_state & (NUD_PERMANENT | NUD_NOARP)) != 0});
}

void set_link(const nlmsghdr& message, LinkState& link) {
  const auto* row = fixed_of<ifinfomsg>(message);
  if (message.nlmsg_type != RTM_NEWLINK || row == nullptr) return;
  link.is_ethernet = row->ifi_type == ARPHRD_ETHER;
  link.is_up = (row->ifi_flags & IFF_UP) != 0;
  const auto attributes = attributes_of<IFLA_LINKINFO, ifinfomsg>(message);
  link.mtu = attributes.template value<std::uint32_t>(IFLA_MTU, 0);
  link.address = attributes.template value<LinkAddress>(IFLA_ADDRESS, {});
  const rtattr* info = attributes.at(IFLA_LINKINFO);
  if (info == nullptr) return;
  const Attributes<IFLA_INFO_DATA> kind(info);
  const std::byte* name = kind.data(IFLA_INFO_KIND, 4);
  const rtattr* data = kind.at(IFLA_INFO_DATA);
  if (name == nullptr || std::memcmp(name, "vlan", 4) != 0 || data == nullptr) return;
  const Attributes<IFLA_VLAN_ID> vlan(data);
  link.vlan = vlan.template value<std::uint16_t>(IFLA_VLAN_ID, 0);
  link.parent = attributes.template value<std::uint32_t>(IFLA_LINK, 0);
}

/// The device that a piece of news is about; 0: none, or perhaps several.
unsigned device_of(const nlmsghdr& message) noexcept {
  switch (message.nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      if (const auto* row = fixed_of<ndmsg>(message)) {
        return static_cast<unsigned>(row->ndm_ifindex);
      }
      return 0;
    case RTM_NEWLINK:
    case RTM_DELLINK:
      if (const auto* row = fixed_of<ifinfomsg>(message)) {
        return static_cast<unsigned>(row->ifi_index);
      }
      return 0;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return attributes_of<RTA_OIF, rtmsg>(message).template value<std::uint32_t>(RTA_OIF, 0);
    default:
      return 0;
  }
}

}  // namespace

KernelTables::KernelTables(unsigned interface)
    : interface_(interface),
      events_(NETLINK_ROUTE, kEventGroups),
      questions_(NETLINK_ROUTE),
      target_(interface) {}

Result<std::unique_ptr<KernelTables>> KernelTables::open(unsigned interface) {
  std::unique_ptr<KernelTables> made(new KernelTables(interface));
  if (made->events_.fd() < 0 || made->questions_.fd() < 0) {
    return Error{std::string("the kernel's routes cannot be read: ") + std::strerror(errno),
                 "driver"};
  }
  const int bytes = kEventsBytes;
  ::setsockopt(made->events_.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  // Then it sends the device's rows alone; older ones send all, and are sorted out here.
  const int on = 1;
  ::setsockopt(made->questions_.fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return made;
}

bool KernelTables::read_link(LinkState& link) {
  ifinfomsg fixed{};
  fixed.ifi_index = static_cast<int>(interface_);
  NetlinkRequest request(RTM_GETLINK, 0, &fixed, sizeof fixed);
  return questions_.ask(request, [&](const nlmsghdr& message) { set_link(message, link); });
}

bool KernelTables::read_routes(int family, NextHopTable& table) {
  rtmsg fixed{};
  fixed.rtm_family = static_cast<std::uint8_t>(family);
  NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP, &fixed, sizeof fixed);
  request.add(RTA_OIF, &interface_, sizeof interface_);
  return questions_.ask(request,
                        [&](const nlmsghdr& message) { add_route(message, interface_, table); });
}

bool KernelTables::read_neighbours(NextHopTable& table) {
  ndmsg fixed{};
  NetlinkRequest request(RTM_GETNEIGH, NLM_F_DUMP, &fixed, sizeof fixed);
  request.add(NDA_IFINDEX, &interface_, sizeof interface_);
  return questions_.ask(
      request, [&](const nlmsghdr& message) { add_neighbour(message, interface_, table); });
}

std::unique_ptr<NextHops> KernelTables::read() {
  auto hops = std::make_unique<NextHops>();
  if (!read_link(hops->link) || !read_routes(AF_INET, hops->table) ||
      !read_routes(AF_INET6, hops->table) || !read_neighbours(hops->table)) {
    return nullptr;
  }
  hops->link.redirects = target_.ask();
  hops->table.finish();
  return hops;
}

bool KernelTables::take_news() {
  bool ours = target_.take_news();
  events_.take_news([&](const nlmsghdr* message) {
    const unsigned device = message != nullptr ? device_of(*message) : 0;
    ours = ours || device == 0 || device == interface_;
  });
  return ours;
}

// Not for neighbours that are fixed: newer kernels take that from them (NTF_USE).
void KernelTables::confirm(const HopAddress& neighbour) noexcept {
  const bool is_v6 = !neighbour.is_v4();
  ndmsg fixed{};
  fixed.ndm_family = is_v6 ? AF_INET6 : AF_INET;
  fixed.ndm_ifindex = static_cast<int>(interface_);
  fixed.ndm_flags = NTF_USE;
  NetlinkRequest request(RTM_NEWNEIGH, NLM_F_ACK, &fixed, sizeof fixed);
  std::array<std::byte, 16> octets;
  wire::store64(octets.data(), neighbour.high);
  wire::store64(octets.data() + 8, neighbour.low);
  if (is_v6) {
    request.add(NDA_DST, octets.data(), 16);
  } else {
    request.add(NDA_DST, octets.data() + 12, 4);
  }
  questions_.ask(request, [](const nlmsghdr&) {});
}

}  // namespace sluice
