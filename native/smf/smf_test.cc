#include "smf/smf.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <map>
#include <random>

#include "smf/message.h"

namespace sluice::smf {
namespace {

TEST(Latencies, QuantilesAreWithinABand) {
  Latencies latencies;
  EXPECT_EQ(latencies.quantile(0.5), 0u);
  for (Nanoseconds value = 1; value <= 1'000'000; ++value) latencies.add(value * 1000);
  EXPECT_EQ(latencies.count(), 1'000'000u);
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = share * 1e9;
    EXPECT_NEAR(static_cast<double>(latencies.quantile(share)), exact, exact * 0.016) << share;
  }
  EXPECT_EQ(latencies.most(), 1'000'000'000u);
}

TEST(Latencies, TakesEveryNumberThereIs) {
  Latencies latencies;
  for (unsigned bit = 0; bit < 64; ++bit) {
    latencies.add(Nanoseconds{1} << bit);
    latencies.add((Nanoseconds{1} << bit) - 1);
  }
  latencies.add(~Nanoseconds{0});
  EXPECT_EQ(latencies.quantile(1), ~Nanoseconds{0});
}

TEST(Transactions, KnowsEachOnceAndInOrder) {
  Transactions transactions(4);
  Transaction* first = transactions.begin(10, 0);
  transactions.sent(*first, 100);
  Transaction* second = transactions.begin(11, 0);
  transactions.sent(*second, 200);
  EXPECT_EQ(transactions.under_way(), 2u);
  EXPECT_EQ(transactions.expired(100), nullptr);
  EXPECT_EQ(transactions.expired(101), first);
  transactions.sent(*first, 300);
  EXPECT_EQ(transactions.expired(250), second);
  transactions.end(*second);
  EXPECT_EQ(transactions.find(2), nullptr);
  EXPECT_EQ(transactions.expired(1000), first);
  EXPECT_EQ(first->tries, 2u);
  // Places are numbers modulo four: the fifth has to wait for the first.
  for (unsigned i = 0; i < 2; ++i) ASSERT_NE(transactions.begin(i, 0), nullptr);
  EXPECT_EQ(transactions.begin(9, 0), nullptr);
  transactions.end(*first);
  EXPECT_EQ(transactions.begin(9, 0)->sequence, 5u);
}

TEST(Message, ReadsAnswersAndNothingBeyondThem) {
  std::vector<std::byte> elements(4 + 1 + 4 + 13);
  wire::store16(elements.data(), kCause);
  wire::store16(elements.data() + 2, 1);
  elements[4] = std::byte{1};
  wire::store16(elements.data() + 5, kFSeid);
  wire::store16(elements.data() + 7, 13);
  wire::store64(elements.data() + 10, 0x1122334455667788);
  for (std::size_t length = 0; length <= elements.size(); ++length) {
    // In a buffer of its own, so that a sanitizer sees a read behind it.
    const std::vector<std::byte> part(elements.begin(),
                                      elements.begin() + static_cast<std::ptrdiff_t>(length));
    const Answer answer = read_answer(part);
    EXPECT_EQ(answer.cause, length >= 5 ? 1 : 0);
    EXPECT_EQ(answer.up_seid, length == elements.size() ? 0x1122334455667788u : 0u);
  }
}

/// A UPF that answers from a thread: sessions by their CP SEID, some requests unheard.
class FakeUpf {
 public:
  explicit FakeUpf(double deaf) : deaf_(deaf), thread_([this] { run(); }) {}
  ~FakeUpf() {
    stop_.store(true);
    thread_.join();
  }
  std::uint16_t port() const { return socket_.port(); }
  std::atomic<std::uint64_t> requests{0}, unheard{0}, wrong{0};

 private:
  void run() {
    std::mt19937 random(1);
    std::uniform_real_distribution<> share;
    while (!stop_.load()) {
      pollfd polled{socket_.fd(), POLLIN, 0};
      poll(&polled, 1, 10);
      const unsigned count = received_.receive(socket_.fd());
      for (unsigned i = 0; i < count; ++i) {
        if (share(random) < deaf_) {
          ++unheard;
        } else {
          answer(received_.bytes(i), received_.from(i));
        }
      }
    }
  }
  void answer(std::span<const std::byte> request, const sockaddr_storage& from) {
    ++requests;
    std::array<std::byte, 64> out{};
    const std::uint8_t type = message_type(request.data());
    const std::size_t header = header_bytes(request.data());
    std::memcpy(out.data(), request.data(), header);
    out[1] = static_cast<std::byte>(type + 1);
    wire::store16(out.data() + header, kCause);
    wire::store16(out.data() + header + 2, 1);
    out[header + 4] = std::byte{kAccepted};
    std::size_t length = header + 5;
    if (type == kEstablishmentRequest) {
      // The patched CP SEID stands behind the header in these requests.
      const std::uint64_t up_seid = wire::load64(request.data() + 16) * 3;
      wire::store16(out.data() + length, kFSeid);
      wire::store16(out.data() + length + 2, 13);
      wire::store64(out.data() + length + 5, up_seid);
      length += 17;
      by_seid_[up_seid] = wire::load32(request.data() + 24);
    } else if (header == kSessionHeaderBytes && type != kReportRequest) {
      const auto found = by_seid_.find(wire::load64(request.data() + 4));
      if (found == by_seid_.end()) ++wrong;
    }
    wire::store16(out.data() + 2, static_cast<std::uint16_t>(length - 4));
    std::uint32_t port = 0;
    const datagram::Address to = datagram::address_of(from, port);
    const datagram::SocketAddress name = datagram::socket_address(to, port);
    sendto(socket_.fd(), out.data(), length, 0, reinterpret_cast<const sockaddr*>(&name.storage),
           name.length);
  }

