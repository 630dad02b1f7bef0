// Real TCP between two kernels through two TUN devices: super-frames, checksums, order.
#include <fcntl.h>
#include <netinet/in.h>

#include <atomic>
#include <string>

#include "port/tun/tun_bench_test.h"
#include "wire/ipv6.h"

namespace sluice::test::tun_port {
namespace {

// Moves packets between two devices in two namespaces, as a wire would.
class Wire {
 public:
  Wire(PortQueue& a, PortQueue& b) : thread_([this, &a, &b] { run(a, b); }) {}
  ~Wire() {
    stop_.store(true);
    thread_.join();
  }

 private:
  void run(PortQueue& a, PortQueue& b) {
    // Pairs with the store in the destructor; nothing else is handed over by it.
    while (!stop_.load(std::memory_order_relaxed)) {
      const unsigned moved = move(a, b) + move(b, a);
      if (moved == 0) ::usleep(50);
    }
  }
  unsigned move(PortQueue& from, PortQueue& to) {
    Packet* burst[64];
    const unsigned n = from.rx(burst, 64);
    for (unsigned i = 0; i < n; ++i) {
      const Packet& p = *burst[i];
      if (!is_well_formed(p)) ADD_FAILURE() << "a packet with a wrong length or checksum";
    }
    EXPECT_EQ(to.tx(burst, n), n);
    to.flush();
    return n;
  }
  static bool is_well_formed(const Packet& p) {
    const std::byte* ip = p.data();
    if (wire::load8(ip) >> 4 == 6) {
      if (wire::load16(ip + 4) + 40U != p.length) return false;
      const std::uint8_t next = wire::load8(ip + 6);
      if (next != 6 && next != 17) return true;
      const std::uint32_t sum = wire::pseudo_header_v6(ip + 8, ip + 24, next, p.length - 40U);
      return wire::fold(wire::checksum_partial(ip + 40, p.length - 40U, sum)) == 0;
    }
    if (wire::load16(ip + 2) != p.length || wire::checksum(ip, 20) != 0) return false;
    const std::uint8_t protocol = wire::load8(ip + 9);
    const auto bytes = static_cast<std::uint16_t>(p.length - 20);
    const std::uint32_t sum =
        wire::pseudo_header_v4(wire::load32(ip + 12), wire::load32(ip + 16), protocol, bytes);
    return wire::fold(wire::checksum_partial(ip + 20, bytes, sum)) == 0;
  }

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

sockaddr_in6 endpoint(const char* text, std::uint16_t port, socklen_t& length) {
  const IpPrefix to = prefix(text, 0);
  sockaddr_in6 name{};
  name.sin6_port = htons(port);
  if (to.address.is_v6) {
    name.sin6_family = AF_INET6;
    std::memcpy(&name.sin6_addr, to.address.bytes.data(), 16);
    length = sizeof name;
  } else {
    name.sin6_family = AF_INET;
    std::memcpy(&reinterpret_cast<sockaddr_in&>(name).sin_addr, to.address.bytes.data(), 4);
    length = sizeof(sockaddr_in);
  }
  return name;
}

Bytes pattern(std::size_t bytes) {
  Bytes result(bytes);
  for (std::size_t i = 0; i < bytes; ++i) result[i] = static_cast<std::byte>(i * 2654435761u >> 24);
  return result;
}

// Listens in this namespace, connects from the other one, sends both ways at once.
void transfer(const char* text, std::uint16_t port, const std::function<void()>& enter_peer) {
  const Bytes sent = pattern(8 << 20);
  socklen_t length = 0;
  const sockaddr_in6 name = endpoint(text, port, length);
  const int listener = ::socket(name.sin6_family, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&name), length), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  const auto run_end = [&](int fd) {
    std::thread sender([&] {
      for (std::size_t done = 0; done < sent.size();) {
        const ssize_t n = ::send(fd, sent.data() + done, sent.size() - done, MSG_NOSIGNAL);
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
      }
      ::shutdown(fd, SHUT_WR);
    });
    Bytes received;
    Bytes part(1 << 16);
    for (ssize_t n = 0; (n = ::recv(fd, part.data(), part.size(), 0)) > 0;) {
      received.insert(received.end(), part.begin(), part.begin() + n);
    }
    sender.join();
    EXPECT_TRUE(received == sent) << received.size() << " bytes";
    ::close(fd);
  };
  std::thread client([&] {
    enter_peer();
    const int fd = ::socket(name.sin6_family, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&name), length), 0);
    run_end(fd);
  });
  const int fd = ::accept(listener, nullptr, nullptr);
  run_end(fd);
  client.join();
  ::close(listener);
}

TEST(TunPort, CarriesTcpBetweenTwoKernelsWithSuperFramesAtBothEnds) {
  with_tun([] {
    // This namespace has .60, the other one .61; each has a route to the other's address.
    Bench here(config_of("sluice0", {prefix("10.60.0.0", 24), prefix("fd00:60::", 64),
                                     prefix("10.61.0.1", 32), prefix("fd00:61::1", 128)}));
    ASSERT_TRUE(here.is_open());
    int namespace_fd = -1;
    TunPort there(config_of("sluice1", {prefix("10.61.0.0", 24), prefix("fd00:61::", 64),
                                        prefix("10.60.0.1", 32), prefix("fd00:60::1", 128)}),
                  5);
    in_namespace([&](bool) {
      // One thread is the worker of both queues, so that they share its cache.
      const Status status = there.open(here.caches);
      ASSERT_TRUE(status) << status.error().message;
      const std::string self = "/proc/self/task/" + std::to_string(::gettid()) + "/ns/net";
      namespace_fd = ::open(self.c_str(), O_RDONLY | O_CLOEXEC);
    });
    const auto enter = [&] { ASSERT_EQ(::setns(namespace_fd, CLONE_NEWNET), 0); };
    {
      Wire wire(here.port->queue(0), there.queue(0));
      transfer("10.60.0.1", 5001, enter);
      transfer("fd00:60::1", 5002, enter);
    }
    ::close(namespace_fd);
    for (PortQueue* queue : {&here.port->queue(0), &there.queue(0)}) {
      EXPECT_EQ(queue->counters().rx_errors, 0U);
      EXPECT_EQ(queue->counters().tx_errors, 0U);
      EXPECT_GT(queue->counters().rx_bytes, 16U << 20);
    }
    there.close();
  });
}

}  // namespace
}  // namespace sluice::test::tun_port
