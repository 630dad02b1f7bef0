// Two workers on threads of their own: hand-off, order, changes under traffic, stopping.
#include <dirent.h>

#include "worker/workers_fixture_test.h"

namespace sluice::test {
namespace {

constexpr unsigned kSessions = 4;

unsigned open_descriptors() {
  unsigned n = 0;
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  while (readdir(folder) != nullptr) ++n;
  closedir(folder);
  return n;
}

TEST_F(WorkersTest, WrongQueuesAreHandedOverInOrder) {
  for (unsigned n = 0; n < kSessions; ++n) {
    ASSERT_EQ(create(session(n), plain_session(teid(n), ue(n))), PrepareStatus::Ok);
  }
  constexpr unsigned kRounds = 3000;
  std::uint32_t next_up[kSessions] = {}, next_down[kSessions] = {};
  std::uint64_t received = 0;
  const unsigned queues = workers();
  const auto drain = [&] {
    for (unsigned q = 0; q < queues; ++q) {
      for (const Bytes& b : collect(1, q)) {
        const unsigned n = wire::load32(b.data() + 12) - kUe;
        ASSERT_LT(n, kSessions);
        EXPECT_EQ(path_->bucket_owners()[n], q) << "leaves by its owner's queue";
        const std::uint32_t tag = wire::load32(b.data() + kTagOffset);
        EXPECT_GE(tag, next_up[n]) << "overtaken";
        next_up[n] = tag + 1;
        ++received;
      }
      for (const Bytes& b : collect(0, q)) {
        const std::byte* inner = b.data() + b.size() - 64;
        const unsigned n = wire::load32(inner + 16) - kUe;
        ASSERT_LT(n, kSessions);
        const std::uint32_t tag = wire::load32(inner + kTagOffset);
        EXPECT_GE(tag, next_down[n]) << "overtaken";
        next_down[n] = tag + 1;
        ++received;
      }
    }
  };
  for (std::uint32_t r = 0; r < kRounds; ++r) {
    for (unsigned n = 0; n < kSessions; ++n) {
      // Sessions 0 and 1 come in where their owner is, 2 and 3 where it is not.
      const unsigned owner = path_->bucket_owners()[n];
      const unsigned queue = n < 2 ? owner : (owner + 1) % queues;
      inject_all(0, uplink(n, r), queue, drain);
      inject_all(1, downlink(n, r), queue, drain);
    }
    if (r % 16 == 0) drain();
  }
  settle(drain);
  EXPECT_EQ(received + dropped(DropReason::HandoffFull) + dropped(DropReason::TxFull), injected_);
  std::uint64_t taken = 0;
  for (const auto& worker : path_->workers()) taken += worker->pipeline().counters().taken_over;
  EXPECT_EQ(taken, queues == 2 ? injected_ / 2 - dropped(DropReason::HandoffFull) : 0);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

/// Rules whose every trace in a packet tells their version.
SessionSpec version(unsigned v, std::uint32_t teid, std::uint32_t ue) {
  SessionSpec s = plain_session(teid, ue);
  s.fars[1].teid = v;
  s.fars[1].dscp = static_cast<int>(v % 64);
  QerSpec qer;
  qer.qfi = static_cast<int>(1 + v % 63);
  s.qers = {qer};
  s.pdrs[1].qers = {0};
  UrrSpec urr;
  urr.threshold[0] = 100'000;
  s.urrs = {urr};
  s.pdrs[1].urrs = {0};
  return s;
}

TEST_F(WorkersTest, ChangesUnderTrafficAreNeverMixed) {
  constexpr unsigned kVersions = 400;
  std::uint32_t newest[2] = {};
  std::uint64_t received = 0;
  const auto drain = [&] {
    collect_events();
    for (unsigned q = 0; q < workers(); ++q) {
      for (const Bytes& b : collect(0, q)) {
        ++received;
        ASSERT_EQ(b.size(), 44u + 64u);
        const std::uint32_t v = wire::load32(b.data() + 32);
        EXPECT_EQ(wire::load8(b.data() + 1) >> 2, v % 64);
        EXPECT_EQ(wire::load8(b.data() + 42) & 0x3f, 1 + v % 63);
        const unsigned n = wire::load32(b.data() + 44 + 16) - kUe;
        ASSERT_LT(n, 2u);
        EXPECT_GE(v, newest[n]) << "old rules after new ones";
        newest[n] = v;
        // Injected when this version was already in force.
        EXPECT_GE(v, wire::load32(b.data() + 44 + kTagOffset));
      }
    }
  };
  unsigned gone = 0;
  for (unsigned v = 1; v <= kVersions; ++v) {
    for (unsigned n = 0; n < 2; ++n) {
      const SessionSpec spec = version(v, teid(n), ue(n));
      if (v % 50 == 1) {
        if (v > 1) {
          ASSERT_EQ(remove(session(n)), PrepareStatus::Ok);
          ++gone;
        }
        ASSERT_EQ(create(session(n), spec), PrepareStatus::Ok);
      } else {
        ASSERT_EQ(update(session(n), spec), PrepareStatus::Ok);
      }
    }
    for (unsigned i = 0; i < 40; ++i) inject_all(1, downlink(i % 2, v), i / 2 % workers(), drain);
  }
  settle(drain);
  const std::uint64_t lost = dropped(DropReason::HandoffFull) + dropped(DropReason::TxFull) +
                             dropped(DropReason::UnknownUe);
  EXPECT_EQ(received + lost, injected_);
  EXPECT_EQ(gone, 2 * (kVersions / 50 - 1));
  EXPECT_EQ(newest[0], kVersions);
  EXPECT_EQ(newest[1], kVersions);
  for (unsigned n = 0; n < 2; ++n) ASSERT_EQ(remove(session(n)), PrepareStatus::Ok);
  std::uint64_t reported = 0;
  for (const Event& e : events_) reported += e.bytes[1];
  EXPECT_EQ(reported, 64 * (received + dropped(DropReason::TxFull))) << "no octet is lost";
}

TEST_F(WorkersTest, StartAndStopLeaveNothing) {
  unsigned before = 0;
  for (unsigned round = 0; round < 8; ++round) {
    ASSERT_EQ(create(session(0), plain_session(teid(0), ue(0))), PrepareStatus::Ok);
    ASSERT_EQ(create(session(1), plain_session(teid(1), ue(1))), PrepareStatus::Ok);
    // Stopped in the midst of it, with packets everywhere.
    for (std::uint32_t i = 0; i < 500; ++i) {
      for (unsigned at = 0; at < 2; ++at) {
        const Bytes bytes = at == 0 ? uplink(i % 2, i) : downlink(i % 2, i);
        EXPECT_TRUE(inject(at, bytes, i / 2 % workers()));
      }
    }
    path_->stop();
    conserve();
    EXPECT_EQ(path_->statistics().held, 0u);
    EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
    path_.reset();
    chunks_ = 0;
    if (round == 0) before = open_descriptors();
    EXPECT_EQ(open_descriptors(), before);
    SetUp();
  }
}

/// The same without threads, where a whole burst waits inside for the next one.
class NoWorkersTest : public WorkersTest {
 protected:
  unsigned workers() const override { return 0; }
};

TEST_F(NoWorkersTest, StoppingSendsWhatIsInside) {
  ASSERT_EQ(create(session(0), plain_session(teid(0), ue(0))), PrepareStatus::Ok);
  for (std::uint32_t i = 0; i < kRxBurst; ++i) ASSERT_TRUE(inject(0, uplink(0, i)));
  path_->step();
  EXPECT_EQ(path_->statistics().held, kRxBurst);
  path_->stop();
  const auto s = path_->statistics();
  EXPECT_EQ(s.held, 0u);
  EXPECT_EQ(s.ports[0].counters.rx_packets, kRxBurst);
  EXPECT_EQ(s.ports[1].counters.tx_packets, kRxBurst);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

TEST_F(NoWorkersTest, ALongerOuterHeaderFindsRoom) {
  for (const bool is_v6 : {false, true}) {
    for (const int qfi : {-1, 9}) {
      SessionSpec spec = plain_session(teid(0), ue(0));
      FarSpec& n9 = spec.fars[0];
      n9.destination = 2;
      n9.tunnel = true;
      n9.teid = 77;
      n9.is_v6 = is_v6;
      n9.ipv4 = kGnb;
      n9.ipv6[0] = 0xfd000000;
      n9.ipv6[3] = 9;
      QerSpec qer;
      qer.qfi = qfi;
      spec.qers = {qer};
      spec.pdrs[0].qers = {0};
      ASSERT_EQ(create(session(0), spec), PrepareStatus::Ok);
      for (const int arrives : {-1, 9}) {
        for (const std::uint16_t bytes : {64, 1500}) {
          const Bytes inner = ipv4({.source = ue(0), .bytes = bytes});
          const auto out = send(0, gtpu(teid(0), inner, arrives));
          ASSERT_EQ(out.size(), 1u);
          const std::size_t header = (is_v6 ? 40u : 20u) + 8 + (qfi > 0 || arrives > 0 ? 16u : 8u);
          ASSERT_EQ(out[0].size(), header + bytes);
          EXPECT_EQ(wire::load8(out[0].data()) >> 4, is_v6 ? 6 : 4);
          EXPECT_EQ(std::memcmp(out[0].data() + header, inner.data(), bytes), 0);
        }
      }
      ASSERT_EQ(remove(session(0)), PrepareStatus::Ok);
    }
  }
}

}  // namespace
}  // namespace sluice::test
