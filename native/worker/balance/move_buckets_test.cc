// Buckets change their worker while packets pass: nothing is lost, overtaken or counted twice, and
// what sessions hold and wait for goes along.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "worker/workers_fixture_test.h"

namespace sluice::test {
namespace {

constexpr unsigned kSessions = 8;

class MoveBucketsTest : public WorkersTest {
 protected:
  void SetUp() override {
    WorkersTest::SetUp();
    if (workers() < 2) GTEST_SKIP() << "one core: there is nobody to move to";
  }
  unsigned owner(unsigned n) const { return path_->bucket_owners()[n]; }

  /// Until it is done: a report that nobody has taken yet puts it off.
  void move(std::vector<std::uint8_t> buckets, unsigned to) {
    BucketMove moved;
    do {
      collect_events();
      moved = path_->move_buckets(buckets, to);
    } while (moved == BucketMove::Busy);
    ASSERT_EQ(moved, BucketMove::Done);
  }
  /// What left by a queue; of each session in order, without a gap.
  void take(unsigned queue) {
    for (const Bytes& b : collect(1, queue)) {
      const unsigned n = wire::load32(b.data() + 12) - kUe;
      ASSERT_LT(n, kSessions);
      ASSERT_EQ(wire::load32(b.data() + kTagOffset), next_[0][n]++) << "uplink of " << n;
    }
    if (path_->ports()[0]->config().driver != "memory") return;
    for (const Bytes& b : collect(0, queue)) {
      const std::byte* inner = b.data() + b.size() - 64;
      const unsigned n = wire::load32(inner + 16) - kUe;
      ASSERT_LT(n, kSessions);
      ASSERT_EQ(wire::load32(inner + kTagOffset), next_[1][n]++) << "downlink of " << n;
    }
  }
  void take_all() {
    for (unsigned q = 0; q < workers(); ++q) take(q);
    collect_events();
  }
  std::uint64_t counted(unsigned direction) const {
    std::uint64_t bytes = 0;
    for (const Event& e : events_) bytes += e.bytes[direction];
    return bytes;
  }

