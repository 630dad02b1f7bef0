// What the kernel knows about one device, over rtnetlink: its link address and MTU, the routes
// that leave by it, its neighbours; and word of any change.
// Threads: one at a time; made on the control thread, read by the watch's (next_hop_watch.h).
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/types.h"
#include "port/netlink/netlink_socket.h"
#include "port/netlink/redirect_target.h"
#include "port/next_hop/next_hop_table.h"

namespace sluice {

/// A device as the kernel describes it.
struct LinkState {
  LinkAddress address{};
  std::uint32_t mtu = 0;
  bool is_up = false;
  bool is_ethernet = false;
  unsigned parent = 0;     ///< a VLAN's: the device that carries its frames; else 0
  std::uint16_t vlan = 0;  ///< the VLAN's number, 0: none
  Redirects redirects = Redirects::Unknown;
};

/// All that a driver needs for link headers. Immutable once it is made.
struct NextHops {
  LinkState link;
  NextHopTable table;
};

class KernelTables {
 public:
  /// Of this network namespace. Errors: no netlink socket.
  static Result<std::unique_ptr<KernelTables>> open(unsigned interface);
  KernelTables(const KernelTables&) = delete;
  KernelTables& operator=(const KernelTables&) = delete;

  /// nullptr: the kernel did not answer, or its tables changed meanwhile; try again. Waits for
  /// the kernel, which answers at once.
  std::unique_ptr<NextHops> read();
  /// Either is readable when anything may have changed; -1: there is no such news.
  int fd() const noexcept { return events_.fd(); }
  int target_fd() const noexcept { return target_.fd(); }
  /// Takes all news; true when some of it may be about the device.
  bool take_news();
  /// Says that a neighbour is in use, so that the kernel looks whether it is still there: it
  /// does not see the packets that a driver sends. Not of one that is fixed.
  void confirm(const HopAddress& neighbour) noexcept;

 private:
  explicit KernelTables(unsigned interface);
  bool read_link(LinkState& link);
  bool read_routes(int family, NextHopTable& table);
  bool read_neighbours(NextHopTable& table);

  unsigned interface_;
  NetlinkSocket events_;
  NetlinkSocket questions_;
  RedirectTarget target_;
};

}  // namespace sluice
