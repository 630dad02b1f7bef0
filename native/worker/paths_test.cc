// Echo Requests to tunnel peers: who is asked when, and what the answers say.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;
constexpr Nanoseconds kSecond = 1'000'000'000;

class PathsTest : public DatapathTest {
 protected:
  void configure(DatapathConfig& config) const override {
    config.echo = {.interval = 60 * kSecond, .timeout = 3 * kSecond, .tries = 3};
  }
  void SetUp() override {
    starts_at_ = kStart;
    DatapathTest::SetUp();
  }
  static constexpr Nanoseconds kStart = 1000 * kSecond;
  /// Lets time pass, and returns the requests that left.
  std::vector<Bytes> wait(Nanoseconds span) {
    std::vector<Bytes> out;
    for (const Nanoseconds end = time_ + span; time_ < end;) {
      time_ += kSecond / 10;
      path_->run_at(time_);
      for (Bytes& b : collect(0)) out.push_back(std::move(b));
    }
    return out;
  }
  void answer(const Bytes& request, std::uint32_t source = kGnb, unsigned number = 0) {
    const auto sequence = static_cast<std::uint16_t>(wire::load16(request.data() + 36) + number);
    Bytes b(28 + wire::kEchoResponseBytes);
    wire::write_ipv4(b.data(), {.source = source,
                                .destination = kN3,
                                .total_length = static_cast<std::uint16_t>(b.size())});
    wire::write_udp(b.data() + 20, 2152, 2152, static_cast<std::uint16_t>(b.size() - 20));
    wire::write_echo_response(b.data() + 28, sequence);
    ASSERT_TRUE(inject(0, b));
    path_->run_at(time_);
  }
  PathRow row() {
    std::size_t all = 0;
    const auto rows = path_->paths(10, all);
    EXPECT_EQ(all, 1u);
    return rows.empty() ? PathRow{} : rows[0];
  }
  Nanoseconds time_ = kStart;
};

TEST_F(PathsTest, PeersInUseAreAskedAndAnAnswerBringsThemUp) {
  EXPECT_TRUE(wait(5 * kSecond).empty()) << "nobody to ask";
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  EXPECT_EQ(row().state, PathState::Unknown);
  auto out = wait(2 * kSecond);
  ASSERT_EQ(out.size(), 1u);
  const std::byte* p = out[0].data();
  EXPECT_TRUE(wire::ipv4_checksum_good(p, 20));
  EXPECT_EQ(wire::load32(p + 16), kGnb);
  EXPECT_EQ(wire::load16(p + 20), 2152) << "answers come to the GTP-U port";
  EXPECT_EQ(wire::load32(p + 28), 0x32010004u);
  answer(out[0], kGnb + 1);
  answer(out[0], kGnb, 1);
  EXPECT_EQ(row().state, PathState::Unknown) << "another's answer, or to another request";
  answer(out[0]);
  EXPECT_EQ(row().state, PathState::Up);
  EXPECT_EQ(row().address, "10.0.0.2");
  EXPECT_EQ(row().port, "n3");
  EXPECT_EQ(row().transitions, 1u);
  EXPECT_TRUE(wait(55 * kSecond).empty());
  EXPECT_EQ(wait(10 * kSecond).size(), 2u) << "the next round, and a second try";
}

TEST_F(PathsTest, ThreeRequestsWithoutAnAnswerAreDown) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  EXPECT_EQ(wait(12 * kSecond).size(), 3u);
  EXPECT_EQ(row().state, PathState::Down);
  auto out = wait(60 * kSecond);
  ASSERT_FALSE(out.empty()) << "it is asked again, and comes back";
  answer(out.back());
  EXPECT_EQ(row().state, PathState::Up);
  EXPECT_EQ(row().transitions, 2u);
}

TEST_F(PathsTest, ChangesAreToldOnce) {
  const auto changes = [&] {
    std::string text;
    for (const PathChange& c : path_->take_path_changes()) {
      text += c.peer.address + " " + std::to_string(static_cast<unsigned>(c.before)) +
              std::to_string(static_cast<unsigned>(c.peer.state)) + ";";
    }
    return text;
  };
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  EXPECT_EQ(changes(), "");
  answer(wait(2 * kSecond).at(0));
  EXPECT_EQ(changes(), "10.0.0.2 01;");
  EXPECT_EQ(changes(), "");
  wait(80 * kSecond);
  EXPECT_EQ(changes(), "10.0.0.2 12;") << "three requests of the next round went unanswered";
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  wait(kSecond);
  EXPECT_EQ(changes(), "");
}

TEST_F(PathsTest, PeersThatNoRuleUsesAreForgotten) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  auto out = wait(2 * kSecond);
  ASSERT_EQ(out.size(), 1u);
  answer(out[0]);
  EXPECT_EQ(row().transitions, 1u);
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  std::size_t all = 1;
  EXPECT_TRUE(path_->paths(10, all).empty());
  EXPECT_EQ(all, 0u);
  EXPECT_TRUE(wait(200 * kSecond).empty());
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  EXPECT_EQ(row().state, PathState::Unknown);
  EXPECT_EQ(row().transitions, 0u) << "its line was another's before";
  EXPECT_EQ(wait(2 * kSecond).size(), 1u);
}

}  // namespace
}  // namespace sluice::test
