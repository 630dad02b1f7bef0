// Whether a device takes frames that an XDP program of another device redirects to it: what it
// does not take is lost, and nobody is told. A veth takes them while its other end polls (GRO, or
// a program of its own), other drivers while they have a program. The kernel says so since 6.3
// (netdev family of generic netlink), and when it changes.
// Threads: one at a time.
#pragma once
#include <cstdint>
#include <string>

#include "port/netlink/netlink_socket.h"

namespace sluice {

enum class Redirects : std::uint8_t { Unknown, Refused, Taken };

class RedirectTarget {
 public:
  explicit RedirectTarget(unsigned interface);

  /// As it is now.
  Redirects ask();
  /// Readable when the answer may be another; -1: the kernel does not tell.
  int fd() const noexcept { return family_ != 0 ? questions_.fd() : -1; }
  /// True when there was news.
  bool take_news();

 private:
  NetlinkSocket questions_;
  std::uint32_t interface_;
  std::uint16_t family_ = 0;  ///< 0: the kernel has none
};

/// Why nothing can be redirected to a device, and what to do; empty: it can.
std::string obstacle_to_redirects(const std::string& device, Redirects redirects);

}  // namespace sluice