  std::uint32_t next_[2][kSessions] = {};
};

SessionSpec counting(std::uint32_t teid, std::uint32_t ue) {
  SessionSpec spec = plain_session(teid, ue);
  UrrSpec urr;
  urr.threshold[0] = 10'000;
  spec.urrs = {urr};
  for (auto& pdr : spec.pdrs) pdr.urrs = {0};
  return spec;
}

TEST_F(MoveBucketsTest, NothingIsLostOrOvertaken) {
  for (unsigned n = 0; n < kSessions; ++n) {
    ASSERT_EQ(create(session(n), counting(teid(n), ue(n))), PrepareStatus::Ok);
  }
  constexpr std::uint32_t kRounds = 2000;
  const auto drain = [&] { take_all(); };
  for (std::uint32_t r = 0; r < kRounds; ++r) {
    for (unsigned n = 0; n < kSessions; ++n) {
      inject_all(0, uplink(n, r), n % 2, drain);
      inject_all(1, downlink(n, r), n / 2 % 2, drain);
    }
    if (r % 8 == 0) {
      const auto bucket = static_cast<std::uint8_t>(r / 8 % kSessions);
      const unsigned from = owner(bucket);
      const auto other = static_cast<std::uint8_t>((bucket + 2) % kSessions);
      move({bucket, other}, 1 - from);
      ASSERT_EQ(owner(bucket), 1 - from);
      // All that the old owner sent is there before any of the new one's is looked at.
      take(from);
    }
    take_all();
  }
  settle(drain);
  for (unsigned n = 0; n < kSessions; ++n) {
    EXPECT_EQ(next_[0][n], kRounds);
    EXPECT_EQ(next_[1][n], kRounds);
    ASSERT_EQ(remove(session(n)), PrepareStatus::Ok);
  }
  collect_events();
  EXPECT_EQ(counted(0), std::uint64_t{64} * kRounds * kSessions);
  EXPECT_EQ(counted(1), std::uint64_t{64} * kRounds * kSessions);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

TEST_F(MoveBucketsTest, HeldPacketsGoAlongAndLeaveInOrder) {
  SessionSpec holding = plain_session(teid(0), ue(0));
  holding.fars[1] = FarSpec{};
  holding.fars[1].id = 2;
  holding.fars[1].action = record::far::kBuffer;
  ASSERT_EQ(create(session(0), holding), PrepareStatus::Ok);
  constexpr std::uint32_t kPackets = 500;
  const auto drain = [&] { take_all(); };
  for (std::uint32_t tag = 0; tag < kPackets; ++tag) {
    inject_all(1, downlink(0, tag), 0, drain);
    if (tag % 50 == 49) move({0}, 1 - owner(0));
  }
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (path_->statistics().held != kPackets) {
    ASSERT_LT(std::chrono::steady_clock::now(), patience);
    std::this_thread::yield();
  }
  move({0}, 1 - owner(0));
  ASSERT_EQ(update(session(0), plain_session(teid(0), ue(0))), PrepareStatus::Ok);
  move({0}, 1 - owner(0));
  settle(drain);
  EXPECT_EQ(next_[1][0], kPackets);
  ASSERT_EQ(remove(session(0)), PrepareStatus::Ok);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

TEST_F(MoveBucketsTest, TimersFireOnceWhereverTheyWait) {
  SessionSpec spec = counting(teid(0), ue(0));
  spec.urrs[0].period_ms = 200;
  ASSERT_EQ(create(session(0), spec), PrepareStatus::Ok);
  const auto start = std::chrono::steady_clock::now();
  const auto age_ms = [&] {
    const auto age = std::chrono::steady_clock::now() - start;
    return std::chrono::duration_cast<std::chrono::milliseconds>(age).count();
  };
  while (age_ms() < 1100) {
    move({0}, 1 - owner(0));
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  collect_events();
  const auto reports = std::count_if(events_.begin(), events_.end(),
                                     [](const Event& e) { return e.kind == EventKind::Usage; });
  EXPECT_GE(reports, 5);
  EXPECT_LE(reports, age_ms() / 200 + 1);
}

/// N3 by sockets of the kernel, which brings packets to queues by their bucket.
class SteeredBucketsTest : public MoveBucketsTest {
 protected:
  static constexpr std::uint32_t kLoopback = 0x7f000001;
  static constexpr std::uint16_t kPort = 22152;

  void configure(DatapathConfig& config) const override {
    config.ports[0].driver = "socket";
    config.ports[0].addresses = {v4(kLoopback)};
    config.ports[0].udp_port = kPort;
  }
  void SetUp() override {
    MoveBucketsTest::SetUp();
    socket_ = ::socket(AF_INET, SOCK_DGRAM, 0);
    ASSERT_GE(socket_, 0);
  }
  void TearDown() override {
    if (socket_ >= 0) ::close(socket_);
    MoveBucketsTest::TearDown();
  }
  void send_uplink(unsigned n, std::uint32_t tag) const {
    const Bytes packet = uplink(n, tag);
    constexpr std::size_t kOuter = 28;  // the kernel writes these headers
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(kPort);
    to.sin_addr.s_addr = htonl(kLoopback);
    ASSERT_GT(::sendto(socket_, packet.data() + kOuter, packet.size() - kOuter, 0,
                       reinterpret_cast<const sockaddr*>(&to), sizeof(to)),
              0);
  }
  std::uint64_t crossed() const {
    std::uint64_t packets = 0;
    for (const auto& worker : path_->workers()) packets += worker->pipeline().counters().taken_over;
    return packets;
  }
  void round(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t tag = first; tag < first + count; ++tag)
      for (unsigned n = 0; n < kSessions; ++n) send_uplink(n, tag);
  }
  void wait_until(std::uint32_t tag) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::any_of(next_[0], next_[0] + kSessions, [&](auto next) { return next < tag; })) {
      ASSERT_LT(std::chrono::steady_clock::now(), patience) << "packets are missing";
      take_all();
      std::this_thread::yield();
    }
  }
  int socket_ = -1;
};

TEST_F(SteeredBucketsTest, TheKernelBringsPacketsToTheNewOwnerAndNoneIsOvertaken) {
  for (unsigned n = 0; n < kSessions; ++n) {
    SessionSpec spec = plain_session(teid(n), ue(n));
    spec.pdrs[0].local_ipv4 = kLoopback;
    ASSERT_EQ(create(session(n), spec), PrepareStatus::Ok);
  }
  constexpr std::uint32_t kBurst = 40;
  std::uint32_t tag = 0;
  for (unsigned moves = 0; moves < 60; ++moves, tag += kBurst) {
    // Some lie in the old owner's queue when the bucket moves.
    round(tag, kBurst / 2);
    const auto bucket = static_cast<std::uint8_t>(moves % kSessions);
    const unsigned from = owner(bucket);
    move({bucket}, 1 - from);
    take(from);
    round(tag + kBurst / 2, kBurst / 2);
    wait_until(tag + kBurst);
  }
  const std::uint64_t before = crossed();
  round(tag, kBurst);
  wait_until(tag + kBurst);
  if (path_->ports()[0]->capabilities()["steering"] == "bpf") {
    EXPECT_EQ(crossed(), before);
  }
}

TEST_F(MoveBucketsTest, OnlyToAWorkerThatThereIs) {
  const std::uint8_t bucket = 3;
  EXPECT_EQ(path_->move_buckets({&bucket, 1}, workers()), BucketMove::NoWorker);
  EXPECT_EQ(owner(bucket), bucket % workers());
  move({bucket}, owner(bucket));
  EXPECT_EQ(owner(bucket), bucket % workers());
}

}  // namespace
}  // namespace sluice::test
