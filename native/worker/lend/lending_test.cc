// Flows that the driver forwards, between packet sockets on the far ends of two veth pairs: what
// comes out is what the worker alone would let out, in order, and all of it is counted.
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>

#include "port/afxdp/redirect_program.h"
#include "port/bpf.h"
#include "port/namespace_test.h"
#include "wire/checksum.h"
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

/// A far end: sends and receives frames. Its driver takes what is redirected to it only where a
/// program is before it, too.
class FarEnd {
 public:
  explicit FarEnd(const char* device) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    const bpf_insn pass[] = {instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS),
                             instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
    program_ = load_program(pass, BPF_PROG_TYPE_XDP);
    const unsigned interface = ::if_nametoindex(device);
    link_ = attach_program(program_, interface, XDP_FLAGS_DRV_MODE);
    EXPECT_GE(link_, 0);
    const int on = 1, room = 8 << 20;
    ::setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    sockaddr_ll name{};
    name.sll_family = AF_PACKET;
    name.sll_protocol = htons(ETH_P_IP);
    name.sll_ifindex = static_cast<int>(interface);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  }
  ~FarEnd() {
    for (const int fd : {fd_, link_, program_}) ::close(fd);
  }
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  void send(std::uint8_t from, std::uint8_t to, const Bytes& packet) const {
    Bytes frame(ETH_HLEN);
    frame[0] = frame[6] = std::byte{2};
    frame[5] = std::byte{to};
    frame[11] = std::byte{from};
    wire::store16(frame.data() + 12, ETH_P_IP);
    frame.insert(frame.end(), packet.begin(), packet.end());
    ASSERT_EQ(::send(fd_, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }
  /// All that has come.
  std::vector<Bytes> take() const {
    std::vector<Bytes> frames;
    for (;;) {
      Bytes frame(4096);
      const ssize_t got = ::recv(fd_, frame.data(), frame.size(), MSG_DONTWAIT);
      if (got <= 0) return frames;
      frame.resize(static_cast<std::size_t>(got));
      frames.push_back(std::move(frame));
    }
  }

 private:
  int fd_ = -1, program_ = -1, link_ = -1;
};

class LendingTest : public DatapathTest {
 protected:
  static constexpr unsigned kWarm = 400;  ///< packets after which a flow is lent for certain

  void SetUp() override {}
  void TearDown() override {}
  void configure(DatapathConfig& config) const override {
    for (PortConfig& port : config.ports) {
      port.driver = "afxdp";
      port.forward_in_driver = true;
      port.device = port.name;
      port.mtu = 0;
    }
    config.ports[0].addresses = {v4(kN3)};
    config.ports[1].ue_pools = {{v4(kUe & 0xffff0000), 16}};
  }

  void on_wires(const std::function<void()>& body) {
    const int fd = ::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) GTEST_SKIP() << "no AF_XDP socket: " << std::strerror(errno);
    ::close(fd);
    in_namespace([&](bool has_own) {
      if (!has_own) GTEST_SKIP() << "no right to make a network namespace";
      for (const char* const words : {
               "link add n3 type veth peer name ran",
               "link add n6 type veth peer name dn",
               "link set n3 address 02:00:00:00:00:03 mtu 1600 up",
               "link set ran address 02:00:00:00:00:13 mtu 1600 up",
               "link set n6 address 02:00:00:00:00:06 up",
               "link set dn address 02:00:00:00:00:16 up",
               "address add 10.0.0.1/24 dev n3",
               "neigh add 10.0.0.2 lladdr 02:00:00:00:00:13 dev n3",
               "address add 198.51.100.1/24 dev n6",
               "neigh add 198.51.100.2 lladdr 02:00:00:00:00:16 dev n6",
               "route add default via 198.51.100.2 dev n6",
           }) {
        ASSERT_EQ(std::system((std::string("ip ") + words).c_str()), 0) << words;
      }
      const FarEnd ran("ran"), dn("dn");
      ran_ = &ran;
      dn_ = &dn;
      DatapathTest::SetUp();
      if (!HasFatalFailure()) {
        teid_ = direct_teid(7, 3, 1);
        body();
      }
      DatapathTest::TearDown();
    });
  }

  /// Flow QER with a QFI, and a URR of both directions.
  SessionSpec spec(std::int64_t mbr_kbps = 1'000'000, std::uint64_t threshold = 1ull << 30) const {
    SessionSpec s = plain_session(teid_);
    QerSpec qer;
    qer.qfi = 9;
    qer.uplink_mbr = qer.downlink_mbr = mbr_kbps;
    s.qers = {qer};
    UrrSpec urr;
    urr.threshold[0] = threshold;
    s.urrs = {urr};
    for (PdrSpec& pdr : s.pdrs) {
      pdr.qers = {0};
      pdr.urrs = {0};
    }
    return s;
  }
  SessionIndex session() const { return index_of(7, 3); }

  static Bytes numbered(Udp udp, std::uint32_t number) {
    Bytes packet = ipv4(udp);
    wire::store32(packet.data() + 28, number);
    return packet;
  }
  /// Sends the next packets, so many at once, and takes what came of them.
  void uplink(unsigned count, std::uint16_t bytes = 100, unsigned at_once = 1) {
    for (unsigned i = 0; i < count; ++i) {
      ran_->send(0x13, 3, gtpu(teid_, numbered({.bytes = bytes}, sent_[0]++)));
      if (i % at_once != at_once - 1) continue;
      path_->step();
      collect_events();
      take(*dn_, 0, ETH_HLEN);
    }
    settle();
  }
  void downlink(unsigned count, std::uint16_t bytes = 100) {
    for (unsigned i = 0; i < count; ++i) {
      dn_->send(0x16, 6,
                numbered({.source = kServer, .destination = kUe, .bytes = bytes}, sent_[1]++));
      path_->step();
      collect_events();
      take(*ran_, 1, ETH_HLEN + 44);
    }
    settle();
  }
  void settle() {
    for (unsigned i = 0; i < 10; ++i) path_->step();
    collect_events();
    take(*dn_, 0, ETH_HLEN);
    take(*ran_, 1, ETH_HLEN + 44);
  }
  void take(const FarEnd& end, unsigned direction, std::size_t inner) {
    for (const Bytes& frame : end.take()) {
      ASSERT_GT(frame.size(), inner + 32);
      const std::uint32_t number = wire::load32(frame.data() + inner + 28);
      // Some may be missing, none is late.
      ASSERT_GE(number, next_[direction]);
      next_[direction] = number + 1;
      ++came_[direction];
      bytes_[direction] += frame.size() - inner;
      last_[direction] = frame;
    }
  }
  std::uint64_t forwarded() const { return path_->statistics().forwarded_in_driver; }
  std::uint64_t reported(unsigned direction) const {
    std::uint64_t sum = 0;
    for (const Event& event : events_) {
      if (event.kind == EventKind::Usage) sum += event.bytes[direction];
    }
    return sum;
  }

  const FarEnd *ran_ = nullptr, *dn_ = nullptr;
  std::uint32_t teid_ = 0;
  std::uint32_t sent_[2] = {}, next_[2] = {};
  std::uint64_t came_[2] = {}, bytes_[2] = {};
  Bytes last_[2];
};

