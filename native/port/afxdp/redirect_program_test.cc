// The program as the kernel runs it: over single frames, and before a device.
#include "port/afxdp/redirect_program.h"

#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <initializer_list>
#include <optional>
#include <string>

#include "port/bpf.h"
#include "port/namespace_test.h"

namespace sluice {
namespace {

using Frame = std::vector<std::uint8_t>;

long bpf(bpf_cmd command, bpf_attr& attr) {
  return ::syscall(SYS_bpf, command, &attr, sizeof attr);
}

bpf_attr empty_attr() {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  return attr;
}

IpAddress v4(std::initializer_list<std::uint8_t> octets) {
  IpAddress address;
  std::copy(octets.begin(), octets.end(), address.bytes.begin());
  return address;
}
/// fd00:<first>:…:<last>
IpAddress v6(std::uint8_t first, std::uint8_t last) {
  IpAddress address = v4({0xfd, 0, 0, first});
  address.bytes[15] = last;
  address.is_v6 = true;
  return address;
}

void put16(Frame& frame, std::size_t at, unsigned value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}

struct Ipv4Options {
  std::uint8_t protocol = IPPROTO_UDP;
  unsigned fragment = 0;  // offset and flags as the header has them
  unsigned words = 5;     // of the header
};

Frame ipv4_frame(const IpAddress& to, unsigned udp_port, const Ipv4Options& options = {}) {
  Frame frame(100, 0);
  put16(frame, 12, 0x0800);
  frame[14] = static_cast<std::uint8_t>(0x40 | options.words);
  put16(frame, 20, options.fragment);
  frame[23] = options.protocol;
  std::copy_n(to.bytes.begin(), 4, frame.begin() + 30);
  put16(frame, 14 + std::size_t{options.words} * 4 + 2, udp_port);
  return frame;
}

Frame ipv6_frame(const IpAddress& to, unsigned udp_port) {
  Frame frame(100, 0);
  put16(frame, 12, 0x86dd);
  frame[20] = IPPROTO_UDP;
  std::copy_n(to.bytes.begin(), 16, frame.begin() + 38);
  put16(frame, 56, udp_port);
  return frame;
}

Frame ipv6_fragment(const IpAddress& to, unsigned offset, unsigned udp_port) {
  Frame frame = ipv6_frame(to, 0);
  frame[20] = IPPROTO_FRAGMENT;
  frame[54] = IPPROTO_UDP;
  put16(frame, 56, offset | 1);
  put16(frame, 64, udp_port);
  return frame;
}

/// A loaded program with a socket for the first queue; closed with it.
class Loaded {
 public:
  explicit Loaded(const PortConfig& config, bool has_socket = true, unsigned vlan = 0) {
    bpf_attr attr = empty_attr();
    attr.map_type = BPF_MAP_TYPE_XSKMAP;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 4;
    map_ = static_cast<int>(bpf(BPF_MAP_CREATE, attr));
    if (map_ < 0) return;
    socket_ = ::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    program_ = load_program(redirect_program(config, vlan, map_), BPF_PROG_TYPE_XDP);
    if (!has_socket || socket_ < 0) return;
    const std::uint32_t queue = 0;
    attr = empty_attr();
    attr.map_fd = static_cast<std::uint32_t>(map_);
    attr.key = reinterpret_cast<std::uint64_t>(&queue);
    attr.value = reinterpret_cast<std::uint64_t>(&socket_);
    EXPECT_EQ(bpf(BPF_MAP_UPDATE_ELEM, attr), 0) << std::strerror(errno);
  }
  ~Loaded() {
    for (const int fd : {program_, socket_, map_}) {
      if (fd >= 0) ::close(fd);
    }
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  int program() const { return program_; }

  bool redirects(const Frame& frame) const {
    bpf_attr attr = empty_attr();
    attr.test.prog_fd = static_cast<std::uint32_t>(program_);
    attr.test.data_in = reinterpret_cast<std::uint64_t>(frame.data());
    attr.test.data_size_in = static_cast<std::uint32_t>(frame.size());
    EXPECT_EQ(bpf(BPF_PROG_TEST_RUN, attr), 0) << std::strerror(errno);
    EXPECT_TRUE(attr.test.retval == XDP_REDIRECT || attr.test.retval == XDP_PASS);
    return attr.test.retval == XDP_REDIRECT;
  }

 private:
  int map_ = -1;
  int socket_ = -1;
  int program_ = -1;
};

/// Why this kernel or user cannot have AF_XDP; nothing if it can.
std::optional<std::string> missing() {
  const int fd = ::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::string("no AF_XDP socket: ") + std::strerror(errno);
  ::close(fd);
  bpf_attr attr = empty_attr();
  attr.map_type = BPF_MAP_TYPE_XSKMAP;
  attr.key_size = attr.value_size = 4;
  attr.max_entries = 1;
  const long map = bpf(BPF_MAP_CREATE, attr);
  if (map < 0) return std::string("no map of AF_XDP sockets: ") + std::strerror(errno);
  ::close(static_cast<int>(map));
  return std::nullopt;
}

class RedirectProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = missing()) GTEST_SKIP() << *reason;
  }
};

