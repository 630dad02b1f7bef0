// Lent flows between packet sockets on the far ends of two veth pairs, in a network namespace of
// the test's own.
#pragma once
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
#include "worker/datapath_fixture_test.h"

namespace sluice::test {

/// A far end: sends and receives frames. Its driver takes what is redirected to it only where a
/// program is before it, too, or GRO is on.
class FarEnd {
 public:
  FarEnd(const char* device, bool has_program)
      : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    const unsigned interface = ::if_nametoindex(device);
    if (has_program) attach(interface);
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
    for (const int fd : {fd_, link_, program_}) {
      if (fd >= 0) ::close(fd);
    }
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
  void attach(unsigned interface) {
    const bpf_insn pass[] = {instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS),
                             instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
    program_ = load_program(pass, BPF_PROG_TYPE_XDP);
    link_ = attach_program(program_, interface, XDP_FLAGS_DRV_MODE);
    EXPECT_GE(link_, 0);
  }

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

  /// Runs `body` with a node between both far ends.
  void on_wires(const std::function<void()>& body) {
    between_far_ends([&] {
      DatapathTest::SetUp();
      if (!HasFatalFailure()) body();
      DatapathTest::TearDown();
    });
  }
  void between_far_ends(const std::function<void()>& body) {
    const int fd = ::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) GTEST_SKIP() << "no AF_XDP socket: " << std::strerror(errno);
    ::close(fd);
    in_namespace([&](bool has_own) {
      if (!has_own) GTEST_SKIP() << "no right to make a network namespace";
      const std::string queues =
          " numrxqueues " + std::to_string(queues_) + " numtxqueues " + std::to_string(queues_);
      for (const std::string& words : std::initializer_list<std::string>{
               "link add n3" + queues + " type veth peer name ran" + queues,
               "link add n6" + queues + " type veth peer name dn" + queues,
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
        ASSERT_EQ(std::system(("ip " + words).c_str()), 0) << words;
      }
      const FarEnd ran("ran", true), dn("dn", dn_has_program_);
      ran_ = &ran;
      dn_ = &dn;
      body();
    });
  }

  /// Flow QER with a QFI, and a URR of both directions.
  SessionSpec spec(std::int64_t mbr_kbps = 1'000'000, std::uint64_t threshold = 1ull << 30) const {
    return simple_session(teid_, kUe, mbr_kbps, threshold);
  }
  static SessionSpec simple_session(std::uint32_t teid, std::uint32_t ue, std::int64_t mbr_kbps,
                                    std::uint64_t threshold) {
    SessionSpec s = plain_session(teid, ue);
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
      if (frame[ETH_HLEN + 9] != std::byte{IPPROTO_UDP}) continue;  // what the kernel has to say
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
  /// All of it: a query takes the flows back.
  std::uint64_t forwarded_in_all() {
    const SessionSpec same = spec();
    EXPECT_EQ(change(OperationKind::Update, session(), &same, {0}), PrepareStatus::Ok);
    return forwarded();
  }
  std::uint64_t reported(unsigned direction) const {
    std::uint64_t sum = 0;
    for (const Event& event : events_) {
      if (event.kind == EventKind::Usage) sum += event.bytes[direction];
    }
    return sum;
  }

  bool dn_has_program_ = true;
  unsigned queues_ = 1;  ///< of each device
  const FarEnd *ran_ = nullptr, *dn_ = nullptr;
  const std::uint32_t teid_ = direct_teid(7, 3, 1);
  std::uint32_t sent_[2] = {}, next_[2] = {};
  std::uint64_t came_[2] = {}, bytes_[2] = {};
  Bytes last_[2];
};

}  // namespace sluice::test
