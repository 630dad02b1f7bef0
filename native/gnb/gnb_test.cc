#include "gnb/gnb.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "wire/gtpu.h"

namespace sluice::gnb {
namespace {

constexpr char kGnbAddress[] = "127.0.9.2", kUpfAddress[] = "127.0.9.1";

/// A UPF of one socket, and a "TUN device" that is a pair of datagram sockets.
class GnbTest : public testing::Test {
 protected:
  void SetUp() override {
    upf_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Endpoint any = make_endpoint(kUpfAddress, 0, "").value();
    ASSERT_EQ(bind(upf_, reinterpret_cast<sockaddr*>(&any.storage), any.length), 0);
    socklen_t length = sizeof any.storage;
    ASSERT_EQ(getsockname(upf_, reinterpret_cast<sockaddr*>(&any.storage), &length), 0);
    port_ = ntohs(reinterpret_cast<sockaddr_in*>(&any.storage)->sin_port);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, tun_.data()), 0);
  }
  void TearDown() override {
    gnb_.reset();
    close(upf_);
    close(tun_[0]);
  }

  void open(bool with_tun) {
    GnbConfig config;
    config.bind_address = kGnbAddress;
    config.udp_port = port_;
    UeTunnel ue;
    ue.tun_fd = with_tun ? tun_[1] : -1;
    ue.own_teid = Teid{0x100};
    ue.upf_teid = Teid{0xabcdef01};
    ue.upf = make_endpoint(kUpfAddress, port_, "").value();
    ue.qfi = 9;
    ue.ipv4 = "10.60.0.2";
    ue.ipv6 = "fd00:60::2";
    config.ues = {ue};
    auto opened = Gnb::open(std::move(config));
    ASSERT_TRUE(opened) << opened.error().message;
    gnb_ = std::move(opened).value();
    if (!with_tun) close(tun_[1]);
  }

  std::vector<std::byte> receive(int fd) {
    pollfd wait{fd, POLLIN, 0};
    if (poll(&wait, 1, 5000) != 1) return {};
    std::vector<std::byte> bytes(4096);
    const ssize_t n = recv(fd, bytes.data(), bytes.size(), 0);
    bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return bytes;
  }
  void send_to_gnb(const std::vector<std::byte>& bytes) {
    Endpoint to = make_endpoint(kGnbAddress, port_, "").value();
    ASSERT_EQ(sendto(upf_, bytes.data(), bytes.size(), 0,
                     reinterpret_cast<const sockaddr*>(&to.storage), to.length),
              static_cast<ssize_t>(bytes.size()));
  }

  int upf_ = -1;
  std::uint16_t port_ = 0;
  std::array<int, 2> tun_{-1, -1};
  std::unique_ptr<Gnb> gnb_;
};

TEST_F(GnbTest, WrapsUplinkWithContainerAndQfi) {
  open(true);
  const std::string inner = "an inner packet";
  ASSERT_EQ(send(tun_[0], inner.data(), inner.size(), 0), static_cast<ssize_t>(inner.size()));
  const auto datagram = receive(upf_);
  wire::GtpuHeader header;
  ASSERT_EQ(wire::parse_gtpu(datagram.data(), datagram.size(), header), DropReason::None);
  EXPECT_EQ(header.type, wire::kGtpuGpdu);
  EXPECT_EQ(header.teid, Teid{0xabcdef01});
  EXPECT_TRUE(header.has_psc);
  EXPECT_EQ(header.psc_type, wire::kPscUplink);
  EXPECT_EQ(header.qfi, 9);
  ASSERT_EQ(header.payload_length, inner.size());
  EXPECT_EQ(std::memcmp(datagram.data() + header.payload_offset, inner.data(), inner.size()), 0);
}