PortConfig access_port(std::vector<IpAddress> addresses) {
  PortConfig config;
  config.role = PortRole::Access;
  config.addresses = std::move(addresses);
  return config;
}

const IpAddress kN3 = v4({192, 0, 2, 1});
const IpAddress kOther = v4({192, 0, 2, 3});

TEST_F(RedirectProgram, TakesGtpUToTheAddressesOfAnAccessPort) {
  const Loaded loaded(access_port({kN3, v6(3, 1)}));
  ASSERT_GE(loaded.program(), 0) << std::strerror(-loaded.program());
  EXPECT_TRUE(loaded.redirects(ipv4_frame(kN3, 2152)));
  EXPECT_TRUE(loaded.redirects(ipv4_frame(kN3, 2152, {.words = 7})));
  EXPECT_TRUE(loaded.redirects(ipv6_frame(v6(3, 1), 2152)));
}

TEST_F(RedirectProgram, LeavesTheKernelItsOwnTraffic) {
  const Loaded loaded(access_port({kN3, v6(3, 1)}));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kN3, 8805)));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kN3, 2152, {.protocol = IPPROTO_TCP})));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kOther, 2152)));
  EXPECT_FALSE(loaded.redirects(ipv6_frame(v6(3, 1), 8805)));
  EXPECT_FALSE(loaded.redirects(ipv6_frame(v6(3, 2), 2152)));
  EXPECT_FALSE(loaded.redirects(ipv6_frame(v6(4, 1), 2152)));
  Frame arp(100, 0);
  put16(arp, 12, 0x0806);
  EXPECT_FALSE(loaded.redirects(arp));
  // Destination and UDP port lie where they do behind an Ethernet header alone.
  Frame tagged = ipv4_frame(kN3, 2152);
  put16(tagged, 12, 0x8100);
  EXPECT_FALSE(loaded.redirects(tagged));
}

TEST_F(RedirectProgram, TakesFragmentsOfGtpU) {
  const Loaded loaded(access_port({kN3, v6(3, 1)}));
  constexpr unsigned kMore = 0x2000;
  EXPECT_TRUE(loaded.redirects(ipv4_frame(kN3, 2152, {.fragment = kMore})));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kN3, 8805, {.fragment = kMore})));
  EXPECT_TRUE(loaded.redirects(ipv4_frame(kN3, 0, {.fragment = 1})));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kOther, 0, {.fragment = 1})));
  EXPECT_TRUE(loaded.redirects(ipv6_fragment(v6(3, 1), 0, 2152)));
  EXPECT_FALSE(loaded.redirects(ipv6_fragment(v6(3, 1), 0, 8805)));
  EXPECT_TRUE(loaded.redirects(ipv6_fragment(v6(3, 1), 8, 0)));
}

TEST_F(RedirectProgram, PassesFramesThatAreTooShortOrNoHeader) {
  const Loaded loaded(access_port({kN3, v6(3, 1)}));
  for (const Frame& whole : {ipv4_frame(kN3, 2152), ipv4_frame(kN3, 2152, {.words = 15}),
                             ipv6_frame(v6(3, 1), 2152), ipv6_fragment(v6(3, 1), 0, 2152)}) {
    ASSERT_TRUE(loaded.redirects(whole));
    for (std::size_t length = 14; length < 38; ++length) {
      EXPECT_FALSE(loaded.redirects(Frame(whole.begin(), whole.begin() + length))) << length;
    }
  }
  Frame short_header = ipv4_frame(kN3, 2152);
  short_header[14] = 0x44;
  EXPECT_FALSE(loaded.redirects(short_header));
}

TEST_F(RedirectProgram, ServesOneFamilyAlone) {
  const Loaded only_v4(access_port({kN3}));
  EXPECT_TRUE(only_v4.redirects(ipv4_frame(kN3, 2152)));
  EXPECT_FALSE(only_v4.redirects(ipv6_frame(v6(3, 1), 2152)));
  const Loaded only_v6(access_port({v6(3, 1)}));
  EXPECT_FALSE(only_v6.redirects(ipv4_frame(kN3, 2152)));
  EXPECT_TRUE(only_v6.redirects(ipv6_frame(v6(3, 1), 2152)));
}

