#include "datagram/datagrams.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>

#include "datagram/heartbeat.h"
#include "datagram/udp_socket.h"

namespace sluice::datagram {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kStamp = 0xe9000001;
const Address kLoopback{4, {0x7f000001, 0, 0, 0}};

using Bytes = std::vector<std::byte>;

Bytes message(std::uint8_t type, std::size_t length, std::uint8_t fill = 0) {
  Bytes out(length, std::byte{fill});
  if (length >= 8) {
    out[0] = std::byte{0x20};
    out[1] = std::byte{type};
    wire::store16(out.data() + 2, static_cast<std::uint16_t>(length - 4));
  }
  return out;
}
Bytes heartbeat(std::uint32_t sequence) {
  Bytes out = message(1, 16);
  wire::store32(out.data() + 4, sequence << 8);
  wire::store32(out.data() + 8, 96u << 16 | 4);
  wire::store32(out.data() + 12, 0x12345678);
  return out;
}

/// The other side: a socket on 127.0.0.1, or where it is told.
struct Client {
  UdpSocket socket;
  explicit Client(Address at = kLoopback) : socket(UdpSocket::open(at, 0).value()) {}
  void send(const Datagrams& to, const Bytes& bytes) {
    const SocketAddress name = socket_address(kLoopback, to.ports()[0]);
    while (sendto(socket.fd(), bytes.data(), bytes.size(), 0,
                  reinterpret_cast<const sockaddr*>(&name.storage), name.length) < 0) {
    }
  }
  /// Waits for one datagram; empty: none within the time.
  std::optional<Bytes> receive(int timeout_ms = 5000) {
    pollfd polled{socket.fd(), POLLIN, 0};
    if (poll(&polled, 1, timeout_ms) != 1) return std::nullopt;
    Bytes bytes(65'536);
    const ssize_t n = recv(socket.fd(), bytes.data(), bytes.size(), 0);
    bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return bytes;
  }
};

struct DatagramsTest : testing::Test {
  std::unique_ptr<std::byte, void (*)(void*)> memory{
      static_cast<std::byte*>(std::aligned_alloc(kCacheLine, DatagramRing::kBytesMin)), std::free};
  std::mutex mutex;
  std::condition_variable rung;
  unsigned rings = 0;
  std::unique_ptr<Datagrams> datagrams = open({{"127.0.0.1", 0}}).value();
  std::array<Header, kBatch> headers;

