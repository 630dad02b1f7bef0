#include "port/next_hop/kernel_sender.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

constexpr Nanoseconds kWindow = 10'000'000;
constexpr unsigned kPacketsAWindow = 100;

/// A socket that takes whole packets and has them leave by the device; -1 and errno.
int open_raw(int family, const std::string& device) noexcept {
  const int fd = ::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
  if (fd < 0) return -1;
  if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.c_str(),
                   static_cast<socklen_t>(device.size() + 1)) == 0) {
    return fd;
  }
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

}  // namespace

Result<std::unique_ptr<KernelSender>> KernelSender::open(const std::string& device) {
  std::unique_ptr<KernelSender> made(new KernelSender);
  made->ipv4_ = open_raw(AF_INET, device);
  if (made->ipv4_ < 0) {
    return Error{std::string("no raw socket for packets whose next hop is not known yet: ") +
                     std::strerror(errno) + "; run as root, or give the program CAP_NET_RAW",
                 "driver"};
  }
  made->ipv6_ = open_raw(AF_INET6, device);
  return made;
}

KernelSender::~KernelSender() {
  for (const int fd : {ipv4_, ipv6_}) {
    if (fd >= 0) ::close(fd);
  }
}

bool KernelSender::send(const std::byte* packet, std::size_t bytes, Nanoseconds now) noexcept {
  if (now - window_ >= kWindow) {
    window_ = now;
    sent_ = 0;
  }
  if (sent_ == kPacketsAWindow) return false;
  ++sent_;
  if (static_cast<unsigned>(packet[0]) >> 4 == 6) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    std::memcpy(&to.sin6_addr, packet + 24, 16);
    return ipv6_ >= 0 && ::sendto(ipv6_, packet, bytes, 0, reinterpret_cast<const sockaddr*>(&to),
                                  sizeof to) >= 0;
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  std::memcpy(&to.sin_addr, packet + 16, 4);
  return ::sendto(ipv4_, packet, bytes, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0;
}

}  // namespace sluice
