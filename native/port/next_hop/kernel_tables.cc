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

#include "wire/bytes.h"

namespace sluice {
namespace {

constexpr int kEventsBytes = 1 << 20;  // of the kernel's queue of news

/// Attributes of a message by number; those above the last number are left out.
template <unsigned kLast>
class Attributes {
 public:
  Attributes(const void* first, std::size_t bytes) noexcept {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): RTA_NEXT wants it so, and reads only
    auto* at = reinterpret_cast<rtattr*>(const_cast<void*>(first));
    auto left = static_cast<int>(bytes);
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
      const unsigned type = at->rta_type & NLA_TYPE_MASK;
      if (type <= kLast) found_[type] = at;
    }
  }
  explicit Attributes(const rtattr* nest) noexcept
      : Attributes(RTA_DATA(nest), RTA_PAYLOAD(nest)) {}
  /// nullptr where it is missing or shorter than asked for.
  const std::byte* data(unsigned type, std::size_t bytes) const noexcept {
    const rtattr* at = found_[type];
    if (at == nullptr || RTA_PAYLOAD(at) < bytes) return nullptr;
    return reinterpret_cast<const std::byte*>(RTA_DATA(at));
  }
  template <class T>
  T value(unsigned type, T missing) const noexcept {
    const std::byte* from = data(type, sizeof(T));
    if (from != nullptr) std::memcpy(&missing, from, sizeof(T));
    return missing;
  }
  const rtattr* at(unsigned type) const noexcept { return found_[type]; }

 private:
  std::array<const rtattr*, kLast + 1> found_{};
};

/// The attributes behind the fixed part of a message.
template <unsigned kLast, class Fixed>
Attributes<kLast> attributes_of(const nlmsghdr& message) noexcept {
  const auto* const start = reinterpret_cast<const std::byte*>(&message);
  const std::size_t fixed = NLMSG_SPACE(sizeof(Fixed));
  const std::size_t bytes = message.nlmsg_len;
  return {start + fixed, bytes > fixed ? bytes - fixed : 0};
}
template <class Fixed>
const Fixed* fixed_of(const nlmsghdr& message) noexcept {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Fixed))) return nullptr;
  return static_cast<const Fixed*>(NLMSG_DATA(&message));
}

int open_netlink(unsigned groups) noexcept {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_groups = groups;
  if (fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

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

Result<std::unique_ptr<KernelTables>> KernelTables::open(unsigned interface) {
  std::unique_ptr<KernelTables> made(new KernelTables(interface));
  made->events_ = open_netlink(RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
  made->questions_ = open_netlink(0);
  if (made->events_ < 0 || made->questions_ < 0) {
    return Error{std::string("the kernel's routes cannot be read: ") + std::strerror(errno),
                 "driver"};
  }
  const int bytes = kEventsBytes;
  ::setsockopt(made->events_, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  // Then it sends the device's rows alone; older ones send all, and are sorted out here.
  const int on = 1;
  ::setsockopt(made->questions_, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return made;
}

KernelTables::~KernelTables() {
  for (const int fd : {events_, questions_}) {
    if (fd >= 0) ::close(fd);
  }
}

/// False: an error, or the answer is of two moments.
bool KernelTables::ask(NetlinkRequest& request, const OnMessage& on_message) {
  request.header().nlmsg_seq = ++sequence_;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(questions_, request.bytes, request.header().nlmsg_len, 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return false;
  }
  alignas(nlmsghdr) std::array<std::byte, 65536> answer;
  bool whole = true;
  for (;;) {
    const ssize_t got = ::recv(questions_, answer.data(), answer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    auto left = static_cast<unsigned>(got);
    const auto* message = reinterpret_cast<const nlmsghdr*>(answer.data());
    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_seq != sequence_) continue;
      whole = whole && (message->nlmsg_flags & NLM_F_DUMP_INTR) == 0;
      if (message->nlmsg_type == NLMSG_DONE) return whole;
      if (message->nlmsg_type == NLMSG_ERROR) {
        const auto* error = fixed_of<nlmsgerr>(*message);
        return error != nullptr && error->error == 0;
      }
      on_message(*message);
      if ((message->nlmsg_flags & NLM_F_MULTI) == 0 &&
          (request.header().nlmsg_flags & NLM_F_ACK) == 0) {
        return true;
      }
    }
  }
}

bool KernelTables::read_link(LinkState& link) {
  ifinfomsg fixed{};
  fixed.ifi_index = static_cast<int>(interface_);
  NetlinkRequest request(RTM_GETLINK, 0, &fixed, sizeof fixed);
  return ask(request, [&](const nlmsghdr& message) { set_link(message, link); });
}

bool KernelTables::read_routes(int family, NextHopTable& table) {
  rtmsg fixed{};
  fixed.rtm_family = static_cast<std::uint8_t>(family);
  NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP, &fixed, sizeof fixed);
  request.add(RTA_OIF, &interface_, sizeof interface_);
  return ask(request, [&](const nlmsghdr& message) { add_route(message, interface_, table); });
}

bool KernelTables::read_neighbours(NextHopTable& table) {
  ndmsg fixed{};
  NetlinkRequest request(RTM_GETNEIGH, NLM_F_DUMP, &fixed, sizeof fixed);
  request.add(NDA_IFINDEX, &interface_, sizeof interface_);
  return ask(request, [&](const nlmsghdr& message) { add_neighbour(message, interface_, table); });
}

std::unique_ptr<NextHops> KernelTables::read() {
  auto hops = std::make_unique<NextHops>();
  if (!read_link(hops->link) || !read_routes(AF_INET, hops->table) ||
      !read_routes(AF_INET6, hops->table) || !read_neighbours(hops->table)) {
    return nullptr;
  }
  hops->table.finish();
  return hops;
}

bool KernelTables::take_news() noexcept {
  bool ours = false;
  alignas(nlmsghdr) std::array<std::byte, 65536> news;
  for (;;) {
    const ssize_t got = ::recv(events_, news.data(), news.size(), MSG_DONTWAIT);
    if (got < 0 && errno == ENOBUFS) {  // there was more than it could keep
      ours = true;
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ours;
    auto left = static_cast<unsigned>(got);
    const auto* message = reinterpret_cast<const nlmsghdr*>(news.data());
    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      const unsigned device = device_of(*message);
      ours = ours || device == 0 || device == interface_;
    }
  }
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
  ask(request, [](const nlmsghdr&) {});
}

}  // namespace sluice