TEST_F(GnbTest, HandsDownlinkToTheUeOfTheTeidOnly) {
  open(true);
  std::vector<std::byte> gpdu(8 + 5, std::byte{'x'});
  wire::write_gpdu(gpdu.data(), Teid{0x101}, 5, nullptr);
  send_to_gnb(gpdu);
  wire::write_gpdu(gpdu.data(), Teid{0x100}, 5, nullptr);
  send_to_gnb(gpdu);
  const auto inner = receive(tun_[0]);
  EXPECT_EQ(inner, std::vector<std::byte>(5, std::byte{'x'}));
  EXPECT_EQ(gnb_->counters().unknown_teid, 1u);
  EXPECT_EQ(gnb_->counters().downlink_packets, 1u);
}

TEST_F(GnbTest, AnswersEchoAndCountsMalformed) {
  open(true);
  send_to_gnb({std::byte{0xff}});
  std::vector<std::byte> request(12);
  wire::store32(request.data(), 0x32010004);
  wire::store16(request.data() + 8, 0x1234);
  send_to_gnb(request);
  const auto answer = receive(upf_);
  ASSERT_EQ(answer.size(), wire::kEchoResponseBytes);
  EXPECT_EQ(wire::load8(answer.data() + 1), wire::kGtpuEchoResponse);
  EXPECT_EQ(wire::load16(answer.data() + 8), 0x1234);
  EXPECT_EQ(gnb_->counters().malformed, 1u);
}

TEST_F(GnbTest, LoadSendsExactlyWhatItCounts) {
  open(false);
  LoadConfig load;
  load.packets_per_s = 20000;
  load.seconds = 0.01;
  load.inner_bytes = 64;
  load.flows = 4;
  load.to = "203.0.113.1";
  ASSERT_TRUE(gnb_->start_load(load));
  std::uint64_t received = 0;
  while (gnb_->load_running() || received < gnb_->counters().uplink_packets) {
    pollfd wait{upf_, POLLIN, 0};
    if (poll(&wait, 1, 10) != 1) continue;
    const auto datagram = receive(upf_);
    ASSERT_EQ(datagram.size(), 80u);
    wire::GtpuHeader header;
    ASSERT_EQ(wire::parse_gtpu(datagram.data(), datagram.size(), header), DropReason::None);
    ASSERT_EQ(header.payload_length, 64);
    const std::byte* inner = datagram.data() + header.payload_offset;
    EXPECT_EQ(wire::load32(inner + 12), 0x0a3c0002u);
    EXPECT_EQ(wire::load16(inner + 20), 20000 + received % 4);
    EXPECT_EQ(wire::load64(inner + 28), received);
    ++received;
  }
  EXPECT_GT(received, 0u);
  EXPECT_LE(received, 200u);
  EXPECT_EQ(gnb_->counters().send_failed, 0u);
}

TEST_F(GnbTest, StopsALoadBeforeItsTimeAndStartsAnother) {
  open(false);
  LoadConfig load;
  load.seconds = 3600;
  load.to = "203.0.113.1";
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(gnb_->start_load(load));
    EXPECT_FALSE(gnb_->start_load(load));
    ASSERT_FALSE(receive(upf_).empty());
    gnb_->stop_load();
    EXPECT_FALSE(gnb_->load_running());
    EXPECT_GT(gnb_->load_seconds(), 0);
  }
}

TEST_F(GnbTest, RefusesWithTheFieldThatIsWrong) {
  EXPECT_EQ(make_endpoint("10.0.0.300", 1, "ues[0].upf").error().field, "ues[0].upf");
  open(false);
  LoadConfig load;
  load.to = "somewhere";
  EXPECT_EQ(gnb_->start_load(load).error().field, "to");
  load.to = "203.0.113.1";
  load.inner_bytes = 20;
  EXPECT_EQ(gnb_->start_load(load).error().field, "size");
  GnbConfig second;
  second.bind_address = kGnbAddress;
  second.udp_port = port_;
  EXPECT_EQ(Gnb::open(std::move(second)).error().field, "bind");
  EXPECT_EQ(open_tun("a-name-that-is-too-long").error().field, "device");
}

}  // namespace
}  // namespace sluice::gnb
