// A veth pair "port" and "peer" in a network namespace of the test's own, and the end of it that
// is not the port's.
#pragma once
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "port/namespace_test.h"
#include "port/port_contract_test.h"

namespace sluice::test {

/// The far end of the wire: sees and sends frames.
class VethPeer {
 public:
  VethPeer() : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
    const int on = 1;
    ::setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    ::setsockopt(fd_, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
    sockaddr_ll name{};
    name.sll_family = AF_PACKET;
    name.sll_protocol = htons(ETH_P_ALL);
    name.sll_ifindex = static_cast<int>(::if_nametoindex("peer"));
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  }
  ~VethPeer() { ::close(fd_); }
  VethPeer(const VethPeer&) = delete;
  VethPeer& operator=(const VethPeer&) = delete;

  bool put(const Bytes& frame) const {
    return ::send(fd_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
  }
  /// The next frame of a type, whatever the kernel says in between; empty: none came for long.
  Bytes take(unsigned type = ETH_P_IP, int patience_ms = 2000) const {
    for (;;) {
      pollfd wait{fd_, POLLIN, 0};
      if (::poll(&wait, 1, patience_ms) <= 0) return {};
      const Bytes frame = next();
      if (frame.size() > ETH_HLEN && wire::load16(frame.data() + 12) == type) return frame;
    }
  }

 private:
  /// As it was on the wire: the kernel has taken its VLAN tag off.
  Bytes next() const {
    Bytes frame(4096);
    iovec into{frame.data(), frame.size()};
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(tpacket_auxdata))];
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(fd_, &message, 0);
    frame.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
    const cmsghdr* const told = CMSG_FIRSTHDR(&message);
    if (told == nullptr || told->cmsg_type != PACKET_AUXDATA || frame.size() < ETH_HLEN) {
      return frame;
    }
    tpacket_auxdata about;
    std::memcpy(&about, CMSG_DATA(told), sizeof about);
    if ((about.tp_status & TP_STATUS_VLAN_VALID) == 0) return frame;
    frame.insert(frame.begin() + 12, 4, std::byte{0});
    wire::store16(frame.data() + 12, about.tp_vlan_tpid);
    wire::store16(frame.data() + 14, about.tp_vlan_tci);
    return frame;
  }

  int fd_;
};

/// Runs `body` where both ends are up, or skips and says why.
inline void on_veth_pair(const std::function<void()>& body) {
  const int fd = ::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) GTEST_SKIP() << "no AF_XDP socket: " << std::strerror(errno);
  ::close(fd);
  in_namespace([&](bool has_own) {
    if (!has_own) GTEST_SKIP() << "no right to make a network namespace";
    if (std::system("ip link add port type veth peer name peer") != 0) {
      GTEST_SKIP() << "no veth pair";
    }
    ASSERT_TRUE(set_up("port") && set_up("peer"));
    body();
  });
}

}  // namespace sluice::test
