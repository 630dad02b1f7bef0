// Records that are cut short or changed anywhere: refused or compiled, but nothing outside
// is read (the sanitizers watch exact buffers), and whatever was taken comes back.
#include "session/compile/compiler.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "session/compile/record_builder.h"
#include "session/sessions.h"

namespace sluice {
namespace {

constexpr std::uint32_t kN3 = 0x0a000001, kGnb = 0x0a000002, kUe = 0x0a3c0007;
constexpr std::uint32_t kTunnelTeid = 0x05123456;

/// Every kind of rule, filter and list.
SessionSpec rich(std::uint32_t teid = kTunnelTeid) {
  SessionSpec s;
  s.ue_ipv4 = kUe;
  s.ue_prefix = 0xfd00006000000007;
  FilterSpec flow, tos, six;
  flow.protocol = 17;
  flow.remote = 0xcb007100;
  flow.remote_length = 24;
  flow.remote_ports = {{400, 443}, {8080, 8080}};
  flow.local_ports = {{1, 1024}};
  tos.tos = 0x28;
  tos.spi = 77;
  six.remote6[0] = 0x20010db8;
  six.remote6_length = 37;
  six.flow_label = 5;
  for (unsigned i = 0; i < 6; ++i) {
    PdrSpec p;
    p.id = i + 1;
    p.precedence = 100 - i;
    p.source = i % 2 ? 2 : 1;
    p.far = i % 3;
    p.teid = i % 2 ? 0 : teid + i / 4;
    p.local_ipv4 = i % 2 ? 0 : kN3;
    p.qfis = i == 2 ? 0x3f : 0;
    p.qers = {0, static_cast<std::uint8_t>(1 + i % 3)};
    p.urrs = {static_cast<std::uint8_t>(i % 2), 2};
    if (i > 1) p.filters = {flow, tos, six};
    if (i % 2) p.instance = "internet";
    s.pdrs.push_back(p);
  }
  FarSpec core, gnb, drop;
  core.instance = "internet";
  gnb.id = 2;
  gnb.destination = 1;
  gnb.tunnel = true;
  gnb.teid = 9;
  gnb.ipv4 = kGnb;
  gnb.dscp = 10;
  drop.id = 3;
  drop.action = record::far::kDrop;
  s.fars = {core, gnb, drop};
  for (unsigned i = 0; i < 4; ++i) {
    QerSpec q;
    q.id = i + 1;
    q.uplink_mbr = q.downlink_mbr = 1000 * (i + 1);
    q.qfi = static_cast<int>(i);
    if (i == 3) q.shared = "ambr";
    s.qers.push_back(q);
  }
  for (unsigned i = 0; i < 3; ++i) {
    UrrSpec u;
    u.id = i + 1;
    u.threshold[i] = 1000;
    u.quota[0] = i * 100'000;
    s.urrs.push_back(u);
  }
  return s;
}

class CompilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    network_.ports = {{0, true, 2152, {"*"}}, {1, false, 0, {"internet"}}};
    network_.locals = {{{kN3, 0, 0, 0}, false, 0}};
    config_.slots_per_bucket = 16;
    config_.slot_bits = 13;
    config_.teid_key = {1, 2, 3, 4, 5};
    config_.hash_secret = {5, 7};
    RegionOptions options;
    options.bytes = Sessions::bytes(config_) + (1u << 20);
    options.pages = PagePolicy::Off;
    auto region = Region::create(options);
    ASSERT_TRUE(region) << region.error().message;
    region_ = std::move(region).value();
    auto sessions = Sessions::create(*region_, config_, network_);
    ASSERT_TRUE(sessions) << sessions.error().message;
    sessions_ = std::move(sessions).value();
    empty_ = sessions_->arena().live();
  }
  struct Sink final : EventSink {
    bool push(const Event&) noexcept override { return true; }
    void remember(SessionView&) noexcept override {}
    std::uint64_t realtime_offset() const noexcept override { return 0; }
    void schedule(TimerNode&, Nanoseconds) noexcept override {}
    void cancel(TimerNode&) noexcept override {}
  };
  PrepareError change(OperationKind kind, SessionIndex session, const std::uint32_t* words,
                      std::size_t bytes) {
    std::uint32_t ticket = 0;
    const PrepareError error = sessions_->prepare(kind, session, words, bytes, 0, 7, ticket);
    if (error.status != PrepareStatus::Ok) return error;
    if (++prepared_ % 3 == 0) {
      sessions_->abort(ticket);
      return {PrepareStatus::Malformed, 0};
    }
    sessions_->apply(ticket, 1, sink_);
    sessions_->retire(ticket);
    return error;
  }
  /// Creates, updates to and from good rules, and deletes; true when the record was taken.
  bool use(const std::uint32_t* words, std::size_t bytes) {
    const auto good = RecordBuilder().build(rich(0x05777777));
    const bool taken = change(OperationKind::Create, 3, words, bytes).status == PrepareStatus::Ok;
    if (taken) {
      change(OperationKind::Update, 3, good.data(), good.size() * 4);
      change(OperationKind::Update, 3, words, bytes);
      while (change(OperationKind::Delete, 3, nullptr, 0).status != PrepareStatus::Ok) continue;
    }
    EXPECT_EQ(sessions_->arena().live(), empty_);
    EXPECT_EQ(sessions_->live(), 0u);
    return taken;
  }

  NetworkMap network_;
  SessionsConfig config_{};
  std::unique_ptr<Region> region_;
  std::unique_ptr<Sessions> sessions_;
  std::size_t empty_ = 0;
  unsigned prepared_ = 0;
  Sink sink_;
};

