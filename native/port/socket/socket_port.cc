#include "port/socket/socket_port.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "port/address_text.h"
#include "wire/udp.h"

namespace sluice {
namespace {

constexpr unsigned kSourcePortsMax = 64;
constexpr int kMainBufferBytes = 16 << 20;
constexpr int kSourceBufferBytes = 4 << 20;

bool is_any(const IpAddress& address) { return address.bytes == std::array<std::uint8_t, 16>{}; }

bool set_option(int fd, int level, int name, int value) noexcept {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// Beyond the system's limit if we may, else up to it. Returns what was granted.
int set_buffer(int fd, int name, int forced_name, int bytes) noexcept {
  if (!set_option(fd, SOL_SOCKET, forced_name, bytes)) set_option(fd, SOL_SOCKET, name, bytes);
  int granted = 0;
  socklen_t length = sizeof granted;
  ::getsockopt(fd, SOL_SOCKET, name, &granted, &length);
  return granted / 2;  // the kernel doubles it to account for its own overhead
}

void close_all(std::vector<std::vector<LocalSocket>>& sockets, std::size_t keep) noexcept {
  for (auto& of_worker : sockets) {
    for (; of_worker.size() > keep; of_worker.pop_back()) ::close(of_worker.back().fd);
  }
}

std::string address_field(std::size_t index) { return "addresses[" + std::to_string(index) + "]"; }

}  // namespace

Error SocketPort::bind_error(std::size_t index, std::uint16_t port, int error) const {
  const std::string address = address_text(config_.addresses[index]);
  const std::string number = std::to_string(port);
  switch (error) {
    case EADDRINUSE:
      return {"UDP port " + number + " of " + address +
                  " is in use; stop the program that has it (ss -ulpn sport = :" + number +
                  " names it), or set another address or udpPort",
              address_field(index)};
    case EADDRNOTAVAIL:
      return {address + " is no address of this machine; add it (ip address add " + address +
                  (config_.addresses[index].is_v6 ? "/128" : "/32") +
                  " dev lo), or set one that ip address lists",
              address_field(index)};
    case EAFNOSUPPORT:
      return {"this kernel has no IPv6 for " + address +
                  "; turn it on (sysctl net.ipv6.conf.all.disable_ipv6=0), or use IPv4",
              address_field(index)};
    case EACCES:
    case EPERM:
      return {"no permission to bind UDP port " + number +
                  "; run as root, give the program CAP_NET_BIND_SERVICE, or set a port of 1024 "
                  "or more",
              "udpPort"};
    case EMFILE:
    case ENFILE:
      return {
          "too few file descriptors for all sockets; raise the limit (ulimit -n 65536), or "
          "set fewer sourcePorts",
          "sourcePorts"};
    default:
      return {address + " port " + number + " cannot be bound: " + std::strerror(error),
              address_field(index)};
  }
}

Status SocketPort::check_config() const {
  if (config_.role != PortRole::Access) {
    return Error{"a socket port carries GTP-U; set role: access", "role"};
  }
  if (config_.udp_port == 0) return Error{"a port number is 1 to 65535", "udpPort"};
  if (!std::has_single_bit(config_.source_ports) || config_.source_ports > kSourcePortsMax) {
    return Error{std::to_string(config_.source_ports) +
                     " source ports are not possible; choose 1, 2, 4, 8, 16, 32 or 64",
                 "sourcePorts"};
  }
  if (config_.addresses.empty()) {
    return Error{"a socket port needs at least one local address", "addresses"};
  }
  for (std::size_t i = 0; i < config_.addresses.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const IpAddress& a = config_.addresses[i];
      const IpAddress& b = config_.addresses[j];
      const bool covers = a.is_v6 == b.is_v6 && (is_any(a) || is_any(b));
      if (a == b || covers) {
        return Error{address_text(a) + " and " + address_text(b) +
                         " listen for the same packets; remove one of them",
                     address_field(i)};
      }
    }
  }
  return Ok{};
}

int SocketPort::make_socket(const IpAddress& address, bool is_wildcard) {
  const int family = address.is_v6 ? AF_INET6 : AF_INET;
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  gro_ = set_option(fd, SOL_UDP, UDP_GRO, 1);
  set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  int segment = 0;
  socklen_t length = sizeof segment;
  gso_ = ::getsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, &length) == 0;
  // Fragment by the device's MTU when a packet is too long, and let no ICMP message, which
  // anyone can forge, lower it.
  if (address.is_v6) {
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
    if (is_wildcard) set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  } else {
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
    if (is_wildcard) set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
  }
  return fd;
}

int SocketPort::bind_socket(int fd, const IpAddress& address, std::uint16_t& port) {
  sockaddr_in6 name{};
  socklen_t length = sizeof name;
  if (address.is_v6) {
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(port);
    std::memcpy(&name.sin6_addr, address.bytes.data(), 16);
  } else {
    sockaddr_in name4{};
    name4.sin_family = AF_INET;
    name4.sin_port = htons(port);
    std::memcpy(&name4.sin_addr, address.bytes.data(), 4);
    std::memcpy(&name, &name4, length = sizeof name4);
  }
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&name), length) != 0) return errno;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return errno;
  port = ntohs(name.sin6_port);  // at the same place in both families
  return 0;
}

