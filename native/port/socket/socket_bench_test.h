// What the tests of the socket port share: a kernel socket as the peer, an open port with its
// pool, and packets in both forms.
#pragma once
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>

#include <optional>

#include "port/port_contract_test.h"
#include "port/socket/socket_port.h"
#include "wire/ipv6.h"

namespace sluice::test::socket_port {

inline IpAddress address(const char* text) {
  IpAddress result;
  result.is_v6 = std::strchr(text, ':') != nullptr;
  EXPECT_EQ(::inet_pton(result.is_v6 ? AF_INET6 : AF_INET, text, result.bytes.data()), 1);
  return result;
}

/// A kernel UDP socket: a gNB as far as the port can tell.
class Peer {
 public:
  explicit Peer(const char* text) : is_v6_(std::strchr(text, ':') != nullptr) {
    fd_ = ::socket(is_v6_ ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const sockaddr_in6 name = sockaddr_of(text, 0);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), size()), 0) << text;
    sockaddr_in6 bound{};
    socklen_t length = sizeof bound;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &length);
    port_ = ntohs(bound.sin6_port);
    const int on = 1;
    const int bytes = 8 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    ::setsockopt(fd_, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
    ::setsockopt(fd_, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  std::uint16_t port() const { return port_; }
  int fd() const { return fd_; }
  /// Of what it sends from now on.
  void set_tos(int tos) {
    ::setsockopt(fd_, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    ::setsockopt(fd_, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
  }
  bool send(const char* to, std::uint16_t port, const Bytes& payload, std::uint16_t segment = 0) {
    sockaddr_in6 name = sockaddr_of(to, port);
    iovec piece{const_cast<std::byte*>(payload.data()), payload.size()};
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof segment)]{};
    msghdr header{};
    header.msg_name = &name;
    header.msg_namelen = size();
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (segment != 0) {
      header.msg_control = control;
      header.msg_controllen = sizeof control;
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = SOL_UDP;
      c->cmsg_type = UDP_SEGMENT;
      c->cmsg_len = CMSG_LEN(sizeof segment);
      std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
    return ::sendmsg(fd_, &header, 0) == static_cast<ssize_t>(payload.size());
  }
  struct Datagram {
    Bytes payload;
    std::uint16_t source_port;
    std::array<std::byte, 16> source;
    int tos;
  };
  /// Everything that is there; waits a moment for the first datagram, as loopback is no queue.
  std::vector<Datagram> take() {
    std::vector<Datagram> all;
    for (;;) {
      pollfd wait{fd_, POLLIN, 0};
      if (::poll(&wait, 1, 50) <= 0) return all;
      Bytes bytes(65536);
      sockaddr_in6 from{};
      iovec piece{bytes.data(), bytes.size()};
      alignas(cmsghdr) std::byte control[256];
      msghdr header{};
      header.msg_name = &from;
      header.msg_namelen = sizeof from;
      header.msg_iov = &piece;
      header.msg_iovlen = 1;
      header.msg_control = control;
      header.msg_controllen = sizeof control;
      const ssize_t n = ::recvmsg(fd_, &header, MSG_DONTWAIT);
      if (n < 0) continue;  // an ICMP error that somebody else caused
      bytes.resize(static_cast<std::size_t>(n));
      Datagram datagram{std::move(bytes), ntohs(from.sin6_port), {}, 0};
      const void* source = is_v6_ ? static_cast<const void*>(&from.sin6_addr)
                                  : &reinterpret_cast<sockaddr_in&>(from).sin_addr;
      std::memcpy(datagram.source.data(), source, is_v6_ ? 16 : 4);
      for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        datagram.tos = static_cast<int>(*CMSG_DATA(c));
      }
      all.push_back(std::move(datagram));
    }
  }

 private:
  socklen_t size() const { return is_v6_ ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }
  static sockaddr_in6 sockaddr_of(const char* text, std::uint16_t port) {
    const IpAddress ip = address(text);
    sockaddr_in6 name{};
    if (ip.is_v6) {
      name.sin6_family = AF_INET6;
      name.sin6_port = htons(port);
      std::memcpy(&name.sin6_addr, ip.bytes.data(), 16);
      return name;
    }
    auto& v4 = reinterpret_cast<sockaddr_in&>(name);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip.bytes.data(), 4);
    return name;
  }

  bool is_v6_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
};

