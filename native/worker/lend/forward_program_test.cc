// The program as the kernel runs it over single frames, with flows that the test lends by hand.
#include "port/afxdp/forward_program.h"

#include <linux/if_ether.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <time.h>

#include <random>

#include "base/flow_hash.h"
#include "port/afxdp/redirect_program.h"
#include "port/afxdp/veth_pair_test.h"
#include "session/policer.h"
#include "wire/gtpu.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

namespace sluice::test {
namespace {

constexpr std::uint32_t kN3 = 0xc0000201, kGnb = 0xc0000202;  // 192.0.2.1 and .2
constexpr std::uint32_t kUe = 0x0a3c0007, kServer = 0xcb007109;
constexpr std::uint32_t kTeid = 0x12345678;
constexpr std::size_t kOuter = 44, kInner = ETH_HLEN + kOuter;

std::uint32_t raw(std::uint32_t value) { return __builtin_bswap32(value); }

std::uint64_t kernel_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

/// A UDP packet between UE and server.
void write_inner(std::byte* at, std::size_t bytes, bool uplink, std::uint16_t port = 4000) {
  wire::write_ipv4(at, {.source = uplink ? kUe : kServer,
                        .destination = uplink ? kServer : kUe,
                        .total_length = static_cast<std::uint16_t>(bytes)});
  wire::write_udp(at + 20, uplink ? port : 443, uplink ? 443 : port,
                  static_cast<std::uint16_t>(bytes - 20));
}

Bytes uplink_frame(std::size_t bytes = 64, std::uint8_t qfi = 9) {
  Bytes frame(kInner + bytes);
  wire::store16(frame.data() + 12, ETH_P_IP);
  std::byte* const ip = frame.data() + ETH_HLEN;
  const auto udp = static_cast<std::uint16_t>(bytes + kOuter - 20);
  wire::write_ipv4(ip, {.source = kGnb,
                        .destination = kN3,
                        .total_length = static_cast<std::uint16_t>(bytes + kOuter)});
  wire::write_udp(ip + 20, 2152, 2152, udp);
  const wire::PscFields psc{.type = wire::kPscUplink, .qfi = qfi};
  wire::write_gpdu(ip + 28, Teid{kTeid}, static_cast<std::uint16_t>(bytes), &psc);
  write_inner(ip + kOuter, bytes, true);
  return frame;
}

Bytes downlink_frame(std::size_t bytes = 64, std::uint16_t port = 4000) {
  Bytes frame(ETH_HLEN + bytes);
  wire::store16(frame.data() + 12, ETH_P_IP);
  write_inner(frame.data() + ETH_HLEN, bytes, false, port);
  return frame;
}

struct Verdict {
  unsigned action;
  Bytes frame;
};

/// A port's program with one lent flow.
class Lent {
 public:
  explicit Lent(bool uplink) {
    PortConfig config;
    config.role = uplink ? PortRole::Access : PortRole::Core;
    config.addresses = {{{192, 0, 2, 1}}};
    config.ue_pools = {{{{10, 60, 0, 0}}, 16}};
    auto made = LentFlows::create();
    EXPECT_TRUE(made);
    flows = std::move(made).value();
    bpf_attr attr{};
    attr.map_type = BPF_MAP_TYPE_XSKMAP;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    sockets_ = static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
    program_ = load_program(redirect_program(config, 0, sockets_, flows.get()), BPF_PROG_TYPE_XDP);
    EXPECT_GE(program_, 0) << std::strerror(-program_);
    LentFlow& made_entry = entry(uplink);
    made_entry.key = uplink ? raw(kTeid) : raw(kUe);
    made_entry.local = raw(kN3);
    made_entry.ue = raw(kUe);
    made_entry.interface = ::if_nametoindex("port");
    made_entry.bytes_max = 1500;
    made_entry.qfi = LentFlow::kAnyQfi;
    made_entry.credit = 1'000'000;
    made_entry.word = LentFlow::kLent;
    const std::uint8_t link[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
    std::copy_n(link, sizeof link, made_entry.header);
    if (uplink) {
      made_entry.reach[0] = {raw(kServer & 0xffff0000), raw(0xffff0000)};
      made_entry.reach[1] = {raw((kServer & 0xffffff00) + 0x100), raw(0xffffff00)};
      made_entry.reach[2] = LentFlow::kNowhere;
      return;
    }
    auto* const outer = reinterpret_cast<std::byte*>(made_entry.header + ETH_HLEN);
    wire::write_ipv4(outer, {.source = kN3, .destination = kGnb, .total_length = 0});
    wire::store16(outer + 10, 0);
    for (int at = 0; at < 20; at += 2) made_entry.checksum_seed += wire::load16(outer + at);
    wire::write_udp(outer + 20, 0, 2152, 0);
    const wire::PscFields psc{.type = wire::kPscDownlink, .qfi = 9};
    wire::write_gpdu(outer + 28, Teid{kTeid}, 0, &psc);
    for (unsigned i = 0; i < 16; ++i) {
      made_entry.source_ports[i] = __builtin_bswap16(static_cast<std::uint16_t>(3000 + i));
    }
  }
  ~Lent() {
    ::close(program_);
    ::close(sockets_);
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

  LentFlow& entry(bool uplink = true) const {
    return flows->table().at(uplink ? raw(kTeid) : raw(kUe));
  }
  Verdict run(const Bytes& frame) const {
    Bytes out(4096);
    bpf_attr attr{};
    attr.test.prog_fd = static_cast<std::uint32_t>(program_);
    attr.test.data_in = reinterpret_cast<std::uint64_t>(frame.data());
    attr.test.data_size_in = static_cast<std::uint32_t>(frame.size());
    attr.test.data_out = reinterpret_cast<std::uint64_t>(out.data());
    attr.test.data_size_out = static_cast<std::uint32_t>(out.size());
    EXPECT_EQ(::syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr), 0) << std::strerror(errno);
    out.resize(attr.test.data_size_out);
    return {attr.test.retval, out};
  }

  std::unique_ptr<LentFlows> flows;

 private:
  int sockets_ = -1, program_ = -1;
};

void with_lent(bool uplink, const std::function<void(Lent&)>& body) {
  on_veth_pair([&] {
    Lent lent(uplink);
    if (!::testing::Test::HasFailure()) body(lent);
  });
}

/// It goes to the worker as it came (a queue without a socket leaves it to the kernel), marked.
void expect_handed_over(const Lent& lent, const Bytes& frame, std::uint32_t count,
                        bool uplink = true) {
  const Verdict verdict = lent.run(frame);
  LentFlow& entry = lent.entry(uplink);
  EXPECT_EQ(verdict.action, unsigned{XDP_PASS});
  ASSERT_EQ(verdict.frame.size(), frame.size() + sizeof(HandedTag));
  HandedTag tag;
  std::memcpy(&tag, verdict.frame.data(), sizeof tag);
  EXPECT_EQ(tag.mark, entry.key ^ lent.flows->table().secret);
  EXPECT_EQ(tag.count, count);
  EXPECT_EQ(Bytes(verdict.frame.begin() + sizeof tag, verdict.frame.end()), frame);
  EXPECT_EQ(entry.word, std::uint64_t{count} << LentFlow::kHandedShift);
}

TEST(ForwardProgram, TakesOffTheOuterHeader) {
  with_lent(true, [](Lent& lent) {
    const Bytes frame = uplink_frame();
    const Verdict verdict = lent.run(frame);
    EXPECT_EQ(verdict.action, unsigned{XDP_REDIRECT});
    const auto* const link = reinterpret_cast<const std::byte*>(lent.entry().header);
    Bytes expected(link, link + ETH_HLEN);
    expected.insert(expected.end(), frame.begin() + kInner, frame.end());
    EXPECT_EQ(verdict.frame, expected);
    EXPECT_EQ(lent.entry().credit, 1'000'000 - 64);
    EXPECT_EQ(lent.entry().packets, 1U);
    EXPECT_EQ(lent.entry().bytes, 64U);
    EXPECT_EQ(lent.entry().word, LentFlow::kLent);
  });
}

TEST(ForwardProgram, PutsAnOuterHeaderOn) {
  with_lent(false, [](Lent& lent) {
    for (std::uint16_t port = 1; port < 200; ++port) {
      const Bytes frame = downlink_frame(64 + port, port);
      const Verdict verdict = lent.run(frame);
      ASSERT_EQ(verdict.action, unsigned{XDP_REDIRECT}) << port;
      ASSERT_EQ(verdict.frame.size(), frame.size() + kOuter);
      const std::byte* const ip = verdict.frame.data() + ETH_HLEN;
      const std::size_t inner = frame.size() - ETH_HLEN;
      EXPECT_TRUE(wire::ipv4_plain_checksum_good(ip));
      EXPECT_EQ(wire::load16(ip + 2), inner + kOuter);
      EXPECT_EQ(wire::load16(ip + 24), inner + 24);
      EXPECT_EQ(wire::load16(ip + 30), inner + 8);
      EXPECT_EQ(wire::load32(ip + 32), kTeid);
      const auto halves = [](std::uint32_t v) { return std::uint64_t{v << 16 | v >> 16}; };
      const unsigned flow = flow_class(halves(kServer) | halves(kUe) << 32,
                                       17 | std::uint64_t{443} << 16 | std::uint64_t{port} << 32 |
                                           std::uint64_t{kNoQfiLane} << 48);
      EXPECT_EQ(wire::load16(ip + 20), 3000 + flow);
      EXPECT_TRUE(std::equal(frame.begin() + ETH_HLEN, frame.end(),
                             verdict.frame.begin() + static_cast<long>(kInner)));
    }
  });
}

TEST(ForwardProgram, HandsOnWhatItDoesNotKnow) {
  with_lent(true, [](Lent& lent) {
    Bytes other = uplink_frame();
    other[46] = std::byte{1};  // another's TEID
    EXPECT_EQ(lent.run(other).frame, other);
    EXPECT_EQ(lent.entry().word, LentFlow::kLent);
    std::uint32_t count = 0;
    const auto odd = [&](std::size_t at, std::uint8_t value) {
      Bytes frame = uplink_frame();
      frame[at] = std::byte{value};
      lent.entry().word |= LentFlow::kLent;
      expect_handed_over(lent, frame, ++count);
    };
    odd(24, 1);           // outer checksum
    odd(41, 1);           // one of UDP
    odd(57, 0x20);        // an extension behind the container
    odd(kInner, 0x46);    // options
    odd(kInner + 6, 32);  // a fragment
    odd(kInner + 8, 0);   // no hops left
    odd(kInner + 3, 65);  // lengths do not agree
    odd(kInner + 15, 8);  // another's address
    odd(kInner + 16, 7);  // not behind the next hop
    odd(kInner + 18, (kServer >> 8 & 0xff) + 1);
    // The flow stays the worker's.
    for (unsigned i = 0; i < 3; ++i) expect_handed_over(lent, uplink_frame(), ++count);
    lent.entry().word |= LentFlow::kLent;
    lent.flows->table().looks()[kServer >> 24] = 1;
    expect_handed_over(lent, uplink_frame(), ++count);
    lent.flows->table().looks()[kServer >> 24] = 2;
    lent.entry().word |= LentFlow::kLent;
    EXPECT_EQ(lent.run(uplink_frame()).action, unsigned{XDP_REDIRECT});
    lent.entry().bytes_max = 63;
    expect_handed_over(lent, uplink_frame(), ++count);
    lent.entry().bytes_max = 64;
    lent.entry().qfi = 8;
    lent.entry().word |= LentFlow::kLent;
    expect_handed_over(lent, uplink_frame(), ++count);
    lent.entry().qfi = 9;
    lent.entry().word |= LentFlow::kLent;
    EXPECT_EQ(lent.run(uplink_frame()).action, unsigned{XDP_REDIRECT});
  });
}

TEST(ForwardProgram, EndsWithItsCredit) {
  with_lent(true, [](Lent& lent) {
    lent.entry().credit = 200;
    for (unsigned i = 0; i < 3; ++i) {
      EXPECT_EQ(lent.run(uplink_frame()).action, unsigned{XDP_REDIRECT});
    }
    EXPECT_EQ(lent.entry().credit, 8);
    expect_handed_over(lent, uplink_frame(), 1);
    EXPECT_EQ(lent.entry().credit, 8);
    EXPECT_EQ(lent.entry().packets, 3U);
  });
}

TEST(ForwardProgram, LeavesAClaimedFlowAlone) {
  with_lent(true, [](Lent& lent) {
    lent.entry().word = LentFlow::kLent | LentFlow::kClaimed;
    const Verdict verdict = lent.run(uplink_frame());
    EXPECT_EQ(verdict.action, unsigned{XDP_PASS});
    // Whoever has claimed it finds it taken away.
    EXPECT_EQ(lent.entry().word, LentFlow::kClaimed | 1U << LentFlow::kHandedShift);
    EXPECT_EQ(lent.entry().packets, 0U);
  });
}

/// To the µbit, over steps whose lengths the kernel's own clock decides.
TEST(ForwardProgram, PaysAsThePolicerDoes) {
  with_lent(true, [](Lent& lent) {
    std::mt19937 random(7);
    LentFlow& entry = lent.entry();
    unsigned passed = 0, dropped = 0;
    for (unsigned step = 0; step < 4000; ++step) {
      entry.polices = 1;
      entry.credit = 1'000'000;
      std::uint64_t held[2];
      std::uint64_t before[2];
      for (unsigned b = 0; b < 2; ++b) {
        entry.rate_kbps[b] = 1 + random() % 2'000'000;
        entry.depth[b] = bucket_depth(entry.rate_kbps[b]);
        entry.byte_cost[b] = random() % 4 == 0 ? 0 : kMicrobitsPerByte;
        entry.tokens[b] = before[b] = random() % 3 == 0 ? random() % 1'000'000'000 : random() % 16;
      }
      // Now and then the time is ahead of the kernel's, and nothing may come of it.
      const std::uint64_t was =
          random() % 8 == 0 ? kernel_now() + 1'000'000'000 : kernel_now() - random() % 10'000'000;
      entry.refilled_at = was;
      const std::size_t bytes = 64 + random() % 1400;
      const Verdict verdict = lent.run(uplink_frame(bytes));
      const std::uint64_t elapsed = entry.refilled_at - was;
      bool pays = true;
      for (unsigned b = 0; b < 2; ++b) {
        held[b] = refill(before[b], entry.rate_kbps[b], elapsed);
        pays = pays && held[b] >= bytes * entry.byte_cost[b];
      }
      ASSERT_EQ(verdict.action, pays ? unsigned{XDP_REDIRECT} : unsigned{XDP_DROP}) << step;
      for (unsigned b = 0; b < 2; ++b) {
        ASSERT_EQ(entry.tokens[b], held[b] - (pays ? bytes * entry.byte_cost[b] : 0)) << step;
      }
      ++(pays ? passed : dropped);
      ASSERT_EQ(entry.packets, passed);
      ASSERT_EQ(entry.dropped, dropped);
      ASSERT_EQ(entry.word, LentFlow::kLent);
    }
    EXPECT_GT(passed, 100U);
    EXPECT_GT(dropped, 100U);
  });
}

TEST(ForwardProgram, LeavesLongTimesToTheWorker) {
  with_lent(true, [](Lent& lent) {
    LentFlow& entry = lent.entry();
    entry.polices = 1;
    entry.rate_kbps[0] = 1000;
    entry.depth[0] = bucket_depth(1000);
    entry.byte_cost[0] = kMicrobitsPerByte;
    entry.refilled_at = kernel_now() - 5'000'000'000;
    entry.tokens[0] = 5;
    expect_handed_over(lent, uplink_frame(), 1);
    EXPECT_EQ(entry.tokens[0], 5U);
  });
}

}  // namespace
}  // namespace sluice::test
