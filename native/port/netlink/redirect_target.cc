#include "port/netlink/redirect_target.h"

#include <linux/genetlink.h>
#include <sys/socket.h>

#include <cstring>

#include "port/netlink/attributes.h"

namespace sluice {
namespace {

// linux/netdev.h, which older systems don't have.
constexpr char kFamily[] = "netdev", kGroup[] = "mgmt";
constexpr unsigned kDeviceGet = 1;
constexpr unsigned kInterface = 1, kXdpFeatures = 3;
constexpr std::uint64_t kTakesRedirects = 4;

NetlinkRequest request_of(unsigned family, std::uint8_t command) noexcept {
  genlmsghdr fixed{};
  fixed.cmd = command;
  fixed.version = 1;
  return {family, 0, &fixed, sizeof fixed};
}

std::uint32_t group_of(const rtattr* groups) noexcept {
  if (groups == nullptr) return 0;
  auto left = static_cast<int>(RTA_PAYLOAD(groups));
  const auto* group = static_cast<const rtattr*>(RTA_DATA(groups));
  for (; RTA_OK(group, left); group = RTA_NEXT(group, left)) {
    const Attributes<CTRL_ATTR_MCAST_GRP_ID> found(group);
    const std::byte* const name = found.data(CTRL_ATTR_MCAST_GRP_NAME, sizeof kGroup);
    if (name != nullptr && std::memcmp(name, kGroup, sizeof kGroup) == 0) {
      return found.value<std::uint32_t>(CTRL_ATTR_MCAST_GRP_ID, 0);
    }
  }
  return 0;
}

}  // namespace

RedirectTarget::RedirectTarget(unsigned interface)
    : questions_(NETLINK_GENERIC), interface_(interface) {
  NetlinkRequest request = request_of(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
  request.add(CTRL_ATTR_FAMILY_NAME, kFamily, sizeof kFamily);
  std::uint32_t group = 0;
  questions_.ask(request, [&](const nlmsghdr& message) {
    const auto found = attributes_of<CTRL_ATTR_MCAST_GROUPS, genlmsghdr>(message);
    family_ = found.value<std::uint16_t>(CTRL_ATTR_FAMILY_ID, 0);
    group = group_of(found.at(CTRL_ATTR_MCAST_GROUPS));
  });
  // Without news an answer would hold for the moment that it was given in only.
  if (group == 0 || ::setsockopt(questions_.fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
                                 sizeof group) != 0) {
    family_ = 0;
  }
}

Redirects RedirectTarget::ask() {
  if (family_ == 0) return Redirects::Unknown;
  NetlinkRequest request = request_of(family_, kDeviceGet);
  request.add(kInterface, &interface_, sizeof interface_);
  Redirects answer = Redirects::Unknown;
  questions_.ask(request, [&](const nlmsghdr& message) {
    const auto found = attributes_of<kXdpFeatures, genlmsghdr>(message);
    const auto features = found.value<std::uint64_t>(kXdpFeatures, 0);
    answer = (features & kTakesRedirects) != 0 ? Redirects::Taken : Redirects::Refused;
  });
  return answer;
}

bool RedirectTarget::take_news() {
  bool any = false;
  if (fd() >= 0) questions_.take_news([&](const nlmsghdr*) { any = true; });
  return any;
}

std::string obstacle_to_redirects(const std::string& device, Redirects redirects) {
  switch (redirects) {
    case Redirects::Taken:
      return {};
    case Redirects::Refused:
      return device +
             " takes no frames from the drivers of other devices; of a veth, set GRO on at its "
             "other end: ethtool -K PEER gro on";
    case Redirects::Unknown:
      return "this kernel does not say whether " + device +
             " takes frames from the drivers of other devices, which 6.3 and later do";
  }
  return {};
}

}  // namespace sluice