  double deaf_;
  datagram::UdpSocket socket_ =
      datagram::UdpSocket::open(datagram::parse_address("127.0.0.1"), 0).value();
  datagram::ReceiveBatch received_;
  std::map<std::uint64_t, std::uint32_t> by_seid_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

Load load_of(std::uint8_t type, std::uint32_t count) {
  Load load;
  load.request.resize(type == kEstablishmentRequest ? 28 : 16);
  load.request[0] = std::byte{0x21};
  load.request[1] = static_cast<std::byte>(type);
  wire::store16(load.request.data() + 2, static_cast<std::uint16_t>(load.request.size() - 4));
  if (type == kEstablishmentRequest) {
    load.patches = {{Patch::Kind::CpSeid, 16}, {Patch::Kind::Session, 24}};
  }
  load.count = count;
  return load;
}

struct SmfTest : testing::Test {
  std::unique_ptr<FakeUpf> upf;
  std::unique_ptr<Smf> smf;
  void start(double deaf, std::uint32_t sessions) {
    upf = std::make_unique<FakeUpf>(deaf);
    smf = Smf::open({.target = datagram::parse_address("127.0.0.1"),
                     .target_port = upf->port(),
                     .bind = datagram::parse_address("127.0.0.1"),
                     .cp_seid_base = std::uint64_t{7} << 32,
                     .sessions_max = sessions})
              .value();
  }
  const LoadOutcome& run(Load load) {
    EXPECT_TRUE(smf->start_load(std::move(load)));
    while (smf->running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return smf->outcome();
  }
};

TEST_F(SmfTest, EverySessionIsEstablishedModifiedAndDeletedOnce) {
  constexpr std::uint32_t kCount = 5000;
  start(0, kCount);
  for (const std::uint8_t type : {kEstablishmentRequest, std::uint8_t{52}, kDeletionRequest}) {
    const LoadOutcome& outcome = run(load_of(type, kCount));
    EXPECT_EQ(outcome.sent, kCount);
    EXPECT_EQ(outcome.causes[kAccepted], kCount);
    EXPECT_EQ(outcome.lost + outcome.skipped, 0u);
    EXPECT_EQ(outcome.latencies.count(), kCount);
    EXPECT_GT(outcome.seconds, 0);
  }
  EXPECT_EQ(upf->wrong, 0u);
  // They are gone: nothing is asked of them.
  EXPECT_EQ(run(load_of(52, kCount)).skipped, kCount);
}

TEST_F(SmfTest, WhatIsUnheardIsSentAgain) {
  constexpr std::uint32_t kCount = 2000;
  start(0.3, kCount);
  Load load = load_of(kEstablishmentRequest, kCount);
  load.t1_s = 0.02;
  load.tries = 50;
  load.window = 1000;
  const LoadOutcome& outcome = run(std::move(load));
  EXPECT_EQ(outcome.causes[kAccepted], kCount);
  EXPECT_EQ(outcome.lost, 0u);
  EXPECT_GE(outcome.retransmitted, upf->unheard);
  EXPECT_GT(outcome.retransmitted, 0u);
}

TEST_F(SmfTest, WithoutRetransmissionWhatIsUnheardIsLost) {
  constexpr std::uint32_t kCount = 2000;
  start(0.3, kCount);
  Load load = load_of(kEstablishmentRequest, kCount);
  load.t1_s = 0.5;
  load.tries = 1;
  load.window = 2000;
  const LoadOutcome& outcome = run(std::move(load));
  EXPECT_EQ(outcome.retransmitted, 0u);
  EXPECT_GE(outcome.lost, upf->unheard);
  EXPECT_EQ(outcome.causes[kAccepted] + outcome.lost, kCount);
}

TEST_F(SmfTest, ALoadEndsWhenItsTimeIsOver) {
  start(1, 100);
  Load load = load_of(kEstablishmentRequest, 100);
  load.seconds_max = 0.05;
  load.tries = 100;
  const LoadOutcome& outcome = run(std::move(load));
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(outcome.causes[kAccepted], 0u);
  EXPECT_EQ(outcome.lost, outcome.sent);
}

TEST_F(SmfTest, RefusesWhatItCannotSend) {
  start(0, 10);
  Load load = load_of(kEstablishmentRequest, 11);
  EXPECT_EQ(smf->start_load(load).error().field, "count");
  load.count = 10;
  load.first = 1;
  EXPECT_EQ(smf->start_load(load).error().field, "count");
  load.first = 0;
  load.patches.push_back({Patch::Kind::CpSeid, 21});
  EXPECT_EQ(smf->start_load(load).error().field, "patches");
  load.request.resize(7);
  EXPECT_EQ(smf->start_load(load).error().field, "request");
  Load node = load_of(5, 2);
  node.request[0] = std::byte{0x20};
  EXPECT_EQ(smf->start_load(node).error().field, "count");
}

}  // namespace
}  // namespace sluice::smf
