// Frames between an AF_XDP socket on one end of a veth pair and a packet socket on the other.
#include "port/afxdp/xdp_socket.h"

#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>

#include "port/afxdp/redirect_program.h"
#include "port/afxdp/veth_pair_test.h"
#include "port/bpf.h"

namespace sluice::test {
namespace {

constexpr std::uint32_t kPackets = 4096;
constexpr unsigned kBurst = 64;
constexpr IpAddress kN3{{192, 0, 2, 1}};

/// A frame of GTP-U to the port, told apart by a number.
Bytes frame_of(unsigned number, std::size_t size = 100) {
  Bytes frame(ETH_HLEN, std::byte{0x02});
  wire::store16(frame.data() + 12, ETH_P_IP);
  Bytes packet = numbered_packet(number, size - ETH_HLEN);
  std::memcpy(packet.data() + 16, kN3.bytes.data(), 4);
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

/// The port's end: a socket on its one queue, with the program before the device.
class Bench {
 public:
  Bench() : pool(kPackets, 1) {
    auto opened = XdpSocket::open(pool.pool->cache(0), ::if_nametoindex("port"), 0, false);
    EXPECT_TRUE(opened) << opened.error().message;
    if (!opened) return;
    socket = std::move(opened).value();
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.map_type = BPF_MAP_TYPE_XSKMAP;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    map_ = static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
    const std::uint32_t queue = 0;
    const int fd = socket->fd();
    std::memset(&attr, 0, sizeof attr);
    attr.map_fd = static_cast<std::uint32_t>(map_);
    attr.key = reinterpret_cast<std::uint64_t>(&queue);
    attr.value = reinterpret_cast<std::uint64_t>(&fd);
    EXPECT_EQ(::syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof attr), 0);
    PortConfig config;
    config.addresses = {kN3};
    program_ = load_program(redirect_program(config, 0, map_), BPF_PROG_TYPE_XDP);
    link_ = attach_program(program_, ::if_nametoindex("port"), XDP_FLAGS_SKB_MODE);
    EXPECT_GE(link_, 0) << std::strerror(-link_);
  }
  ~Bench() {
    for (const int fd : {link_, program_, map_}) ::close(fd);
    socket.reset();
    EXPECT_EQ(pool.pool->available(), kPackets);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  Bytes receive_one() {
    for (unsigned tries = 0; tries < 200; ++tries) {
      Packet* packet = nullptr;
      if (socket->receive(&packet, 1) == 1) {
        Bytes frame = bytes_of(*packet);
        pool.pool->cache(0).free(&packet, 1);
        return frame;
      }
      pollfd wait{socket->fd(), POLLIN, 0};
      ::poll(&wait, 1, 10);
    }
    return {};
  }
  XdpFrame frame_at(const Bytes& octets, std::uint16_t offset) {
    Packet* packet = nullptr;
    EXPECT_EQ(pool.pool->cache(0).allocate(&packet, 1), 1U);
    std::copy(octets.begin(), octets.end(), reinterpret_cast<std::byte*>(packet) + offset);
    return {packet, offset, static_cast<std::uint16_t>(octets.size())};
  }

  PoolFixture pool;
  std::unique_ptr<XdpSocket> socket;

 private:
  int map_ = -1;
  int program_ = -1;
  int link_ = -1;
};

TEST(XdpSocket, ReceivesFramesIntoPacketsOfThePoolForEver) {
  on_veth_pair([] {
    Bench bench;
    const VethPeer peer;
    // More than the pool has, so that packets go round.
    for (unsigned i = 0; i < 3 * kPackets; ++i) {
      const Bytes frame = frame_of(i, i % 2 == 0 ? 100 : 1514);
      ASSERT_TRUE(peer.put(frame));
      ASSERT_EQ(bench.receive_one(), frame) << i;
    }
    EXPECT_EQ(bench.socket->dropped(), 0U);
  });
}

TEST(XdpSocket, SendsFramesInOrderAndGetsPacketsBack) {
  on_veth_pair([] {
    Bench bench;
    const VethPeer peer;
    for (unsigned i = 0; i < 2 * kPackets; i += kBurst) {
      std::vector<XdpFrame> frames;
      for (unsigned k = 0; k < kBurst; ++k) {
        frames.push_back(bench.frame_at(frame_of(i + k), (k & 1) != 0 ? 2 : 70));
      }
      ASSERT_GE(bench.socket->room(), kBurst);
      bench.socket->send(frames.data(), kBurst);
      for (unsigned k = 0; k < kBurst; ++k) {
        bench.socket->flush();
        ASSERT_EQ(peer.take(), frame_of(i + k)) << i + k;
      }
    }
  });
}

TEST(XdpSocket, SaysHowManyFramesItsRingTakes) {
  on_veth_pair([] {
    Bench bench;
    for (unsigned i = 0; i < XdpSocket::kRing; ++i) {
      ASSERT_EQ(bench.socket->room(), XdpSocket::kRing - i);
      const XdpFrame frame = bench.frame_at(frame_of(i), 70);
      bench.socket->send(&frame, 1);
    }
    EXPECT_EQ(bench.socket->room(), 0U);
  });
}

TEST(XdpSocket, NamesTheQueueThatIsTaken) {
  on_veth_pair([] {
    Bench bench;
    PoolFixture pool(kPackets, 1);
    const auto second = XdpSocket::open(pool.pool->cache(0), ::if_nametoindex("port"), 0, false);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().field, "device");
    EXPECT_NE(second.error().message.find("queue 0 of port"), std::string::npos);
    EXPECT_EQ(pool.pool->available(), kPackets);
  });
}

}  // namespace
}  // namespace sluice::test
