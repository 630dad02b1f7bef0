#include "port/netlink/netlink_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "port/netlink/attributes.h"

namespace sluice {

NetlinkSocket::NetlinkSocket(int protocol, unsigned groups) noexcept
    : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)) {
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_groups = groups;
  if (fd_ >= 0 && ::bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

NetlinkSocket::~NetlinkSocket() {
  if (fd_ >= 0) ::close(fd_);
}

bool NetlinkSocket::ask(NetlinkRequest& request, const OnMessage& on_message) {
  request.header().nlmsg_seq = ++sequence_;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_, request.bytes, request.header().nlmsg_len, 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return false;
  }
  alignas(nlmsghdr) std::array<std::byte, 65536> answer;
  bool whole = true;
  for (;;) {
    const ssize_t got = ::recv(fd_, answer.data(), answer.size(), 0);
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

void NetlinkSocket::take_news(const std::function<void(const nlmsghdr*)>& on_message) {
  alignas(nlmsghdr) std::array<std::byte, 65536> news;
  for (;;) {
    const ssize_t got = ::recv(fd_, news.data(), news.size(), MSG_DONTWAIT);
    if (got < 0 && errno == ENOBUFS) {  // there was more than it could keep
      on_message(nullptr);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    auto left = static_cast<unsigned>(got);
    const auto* message = reinterpret_cast<const nlmsghdr*>(news.data());
    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) on_message(message);
  }
}

}  // namespace sluice
