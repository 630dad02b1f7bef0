// A socket of netlink, of one protocol: questions to the kernel and their answers, or its news.
// Threads: one at a time.
#pragma once
#include <functional>

#include "port/netlink/request.h"

namespace sluice {

class NetlinkSocket {
 public:
  using OnMessage = std::function<void(const nlmsghdr&)>;

  /// @param groups  of news, as bits.
  explicit NetlinkSocket(int protocol, unsigned groups = 0) noexcept;
  ~NetlinkSocket();
  NetlinkSocket(const NetlinkSocket&) = delete;
  NetlinkSocket& operator=(const NetlinkSocket&) = delete;

  /// Below 0: there is no such socket, and errno says why.
  int fd() const noexcept { return fd_; }
  /// Waits for the kernel, which answers at once. False: an error, or the answer is of two moments.
  bool ask(NetlinkRequest& request, const OnMessage& on_message);
  /// Takes all news. @param on_message  nullptr: some of it was lost.
  void take_news(const std::function<void(const nlmsghdr*)>& on_message);

 private:
  int fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace sluice