  Result<std::unique_ptr<Datagrams>> open(std::vector<ListenAddress> listen) {
    return Datagrams::open({.listen = std::move(listen),
                            .ring = {memory.get(), DatagramRing::kBytesMin},
                            .wake =
                                [this] {
                                  const std::lock_guard lock(mutex);
                                  ++rings;
                                  rung.notify_one();
                                },
                            .waiting_chunks = 8192});
  }
  /// The next batch; waits for the bell where there is none.
  unsigned receive() {
    for (;;) {
      const unsigned count = datagrams->receive(headers.data(), kBatch);
      if (count > 0) return count;
      std::unique_lock lock(mutex);
      if (!rung.wait_for(lock, 10s, [this] { return rings > 0; })) return 0;
      rings = 0;
    }
  }
  Bytes payload(const Header& header) const {
    const std::byte* const at = memory.get() + header.offset;
    return {at, at + header.length};
  }
  void reply(const Header& to, const Bytes& bytes) {
    while (!datagrams->send(to.local, to.source(), to.port, bytes.data(), bytes.size())) {
      datagrams->flush();
    }
    datagrams->flush();
  }
};

TEST_F(DatagramsTest, CarriesEverySizeBothWays) {
  Client client;
  std::vector<std::size_t> sizes = {0, 1, 7, 8, 15, 16, 431, 432, 433, 1400, 1500, 9000, 65'507};
  for (std::size_t size = 17; size < 65'507; size += 1021) sizes.push_back(size);
  for (const std::size_t size : sizes) {
    const Bytes sent = message(50, size, static_cast<std::uint8_t>(size));
    client.send(*datagrams, sent);
    ASSERT_EQ(receive(), 1u);
    ASSERT_EQ(payload(headers[0]), sent);
    EXPECT_EQ(headers[0].source(), kLoopback);
    EXPECT_EQ(headers[0].port, client.socket.port());
    datagrams->release();
    reply(headers[0], sent);
    ASSERT_EQ(client.receive(), sent);
  }
}

TEST_F(DatagramsTest, AnswersHeartbeatsWhileTheControlThreadMakesProgress) {
  Client client;
  client.send(*datagrams, heartbeat(1));
  ASSERT_EQ(receive(), 1u);
  EXPECT_EQ(headers[0].flags, 0u);
  datagrams->release();

  datagrams->set_heartbeat(kStamp);
  datagrams->progress();
  client.send(*datagrams, heartbeat(0x00abcdef));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  const Bytes expected = {std::byte{0x20}, std::byte{2},    std::byte{0},    std::byte{12},
                          std::byte{0xab}, std::byte{0xcd}, std::byte{0xef}, std::byte{0},
                          std::byte{0},    std::byte{96},   std::byte{0},    std::byte{4},
                          std::byte{0xe9}, std::byte{0},    std::byte{0},    std::byte{1}};
  EXPECT_EQ(*answer, expected);
  EXPECT_EQ(datagrams->counters().heartbeats_answered, 1u);
  EXPECT_EQ(datagrams->receive(headers.data(), kBatch), 0u);
}

TEST_F(DatagramsTest, ShowsAnsweredHeartbeatsOnlyWhileObserved) {
  Client client;
  datagrams->set_heartbeat(kStamp);
  datagrams->progress();
  datagrams->set_observed(true);
  client.send(*datagrams, heartbeat(5));
  ASSERT_TRUE(client.receive());
  ASSERT_EQ(receive(), 1u);
  EXPECT_EQ(headers[0].flags, kAnswered);
  EXPECT_EQ(payload(headers[0]), heartbeat(5));
  datagrams->release();
}

TEST_F(DatagramsTest, LeavesStrangeHeartbeatsToTheControlThread) {
  Client client;
  datagrams->set_heartbeat(kStamp);
  datagrams->progress();
  Bytes version = heartbeat(1);
  version[0] = std::byte{0x40};
  Bytes with_seid = heartbeat(2);
  with_seid[0] = std::byte{0x21};
  Bytes cut = heartbeat(3);
  cut.resize(15);
  Bytes no_stamp = heartbeat(4);
  no_stamp[9] = std::byte{95};
  Bytes lying = heartbeat(5);
  lying[3] = std::byte{13};
  for (const Bytes& bytes : {version, with_seid, cut, no_stamp, lying}) {
    client.send(*datagrams, bytes);
    ASSERT_EQ(receive(), 1u);
    EXPECT_EQ(payload(headers[0]), bytes);
    datagrams->release();
  }
  EXPECT_EQ(datagrams->counters().heartbeats_answered, 0u);
}

TEST_F(DatagramsTest, AFloodKeepsNoHeartbeatWaiting) {
  datagrams->set_heartbeat(kStamp);
  datagrams->progress();
  datagrams->set_peers({kLoopback, parse_address("127.0.0.2")});
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    Client client;
    const Bytes bytes = message(50, 400);
    while (!stop.load()) client.send(*datagrams, bytes);
  });
  Client other(parse_address("127.0.0.2"));
  // Nobody reads, so that everything that can be full is full.
  while (datagrams->counters().shed[2] == 0) std::this_thread::yield();
  // The kernel may drop one of them where the socket is full, as it may on any network.
  bool answered = false;
  for (std::uint32_t i = 0; i < 100 && !answered; ++i) {
    datagrams->progress();
    other.send(*datagrams, heartbeat(i));
    answered = other.receive(1000).has_value();
  }
  EXPECT_TRUE(answered);
  stop.store(true);
  flood.join();
  // What only the control thread can answer comes up within a ring of others.
  std::uint64_t received = 0;
  do {
    received = datagrams->counters().received;
    std::this_thread::sleep_for(50ms);
  } while (received != datagrams->counters().received);
  other.send(*datagrams, message(52, 333));
  unsigned before = 0;
  for (bool found = false; !found;) {
    const unsigned count = receive();
    ASSERT_GT(count, 0u);
    for (unsigned i = 0; i < count && !found; ++i) {
      found = headers[i].length == 333;
      before += !found;
    }
    datagrams->release();
  }
  EXPECT_LT(before, 2 * DatagramRing::kBytesMin / 448);
  const auto shed = datagrams->shed_by_source();
  ASSERT_EQ(shed.size(), 1u);
  EXPECT_EQ(shed[0].address, "127.0.0.1");
  EXPECT_EQ(shed[0].shed[0] + shed[0].shed[1], 0u);
}

TEST_F(DatagramsTest, AReaderThatComesLateFindsWhatWaited) {
  Client client;
  unsigned sent = 0;
  for (; sent < 2000; ++sent) client.send(*datagrams, message(52, 400));
  unsigned received = 0;
  while (received < sent) {
    const unsigned count = receive();
    ASSERT_GT(count, 0u) << received;
    received += count;
    datagrams->release();
  }
  EXPECT_EQ(datagrams->counters().received, 2000u);
}

TEST_F(DatagramsTest, SourcesThatAreNotAllowedGetNowhere) {
  Client client, listed(parse_address("127.0.0.2"));
  datagrams->set_allowed(AllowList::of({"127.0.0.2/31"}).value());
  datagrams->set_heartbeat(kStamp);
  datagrams->progress();
  client.send(*datagrams, heartbeat(1));
  listed.send(*datagrams, message(52, 99));
  ASSERT_EQ(receive(), 1u);
  EXPECT_EQ(headers[0].length, 99u);
  EXPECT_EQ(datagrams->counters().not_allowed, 1u);
  EXPECT_EQ(datagrams->counters().heartbeats_answered, 0u);
}

TEST_F(DatagramsTest, AFullSendRingIsToldAndCounted) {
  const Bytes bytes = message(52, 60'000);
  unsigned sent = 0;
  // Without flush() the thread may or may not take them; in the end the ring is full.
  const Address nowhere{4, {0x7f000001, 0, 0, 0}};
  while (sent < 100'000 && datagrams->send(0, nowhere, 9, bytes.data(), bytes.size())) ++sent;
  EXPECT_LT(sent, 100'000u);
  EXPECT_EQ(datagrams->send_full(), 1u);
  EXPECT_FALSE(datagrams->send(7, nowhere, 9, bytes.data(), 1));
}

TEST_F(DatagramsTest, WhatCannotBeSentHoldsNothingUp) {
  Client client;
  client.send(*datagrams, message(5, 20));
  ASSERT_EQ(receive(), 1u);
  const Header to = headers[0];
  datagrams->release();
  const Bytes bytes = message(6, 30);
  // An IPv6 destination on an IPv4 socket.
  datagrams->send(0, {6, {0, 0, 0, 1}}, 9, bytes.data(), bytes.size());
  reply(to, bytes);
  EXPECT_EQ(client.receive(), bytes);
  while (datagrams->counters().send_failed == 0) std::this_thread::yield();
}

TEST_F(DatagramsTest, WhatWasQueuedIsSentBeforeTheEnd) {
  Client client;
  client.send(*datagrams, message(5, 20));
  ASSERT_EQ(receive(), 1u);
  const Bytes bytes = message(6, 30);
  datagrams->send(0, headers[0].source(), headers[0].port, bytes.data(), bytes.size());
  datagrams->stop();
  datagrams->stop();
  EXPECT_EQ(client.receive(), bytes);
}

TEST_F(DatagramsTest, NamesWhatKeepsItFromOpening) {
  auto taken = open({{"127.0.0.1", 0}, {"127.0.0.1", datagrams->ports()[0]}});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().field, "listen[1]");
  EXPECT_EQ(taken.error().message.find("EADDRINUSE: "), 0u);
  auto foreign = open({{"203.0.113.7", 0}});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().message.find("EADDRNOTAVAIL: "), 0u);
  auto text = open({{"localhost", 0}});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().field, "listen[0]");
}

}  // namespace
}  // namespace sluice::datagram
