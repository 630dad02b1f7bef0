// One rtnetlink message under construction, for whoever asks the kernel about devices,
// addresses, routes and neighbours. Threads: each request belongs to who makes it.
#pragma once
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice {

/// A header, a fixed part and attributes, which may nest. The largest one made here has 96 bytes.
struct NetlinkRequest {
  alignas(nlmsghdr) std::byte bytes[256]{};

  NetlinkRequest(unsigned type, unsigned flags, const void* fixed, std::size_t n) noexcept {
    header().nlmsg_type = static_cast<std::uint16_t>(type);
    header().nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header().nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(n));
    std::memcpy(bytes + NLMSG_HDRLEN, fixed, n);
  }
  nlmsghdr& header() noexcept { return *reinterpret_cast<nlmsghdr*>(bytes); }
  /// Opens an attribute; what is added until close() lies inside.
  rtattr* open(unsigned type) noexcept {
    const std::size_t start = NLMSG_ALIGN(header().nlmsg_len);
    auto* attribute = reinterpret_cast<rtattr*>(bytes + start);
    attribute->rta_type = static_cast<std::uint16_t>(type);
    attribute->rta_len = RTA_LENGTH(0);
    header().nlmsg_len = static_cast<std::uint32_t>(start + RTA_LENGTH(0));
    return attribute;
  }
  void close(rtattr* attribute) noexcept {
    const std::byte* end = bytes + NLMSG_ALIGN(header().nlmsg_len);
    attribute->rta_len =
        static_cast<std::uint16_t>(end - reinterpret_cast<const std::byte*>(attribute));
  }
  void add(unsigned type, const void* value, std::size_t n) noexcept {
    rtattr* attribute = open(type);
    std::memcpy(bytes + header().nlmsg_len, value, n);
    attribute->rta_len = static_cast<std::uint16_t>(RTA_LENGTH(n));
    header().nlmsg_len += static_cast<std::uint32_t>(n);
  }
};

}  // namespace sluice