inline std::uint16_t free_port() { return Peer("127.0.0.1").port(); }

inline PortConfig config_of(std::initializer_list<const char*> addresses, std::uint16_t port = 0) {
  PortConfig config;
  config.name = "n3";
  config.driver = "socket";
  config.role = PortRole::Access;
  for (const char* text : addresses) config.addresses.push_back(address(text));
  config.udp_port = port == 0 ? free_port() : port;
  return config;
}

inline BucketOwners modulo(unsigned n) {
  BucketOwners owners;
  for (unsigned i = 0; i < 256; ++i) owners[i] = static_cast<std::uint8_t>(i % n);
  return owners;
}

/// An open port with its pool: `queues` workers and one cache for the test.
struct Bench {
  explicit Bench(const PortConfig& config, unsigned queues = 1)
      : pool(2048, queues + 1), port(std::in_place, config, std::uint8_t{3}) {
    for (unsigned i = 0; i < queues; ++i) caches.push_back(&pool.pool->cache(i));
    const BucketOwners owners = modulo(queues);
    port->steer(owners);
    status = port->open(caches);
  }
  ~Bench() {
    port.reset();
    EXPECT_EQ(pool.pool->available(), pool.pool->capacity()) << "packets are lost";
  }
  std::vector<Packet*> rx(unsigned queue, std::size_t want) {
    return receive(port->queue(queue), want);
  }
  void free(const std::vector<Packet*>& packets) {
    pool.pool->cache(static_cast<unsigned>(caches.size()))
        .free(packets.data(), static_cast<unsigned>(packets.size()));
  }
  unsigned tx(const std::vector<Bytes>& outer) {
    std::vector<Packet*> packets(outer.size());
    PoolCache& cache = pool.pool->cache(0);
    EXPECT_EQ(cache.allocate(packets.data(), static_cast<unsigned>(packets.size())),
              packets.size());
    for (std::size_t i = 0; i < outer.size(); ++i) {
      packets[i]->offset = kAccessDataOffset;
      packets[i]->length = static_cast<std::uint16_t>(outer[i].size());
      std::memcpy(packets[i]->data(), outer[i].data(), outer[i].size());
    }
    return port->queue(0).tx(packets.data(), static_cast<unsigned>(packets.size()));
  }

  PoolFixture pool;
  std::vector<PoolCache*> caches;
  std::optional<SocketPort> port;
  Status status = Ok{};
};

inline Bytes gtpu(std::uint32_t teid, std::uint32_t number, std::size_t size = 64) {
  Bytes bytes(size, std::byte{0xab});
  wire::store32(bytes.data(), 0x30ff0000 | static_cast<std::uint32_t>(size - 8));
  wire::store32(bytes.data() + 4, teid);
  wire::store32(bytes.data() + 8, number);
  return bytes;
}

inline Bytes outer(const char* from, std::uint16_t from_port, const char* to, std::uint16_t to_port,
                   const Bytes& payload, std::uint8_t tos = 0) {
  const IpAddress source = address(from);
  const IpAddress destination = address(to);
  const std::size_t ip_bytes = source.is_v6 ? 40 : 20;
  const auto udp_bytes = static_cast<std::uint16_t>(8 + payload.size());
  Bytes bytes(ip_bytes + 8);
  const auto* s = reinterpret_cast<const std::byte*>(source.bytes.data());
  const auto* d = reinterpret_cast<const std::byte*>(destination.bytes.data());
  if (source.is_v6) {
    wire::write_ipv6(
        bytes.data(),
        {.source = s, .destination = d, .payload_length = udp_bytes, .traffic_class = tos});
  } else {
    wire::write_ipv4(bytes.data(), {.source = wire::load32(s),
                                    .destination = wire::load32(d),
                                    .total_length = static_cast<std::uint16_t>(20 + udp_bytes),
                                    .tos = tos});
  }
  wire::write_udp(bytes.data() + ip_bytes, from_port, to_port, udp_bytes);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

}  // namespace sluice::test::socket_port