int SocketPort::bind_group(const IpAddress& address, std::uint16_t& port, Sockets& sockets) {
  const std::size_t before = sockets[0].size();
  const bool is_main = port == config_.udp_port || port == wire::kEspUdpPort;
  for (std::size_t worker = 0; worker < sockets.size(); ++worker) {
    const int fd = make_socket(address, is_any(address));
    int error = fd < 0 ? -fd : 0;
    // What routers marked on the way is for the packet inside.
    if (error == 0 && port == wire::kEspUdpPort) {
      address.is_v6 ? set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
                    : set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
    }
    if (error == 0) {
      const int bytes = is_main ? kMainBufferBytes : kSourceBufferBytes;
      const int granted = set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, bytes);
      if (is_main) receive_buffer_bytes_ = granted;
      set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, bytes);
      // The first one is bound exclusively and shares afterwards: so a second Sluice, or
      // whatever else shares by SO_REUSEPORT, is an error and not a silent loss of packets.
      if (worker != 0) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
      error = bind_socket(fd, address, port);
      if (worker == 0 && sockets.size() > 1) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (error != 0) {
      if (fd >= 0) ::close(fd);
      close_all(sockets, before);
      return error;
    }
    sockets[worker].push_back({fd, address, port, is_any(address)});
  }
  return 0;
}

Status SocketPort::bind_main(Sockets& sockets) {
  source_ports_.push_back(config_.udp_port);
  for (std::size_t i = 0; i < config_.addresses.size(); ++i) {
    std::uint16_t port = config_.udp_port;
    const int error = bind_group(config_.addresses[i], port, sockets);
    if (error != 0) return bind_error(i, port, error);
  }
  for (std::size_t i = 0; config_.esp_in_udp && i < config_.addresses.size(); ++i) {
    std::uint16_t port = wire::kEspUdpPort;
    const int error = bind_group(config_.addresses[i], port, sockets);
    if (error != 0) return bind_error(i, port, error);
  }
  return Ok{};
}

// A port that the kernel finds free on the first address may be taken on another one.
Status SocketPort::bind_source_port(Sockets& sockets) {
  constexpr unsigned kTries = 16;
  const std::size_t before = sockets[0].size();
  Error last;
  for (unsigned tries = 0; tries < kTries; ++tries) {
    std::uint16_t port = 0;
    std::size_t bound = 0;
    int error = 0;
    while (bound < config_.addresses.size() && error == 0) {
      error = bind_group(config_.addresses[bound], port, sockets);
      if (error == 0) ++bound;
    }
    if (error == 0) {
      source_ports_.push_back(port);
      return Ok{};
    }
    last = bind_error(bound, port, error);
    close_all(sockets, before);
    if (error != EADDRINUSE) return last;
  }
  return Error{"no UDP port is free on all addresses of the port: " + last.message, "sourcePorts"};
}

Status SocketPort::open(std::span<PoolCache* const> caches) {
  close();
  Status status = check_config();
  if (!status) return status;
  Sockets sockets(caches.size());
  status = bind_main(sockets);
  for (unsigned i = 1; status && i < config_.source_ports; ++i) status = bind_source_port(sockets);
  if (!status) {
    close_all(sockets, 0);
    close();
    return status;
  }
  for (std::size_t worker = 0; worker < caches.size(); ++worker) {
    queues_.push_back(std::make_unique<SocketQueue>(index_, *caches[worker]));
    const auto main =
        static_cast<unsigned>(config_.addresses.size()) * (config_.esp_in_udp ? 2u : 1u);
    const int error = queues_.back()->start(std::exchange(sockets[worker], {}), main, gso_);
    if (error == 0) continue;
    close_all(sockets, 0);
    close();
    return bind_error(0, config_.udp_port, error);
  }
  attach_steering();
  return Ok{};
}

void SocketPort::attach_steering() noexcept {
  if (queues_.size() < 2) return;
  std::vector<sock_filter> by_teid = reuseport_program(owners_),
                           by_spi = spi_program(static_cast<unsigned>(queues_.size()));
  steering_ = "bpf";
  for (const LocalSocket& socket : queues_[0]->sockets()) {
    auto& program = socket.port == wire::kEspUdpPort ? by_spi : by_teid;
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::setsockopt(socket.fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) !=
        0) {
      steering_ = std::string("kernel (bpf: ") + std::strerror(errno) + ")";
    }
  }
}

void SocketPort::close() noexcept {
  queues_.clear();
  source_ports_.clear();
  steering_ = "none";
}

std::map<std::string, std::string> SocketPort::capabilities() const {
  std::string ports;
  for (const std::uint16_t port : source_ports_) {
    ports += (ports.empty() ? "" : ",") + std::to_string(port);
  }
  return {
      {"gro", gro_ ? "yes" : "no"}, {"gso", gso_ ? "yes" : "no"},
      {"sourcePorts", ports},       {"queues", std::to_string(queues_.size())},
      {"steering", steering_},      {"receiveBufferBytes", std::to_string(receive_buffer_bytes_)},
  };
}

bool SocketPort::steer(std::span<const std::uint8_t, 256> bucket_owner) noexcept {
  std::copy(bucket_owner.begin(), bucket_owner.end(), owners_.begin());
  attach_steering();
  return steering_ == "bpf";
}

}  // namespace sluice