/// The words in a buffer of exactly that size, so that one word too far is found.
std::unique_ptr<std::uint32_t[]> exactly(const std::vector<std::uint32_t>& words, std::size_t n) {
  std::unique_ptr<std::uint32_t[]> copy(new std::uint32_t[n]);
  std::copy_n(words.begin(), n, copy.get());
  return copy;
}

TEST_F(CompilerTest, EveryPrefixIsRefused) {
  const auto record = RecordBuilder().build(rich());
  for (std::size_t n = 0; n < record.size(); ++n) {
    const auto prefix = exactly(record, n);
    EXPECT_FALSE(RecordReader(prefix.get(), n * 4).valid()) << n;
    if (n > record::header::Bytes) {
      // A prefix that claims to be whole lacks what its tables point to; some lists may fit.
      prefix[record::header::Bytes] = static_cast<std::uint32_t>(n * 4);
      use(prefix.get(), n * 4);
    }
  }
  EXPECT_TRUE(use(record.data(), record.size() * 4) || use(record.data(), record.size() * 4));
}

TEST_F(CompilerTest, TheShadowLiesInsideTheRecord) {
  auto record = RecordBuilder().build(rich());
  EXPECT_EQ(record[record::header::Shadow], 0u) << "a record of the API has none";
  const auto end = static_cast<std::uint32_t>(record.size());
  record[record::header::Shadow] = (end - 2) << 16 | 8;
  EXPECT_TRUE(RecordReader(record.data(), record.size() * 4).valid());
  record[record::header::Shadow] = (end - 2) << 16 | 9;
  EXPECT_FALSE(RecordReader(record.data(), record.size() * 4).valid());
  record[record::header::Shadow] = 0xffff'ffff;
  EXPECT_FALSE(RecordReader(record.data(), record.size() * 4).valid());
}

TEST_F(CompilerTest, RandomChangesAreSurvived) {
  const auto record = RecordBuilder().build(rich());
  std::mt19937 random(17);
  unsigned taken = 0, refused = 0;
  for (unsigned round = 0; round < 20'000; ++round) {
    const auto words = exactly(record, record.size());
    for (unsigned n = 1 + random() % 4; n != 0; --n) {
      const std::size_t at = random() % record.size();
      switch (random() % 4) {
        case 0:
          words[at] ^= 1u << random() % 32;
          break;
        case 1:
          words[at] = static_cast<std::uint32_t>(random());
          break;
        case 2:
          words[at] = record[random() % record.size()];
          break;
        default:
          reinterpret_cast<std::uint8_t*>(words.get())[at * 4 + random() % 4] = 0xff;
      }
    }
    (use(words.get(), record.size() * 4) ? taken : refused) += 1;
  }
  EXPECT_GT(taken, 1000u);
  EXPECT_GT(refused, 1000u);
}

TEST_F(CompilerTest, ADirectTeidThatAnotherHasIsTaken) {
  // Whatever session 3's direct TEIDs are, one of them is session 4's by its own choice first.
  std::uint32_t direct = 0;
  for (std::uint32_t teid = 1; direct == 0; ++teid) {
    if (sessions_->scheme().candidate(Teid{teid}) == 3) direct = teid;
  }
  auto spec = rich(direct);
  auto other = rich(direct);
  other.ue_ipv4 = kUe + 1;
  other.ue_prefix = 0xfd00006000000008;
  spec.pdrs[4].teid = direct + 100;
  const auto first = RecordBuilder().build(other), second = RecordBuilder().build(spec);
  ASSERT_EQ(change(OperationKind::Create, 4, first.data(), first.size() * 4).status,
            PrepareStatus::Ok);
  EXPECT_EQ(change(OperationKind::Create, 3, second.data(), second.size() * 4).status,
            PrepareStatus::TeidTaken);
  ASSERT_EQ(change(OperationKind::Delete, 4, nullptr, 0).status, PrepareStatus::Ok);
  prepared_ = 0;
  EXPECT_EQ(change(OperationKind::Create, 3, second.data(), second.size() * 4).status,
            PrepareStatus::Ok);
}

TEST_F(CompilerTest, RatesBeyondWhatABucketHoldsAreTheFastest) {
  SessionSpec spec = rich();
  for (auto& q : spec.qers) q.uplink_mbr = std::int64_t{1} << 32;  // low word 0
  const auto record = RecordBuilder().build(spec);
  ASSERT_EQ(change(OperationKind::Create, 3, record.data(), record.size() * 4).status,
            PrepareStatus::Ok);
  for (const std::uint32_t rate : sessions_->flows(Direction::Uplink)[3].state.rate_kbps) {
    EXPECT_EQ(rate, kRateMaxKbps);
    EXPECT_EQ(refill(0, rate, kRefillShortNanoseconds - 1), bucket_depth(rate)) << "no overflow";
  }
}

TEST_F(CompilerTest, FiltersThatMultiplyAreRefusedEarly) {
  SessionSpec spec = rich();
  FilterSpec many;
  for (std::uint16_t i = 0; i < 80; ++i) {
    many.remote_ports.push_back({i, i});
    many.local_ports.push_back({i, i});
  }
  for (auto& p : spec.pdrs) p.filters = {many};
  const auto record = RecordBuilder().build(spec);
  EXPECT_EQ(change(OperationKind::Create, 3, record.data(), record.size() * 4).status,
            PrepareStatus::Resources);
  EXPECT_EQ(sessions_->arena().live(), empty_);
}

}  // namespace
}  // namespace sluice
