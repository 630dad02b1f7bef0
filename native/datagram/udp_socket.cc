#include "datagram/udp_socket.h"

#include <linux/sock_diag.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace sluice::datagram {
namespace {

/// Bursts wait here while the thread is busy, so more would only be delay; without privilege the
/// kernel gives less.
constexpr int kBufferBytes = 8 << 20;
/// Some thousand requests of one peer.
constexpr int kPeerBufferBytes = 4 << 20;

Error system_error() {
  const int code = errno;
  return {std::string(strerrorname_np(code)) + ": " + strerrordesc_np(code), ""};
}

}  // namespace

ReceiveBatch::ReceiveBatch() : bytes_(std::make_unique_for_overwrite<std::byte[]>(kBatch * kRoom)) {
  for (unsigned i = 0; i < kBatch; ++i) {
    pieces_[i] = {bytes_.get() + i * kRoom, kRoom};
    messages_[i].msg_hdr.msg_name = &from_[i];
    messages_[i].msg_hdr.msg_iov = &pieces_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

unsigned ReceiveBatch::receive(int fd) noexcept {
  for (mmsghdr& message : messages_) message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
  const int n = recvmmsg(fd, messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
  return n > 0 ? static_cast<unsigned>(n) : 0;
}

SendBatch::SendBatch() {
  for (unsigned i = 0; i < kBatch; ++i) {
    messages_[i].msg_hdr.msg_name = &to_[i].storage;
    messages_[i].msg_hdr.msg_iov = &pieces_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

void SendBatch::add(const SocketAddress& to, const std::byte* bytes, std::size_t length) noexcept {
  to_[count_] = to;
  messages_[count_].msg_hdr.msg_namelen = to.length;
  // sendmmsg only reads what an iovec points to.
  pieces_[count_] = {const_cast<std::byte*>(bytes), length};
  ++count_;
}

SendBatch::Outcome SendBatch::send(int fd) noexcept {
  Outcome out;
  for (unsigned done = 0; done < count_;) {
    const int n = sendmmsg(fd, &messages_[done], count_ - done, MSG_DONTWAIT);
    if (n > 0) {
      for (unsigned i = done; i < done + static_cast<unsigned>(n); ++i) {
        out.sent_bytes += pieces_[i].iov_len;
      }
      out.sent += static_cast<unsigned>(n);
      done += static_cast<unsigned>(n);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      out.left = count_ - done;
      break;
    } else if (errno != EINTR) {
      // One datagram can't go (no route, too long); those behind it are tried.
      ++out.failed;
      ++done;
    }
  }
  count_ = 0;
  return out;
}

Result<UdpSocket> UdpSocket::make(std::uint32_t family, int buffer_bytes) {
  const int domain = family == 6 ? AF_INET6 : AF_INET;
  UdpSocket out(socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), family);
  if (out.fd_ < 0) return system_error();
  const int one = 1;
  if (domain == AF_INET6) setsockopt(out.fd_, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
  for (const auto& [forced, plain] :
       {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, std::pair{SO_SNDBUFFORCE, SO_SNDBUF}}) {
    if (setsockopt(out.fd_, SOL_SOCKET, forced, &buffer_bytes, sizeof(int)) != 0) {
      setsockopt(out.fd_, SOL_SOCKET, plain, &buffer_bytes, sizeof(int));
    }
  }
  return out;
}

Result<UdpSocket> UdpSocket::open(const Address& address, std::uint16_t port, bool shared) {
  auto made = make(address.family == 6 ? 6 : 4, kBufferBytes);
  if (!made) return made;
  UdpSocket& out = made.value();
  const int yes = 1;
  if (shared) setsockopt(out.fd_, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
  SocketAddress name = socket_address(address, port);
  if (bind(out.fd_, reinterpret_cast<const sockaddr*>(&name.storage), name.length) != 0) {
    return system_error();
  }
  if (getsockname(out.fd_, reinterpret_cast<sockaddr*>(&name.storage), &name.length) != 0) {
    return system_error();
  }
  std::uint32_t bound = 0;
  address_of(name.storage, bound);
  out.port_ = static_cast<std::uint16_t>(bound);
  return made;
}

Result<UdpSocket> UdpSocket::connect(const UdpSocket& listening, const Address& peer,
                                     std::uint16_t port) {
  SocketAddress name;
  name.length = sizeof(name.storage);
  if (getsockname(listening.fd_, reinterpret_cast<sockaddr*>(&name.storage), &name.length) != 0) {
    return system_error();
  }
  auto made = make(peer.family, kPeerBufferBytes);
  if (!made) return made;
  UdpSocket& out = made.value();
  out.share_name(true);
  const SocketAddress to = socket_address(peer, port);
  if (bind(out.fd_, reinterpret_cast<const sockaddr*>(&name.storage), name.length) != 0 ||
      ::connect(out.fd_, reinterpret_cast<const sockaddr*>(&to.storage), to.length) != 0) {
    return system_error();
  }
  out.port_ = listening.port_;
  return made;
}

void UdpSocket::share_name(bool yes) const noexcept {
  const int value = yes;
  setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value));
}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), family_(other.family_), port_(other.port_) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(family_, other.family_);
  std::swap(port_, other.port_);
  return *this;
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) close(fd_);
}

std::uint64_t UdpSocket::dropped() const noexcept {
  std::array<std::uint32_t, SK_MEMINFO_VARS> figures{};
  socklen_t length = sizeof(figures);
  if (getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, figures.data(), &length) != 0) return 0;
  return figures[SK_MEMINFO_DROPS];
}

}  // namespace sluice::datagram