TEST_F(LendingTest, ForwardsBothDirectionsAndCountsThem) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    uplink(kWarm);
    downlink(kWarm);
    EXPECT_GT(path_->statistics().lent_flows, 1U);
    const std::uint64_t before = forwarded();
    uplink(1000);
    downlink(1000, 600);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_GE(forwarded() - before, 1900U);
    EXPECT_EQ(path_->statistics().lent_flows, 0U);
    for (unsigned d = 0; d < 2; ++d) {
      EXPECT_EQ(came_[d], sent_[d]);
      EXPECT_EQ(reported(d), bytes_[d]);
    }
    conserve();
    // Nobody's any more.
    const std::uint64_t forwarded_before = forwarded();
    uplink(50);
    EXPECT_EQ(forwarded(), forwarded_before);
    EXPECT_EQ(came_[0] + 50, sent_[0]);
  });
}

TEST_F(LendingTest, WritesTheHeaderThatTheWorkerWrites) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    downlink(1);
    const Bytes by_worker = last_[1];
    for (unsigned i = 0; i < 2 * kWarm; ++i) {
      downlink(1);
      Bytes frame = last_[1];
      ASSERT_GT(frame.size(), std::size_t{ETH_HLEN + 44 + 32});
      wire::store32(frame.data() + ETH_HLEN + 44 + 28, 0);
      ASSERT_EQ(frame, by_worker);
    }
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_GT(forwarded(), kWarm / 2);
  });
}

TEST_F(LendingTest, KeepsOrderWhileCreditsEnd) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec(1'000'000, 30'000)), PrepareStatus::Ok);
    for (unsigned i = 0; i < 20; ++i) {
      uplink(200);
      downlink(100, 300);
    }
    EXPECT_GT(forwarded(), 1000U);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    for (unsigned d = 0; d < 2; ++d) {
      EXPECT_EQ(came_[d], sent_[d]);
      EXPECT_EQ(reported(d), bytes_[d]);
    }
    // A report each 30,000 bytes, met to the packet.
    std::uint64_t least = ~0ull, reports = 0;
    for (const Event& event : events_) {
      if (event.kind != EventKind::Usage || event.triggers != kTriggerVolumeThreshold) continue;
      ++reports;
      least = std::min(least, event.bytes[0] + event.bytes[1]);
      EXPECT_LT(event.bytes[0] + event.bytes[1], 30'300U);
    }
    EXPECT_GE(least, 30'000U);
    EXPECT_EQ(reports, (bytes_[0] + bytes_[1]) / 30'300);
  });
}

/// More at once than the worker receives in a turn, so that some always wait for it while others
/// come.
TEST_F(LendingTest, KeepsOrderWhilePacketsWait) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec(1'000'000, 30'000)), PrepareStatus::Ok);
    for (unsigned i = 0; i < 20; ++i) {
      uplink(600, 100, 40);
      uplink(100);
    }
    EXPECT_GT(forwarded(), 1000U);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(came_[0], sent_[0]);
    EXPECT_EQ(reported(0), bytes_[0]);
  });
}

