// A session in the place of one that takes over the addresses of others, which go with it.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

constexpr SessionIndex kPlace = 3 * 64 + 5, kOther = 9 * 64 + 1, kThird = 11 * 64 + 2;

class Displacing : public DatapathTest {
 protected:
  void SetUp() override {
    DatapathTest::SetUp();
    ASSERT_EQ(create(kPlace, plain_session(place_teid_, kUe)), PrepareStatus::Ok);
    ASSERT_EQ(create(kOther, plain_session(other_teid_, kUe + 9)), PrepareStatus::Ok);
  }

  /// The deletion of kOther in favour of kPlace, and then the change of kPlace.
  PrepareStatus prepare(const SessionSpec& spec) {
    records_.push_back(RecordBuilder().build(spec));
    records_.back()[record::header::SessionIndex] = kPlace;
    path_->register_chunk(reinterpret_cast<const std::byte*>(records_.back().data()),
                          records_.back().size() * 4);
    Operation operations[2]{};
    operations[0].kind = static_cast<std::uint32_t>(OperationKind::Delete);
    operations[0].session = kOther;
    operations[0].offset = kPlace;
    operations[0].flags = kOperationDisplaced;
    operations[1].kind = static_cast<std::uint32_t>(OperationKind::Update);
    operations[1].session = kPlace;
    operations[1].chunk = chunks_++;
    operations[1].flags = kOperationAfresh;
    path_->prepare(operations, 2, nullptr);
    EXPECT_EQ(operations[0].status, 0u);
    for (unsigned i = 0; i < 2; ++i) tickets_[i] = operations[i].ticket;
    return static_cast<PrepareStatus>(operations[1].status);
  }
  void apply() {
    const std::uint64_t number = path_->apply(tickets_, 2);
    while (path_->completed() < number) collect_events();
    collect_events();
  }
  std::size_t reached(std::uint32_t teid, std::uint32_t ue) {
    return send(0, gtpu(teid, ipv4({.source = ue}))).size();
  }
  std::size_t reached(std::uint32_t ue) {
    return send(1, ipv4({.source = kServer, .destination = ue})).size();
  }
  static SessionSpec routed(std::uint32_t teid, std::uint32_t ue) {
    SessionSpec spec = plain_session(teid, ue);
    for (PdrSpec& pdr : spec.pdrs) pdr.routes = {{{kNet, 0, 0, 0}, 24, false, 0}};
    return spec;
  }

  const std::uint32_t place_teid_ = direct_teid(3, 5, 1), other_teid_ = direct_teid(9, 1, 1);
  std::uint32_t tickets_[2]{};
  static constexpr std::uint32_t kNet = 0xc0a83200;  // 192.168.50.0
};

TEST_F(Displacing, HasTheirAddressesWhenItIsApplied) {
  ASSERT_EQ(prepare(plain_session(other_teid_, kUe + 9)), PrepareStatus::Ok);
  EXPECT_EQ(reached(place_teid_, kUe), 1u) << "nothing has changed yet";
  EXPECT_EQ(reached(other_teid_, kUe + 9), 1u);
  EXPECT_EQ(reached(kUe + 9), 1u);
  apply();
  EXPECT_EQ(path_->sessions().live(), 1u);
  EXPECT_EQ(reached(other_teid_, kUe + 9), 1u);
  EXPECT_EQ(reached(kUe + 9), 1u);
  expect_drop(0, gtpu(place_teid_, ipv4({})), DropReason::UnknownTeid);
  expect_drop(1, ipv4({.source = kServer, .destination = kUe}), DropReason::UnknownUe);
  ASSERT_EQ(remove(kPlace), PrepareStatus::Ok);
  expect_drop(1, ipv4({.source = kServer, .destination = kUe + 9}), DropReason::UnknownUe);
  expect_drop(0, gtpu(other_teid_, ipv4({})), DropReason::UnknownTeid);
  EXPECT_EQ(create(kThird, plain_session(other_teid_, kUe + 9)), PrepareStatus::Ok)
      << "nothing of them is left";
}

TEST_F(Displacing, TakesATunnelThatTheOtherHasInATable) {
  ASSERT_EQ(create(kThird, plain_session(0x00c0ffee, kUe + 20)), PrepareStatus::Ok);
  ASSERT_EQ(remove(kOther), PrepareStatus::Ok);
  ASSERT_EQ(create(kOther, plain_session(0x00c0aaaa, kUe + 9)), PrepareStatus::Ok);
  ASSERT_EQ(prepare(plain_session(0x00c0aaaa, kUe)), PrepareStatus::Ok);
  apply();
  EXPECT_EQ(reached(0x00c0aaaa, kUe), 1u);
  EXPECT_EQ(reached(0x00c0ffee, kUe + 20), 1u);
  expect_drop(1, ipv4({.source = kServer, .destination = kUe + 9}), DropReason::UnknownUe);
}

TEST_F(Displacing, TakesTheFramedRoutesOfTheOther) {
  ASSERT_EQ(update(kOther, routed(other_teid_, kUe + 9)), PrepareStatus::Ok);
  EXPECT_EQ(reached(kNet + 1), 1u);
  ASSERT_EQ(prepare(routed(place_teid_, kUe)), PrepareStatus::Ok);
  EXPECT_EQ(reached(kNet + 1), 1u) << "still the other's";
  path_->abort(tickets_, 2);
  EXPECT_EQ(reached(kNet + 1), 1u);
  ASSERT_EQ(prepare(routed(place_teid_, kUe)), PrepareStatus::Ok);
  apply();
  EXPECT_EQ(reached(kNet + 1), 1u);
  EXPECT_EQ(send(0, gtpu(place_teid_, ipv4({.source = kNet + 1}))).size(), 1u);
  ASSERT_EQ(remove(kPlace), PrepareStatus::Ok);
  expect_drop(1, ipv4({.source = kServer, .destination = kNet + 1}), DropReason::UnknownUe);
}

TEST_F(Displacing, LeavesAllAsItWasWhenItIsRefusedOrAborted) {
  ASSERT_EQ(create(kThird, plain_session(direct_teid(11, 2, 1), kUe + 20)), PrepareStatus::Ok);
  EXPECT_EQ(prepare(plain_session(direct_teid(11, 2, 1), kUe + 9)), PrepareStatus::TeidTaken);
  const RecordReader asks(records_.back().data(), records_.back().size() * 4);
  EXPECT_EQ(path_->sessions().holder(kPlace, asks, true), kThird);
  EXPECT_EQ(path_->sessions().holder(kPlace, asks, false), kOther);
  EXPECT_EQ(path_->sessions().holder(kPlace, asks, false, {&kOther, 1}), kNoSession);
  path_->abort(tickets_, 1);
  for (unsigned turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(path_->sessions().live(), 3u);
    EXPECT_EQ(reached(place_teid_, kUe), 1u);
    EXPECT_EQ(reached(other_teid_, kUe + 9), 1u);
    EXPECT_EQ(reached(kUe + 9), 1u);
    EXPECT_EQ(create(13 * 64 + 1, plain_session(0x00c0ffee, kUe + 9)),
              PrepareStatus::UeAddressTaken);
    if (turn != 0) break;
    ASSERT_EQ(prepare(plain_session(other_teid_, kUe + 9)), PrepareStatus::Ok);
    path_->abort(tickets_, 2);
  }
  ASSERT_EQ(remove(kOther), PrepareStatus::Ok);
  expect_drop(1, ipv4({.source = kServer, .destination = kUe + 9}), DropReason::UnknownUe);
}

}  // namespace
}  // namespace sluice::test