TEST_F(RedirectProgram, TakesWhatGoesToUePoolsOfACorePort) {
  PortConfig config;
  config.role = PortRole::Core;
  config.ue_pools = {{v4({10, 60, 0, 0}), 15}, {v6(0x60, 0), 29}};
  const Loaded loaded(config);
  ASSERT_GE(loaded.program(), 0) << std::strerror(-loaded.program());
  EXPECT_TRUE(loaded.redirects(ipv4_frame(v4({10, 60, 0, 1}), 53)));
  EXPECT_TRUE(loaded.redirects(ipv4_frame(v4({10, 61, 255, 255}), 0, {.protocol = IPPROTO_TCP})));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(v4({10, 62, 0, 1}), 53)));
  EXPECT_TRUE(loaded.redirects(ipv6_frame(v6(0x67, 9), 53)));
  EXPECT_FALSE(loaded.redirects(ipv6_frame(v6(0x68, 9), 53)));
}

TEST_F(RedirectProgram, TakesItsOwnVlanAlone) {
  constexpr unsigned kVlan = 100;
  const Loaded loaded(access_port({kN3, v6(3, 1)}), true, kVlan);
  ASSERT_GE(loaded.program(), 0) << std::strerror(-loaded.program());
  const auto tagged = [](Frame frame, unsigned tag) {
    const Frame octets{0x81, 0x00, static_cast<std::uint8_t>(tag >> 8),
                       static_cast<std::uint8_t>(tag)};
    frame.insert(frame.begin() + 12, octets.begin(), octets.end());
    return frame;
  };
  constexpr unsigned kPriority = 0xa000;
  EXPECT_TRUE(loaded.redirects(tagged(ipv4_frame(kN3, 2152), kVlan)));
  EXPECT_TRUE(loaded.redirects(tagged(ipv4_frame(kN3, 2152), kVlan | kPriority)));
  EXPECT_TRUE(loaded.redirects(tagged(ipv6_frame(v6(3, 1), 2152), kVlan)));
  EXPECT_FALSE(loaded.redirects(tagged(ipv4_frame(kN3, 8805), kVlan)));
  EXPECT_FALSE(loaded.redirects(tagged(ipv4_frame(kN3, 2152), kVlan + 1)));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kN3, 2152)));
  const Frame whole = tagged(ipv4_frame(kN3, 2152), kVlan);
  EXPECT_FALSE(loaded.redirects(Frame(whole.begin(), whole.begin() + 16)));
}

TEST_F(RedirectProgram, TakesEspWhereItIsToldTo) {
  constexpr unsigned kEspUdpPort = 4500;
  PortConfig config = access_port({kN3, v6(3, 1)});
  Frame over_ipv6 = ipv6_frame(v6(3, 1), 0);
  over_ipv6[20] = IPPROTO_ESP;
  {
    const Loaded loaded(config);
    EXPECT_FALSE(loaded.redirects(ipv4_frame(kN3, 0, {.protocol = IPPROTO_ESP})));
    EXPECT_FALSE(loaded.redirects(ipv4_frame(kN3, kEspUdpPort)));
    EXPECT_FALSE(loaded.redirects(over_ipv6));
  }
  config.esp = true;
  const Loaded loaded(config);
  ASSERT_GE(loaded.program(), 0) << std::strerror(-loaded.program());
  EXPECT_TRUE(loaded.redirects(ipv4_frame(kN3, 0, {.protocol = IPPROTO_ESP})));
  EXPECT_TRUE(loaded.redirects(ipv4_frame(kN3, kEspUdpPort)));
  EXPECT_TRUE(loaded.redirects(ipv6_frame(v6(3, 1), kEspUdpPort)));
  EXPECT_TRUE(loaded.redirects(over_ipv6));
  EXPECT_TRUE(loaded.redirects(ipv4_frame(kN3, 2152)));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kOther, 0, {.protocol = IPPROTO_ESP})));
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kN3, 500)));
}

TEST_F(RedirectProgram, LeavesAQueueWithoutSocketToTheKernel) {
  const Loaded loaded(access_port({kN3}), false);
  EXPECT_FALSE(loaded.redirects(ipv4_frame(kN3, 2152)));
}

TEST_F(RedirectProgram, StandsBeforeADeviceUntilItsLinkIsClosed) {
  test::in_namespace([](bool has_own) {
    if (!has_own) GTEST_SKIP() << "no right to make a network namespace";
    const Loaded loaded(access_port({kN3}));
    const unsigned device = ::if_nametoindex("lo");
    const int link = attach_program(loaded.program(), device, XDP_FLAGS_SKB_MODE);
    ASSERT_GE(link, 0) << std::strerror(-link);
    EXPECT_EQ(attach_program(loaded.program(), device, XDP_FLAGS_SKB_MODE), -EBUSY);
    ::close(link);
    const int again = attach_program(loaded.program(), device, XDP_FLAGS_SKB_MODE);
    EXPECT_GE(again, 0) << std::strerror(-again);
    ::close(again);
  });
}

}  // namespace
}  // namespace sluice