/// A gNB that sends checksums of UDP: the program does not take its packets.
TEST_F(LendingTest, GivesUpFlowsThatItCannotLend) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    const auto send = [&] {
      Bytes packet = gtpu(teid_, numbered({.bytes = 100}, sent_[0]++));
      const std::uint32_t sum =
          wire::checksum_partial(packet.data() + 20, packet.size() - 20,
                                 (kGnb >> 16) + (kGnb & 0xffff) + (kN3 >> 16) + (kN3 & 0xffff) +
                                     17 + static_cast<std::uint32_t>(packet.size() - 20));
      // 0 would say that there is none (RFC 768).
      const std::uint16_t checksum = wire::fold(sum);
      wire::store16(packet.data() + 26, checksum == 0 ? 0xffff : checksum);
      ran_->send(0x13, 3, packet);
      path_->step();
      take(*dn_, 0, ETH_HLEN);
    };
    while (path_->statistics().lent_flows == 0) send();
    // News of next hops may take the place away, too, and then it is given once more.
    for (unsigned round = 0; round < 5 && path_->statistics().lent_flows != 0; ++round) {
      while (path_->statistics().lent_flows != 0) send();
      for (unsigned i = 0; i < 500; ++i) send();
    }
    settle();
    EXPECT_EQ(path_->statistics().lent_flows, 0U);
    EXPECT_EQ(forwarded(), 0U);
    EXPECT_EQ(came_[0], sent_[0]);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(reported(0), bytes_[0]);
  });
}

TEST_F(LendingTest, HoldsToTheRate) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec(8'000)), PrepareStatus::Ok);
    uplink(kWarm);
    EXPECT_GT(path_->statistics().lent_flows, 0U);
    const Nanoseconds start = Clock::machine().now();
    const std::uint64_t bytes_before = bytes_[0];
    uplink(5000, 1000);
    const Nanoseconds elapsed = Clock::machine().now() - start;
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    settle();
    EXPECT_EQ(reported(0), bytes_[0]);
    EXPECT_EQ(dropped(DropReason::MbrExceeded), sent_[0] - came_[0]);
    EXPECT_GT(dropped(DropReason::MbrExceeded), 0U);
    EXPECT_GT(forwarded(), 0U);
    // 8 Mbit/s are a byte each microsecond, and the bucket holds 50 ms of it.
    // Two clocks tell the time, which differ by far less than a hundredth.
    EXPECT_LE(bytes_[0] - bytes_before, 50'000 + elapsed / 1000 + elapsed / 100'000 + 1);
  });
}

TEST_F(LendingTest, TakesFlowsBackForChanges) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    downlink(kWarm);
    SessionSpec moved = spec();
    for (unsigned i = 0; i < 10; ++i) {
      moved.fars[1].teid = 0x5000 + i;
      ASSERT_EQ(update(session(), moved), PrepareStatus::Ok);
      downlink(100);
      EXPECT_EQ(wire::load32(last_[1].data() + ETH_HLEN + 32), 0x5000 + i);
      const std::uint64_t before = bytes_[1];
      ASSERT_EQ(change(OperationKind::Update, session(), &moved, {0}), PrepareStatus::Ok);
      EXPECT_EQ(reported(1), before);
    }
    EXPECT_GT(forwarded(), 500U);
    // A closed gate.
    moved.qers[0].downlink_closed = true;
    const std::uint64_t came = came_[1];
    ASSERT_EQ(update(session(), moved), PrepareStatus::Ok);
    downlink(100);
    EXPECT_EQ(came_[1], came);
    EXPECT_EQ(dropped(DropReason::GateClosed), 100U);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(reported(1), bytes_[1]);
  });
}

TEST_F(LendingTest, LeavesOddPacketsToTheWorker) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    uplink(kWarm);
    const auto spoofed = gtpu(teid_, ipv4({.source = kUe + 1}));
    for (unsigned i = 0; i < 20; ++i) {
      ran_->send(0x13, 3, spoofed);
      uplink(60);
    }
    EXPECT_EQ(dropped(DropReason::SpoofedSource), 20U);
    EXPECT_EQ(came_[0], sent_[0]);
    EXPECT_GT(forwarded(), 500U);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(reported(0), bytes_[0]);
  });
}

}  // namespace
}  // namespace sluice::test
