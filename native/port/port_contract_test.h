// What every driver keeps: the tests of a driver call port_contract() with a peer that stands
// at the far end of the wire. Each check fails for a driver that loses, doubles, reorders or
// miscounts packets, or that does not give them back to the pool.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "memory/packet_pool.h"
#include "port/port.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

namespace sluice::test {

using Bytes = std::vector<std::byte>;

/// A region with a pool: one cache per worker and the last one for the peer.
struct PoolFixture {
  explicit PoolFixture(std::uint32_t packets, unsigned caches) {
    RegionOptions options;
    options.bytes = PacketPool::bytes(packets, caches) + 65536;
    options.pages = PagePolicy::Off;
    auto made = Region::create(options);
    EXPECT_TRUE(made) << made.error().message;
    region = std::move(made).value();
    auto pooled = PacketPool::create(*region, packets, caches);
    EXPECT_TRUE(pooled) << pooled.error().message;
    pool = std::move(pooled).value();
  }
  std::unique_ptr<Region> region;
  std::unique_ptr<PacketPool> pool;
};

/// The far end. A driver's test says how bytes get there and back; each call concerns queue 0.
struct PortPeer {
  /// Sends one IP packet towards the port; false: no room now.
  std::function<bool(const Bytes&)> put;
  /// Takes everything that the port has sent, oldest first; waits where a kernel is between.
  std::function<std::vector<Bytes>()> take;
  /// The i-th packet of a size that may arrive and leave at this port: by default UDP over
  /// IPv4 with the number in its payload.
  std::function<Bytes(unsigned i, std::size_t size)> make;
  /// Whether a packet is the one that was sent; by default: the same bytes.
  std::function<bool(const Bytes& sent, const Bytes& received)> same;
  bool receives = true;  ///< rx() can deliver what the peer puts
  bool sends = true;     ///< the peer can take what tx() sends
};

inline Bytes numbered_packet(unsigned number, std::size_t size) {
  Bytes bytes(size, std::byte{0});
  wire::write_ipv4(bytes.data(), {.source = 0x0a3c0001,
                                  .destination = 0x0a3c0002,
                                  .total_length = static_cast<std::uint16_t>(size)});
  wire::write_udp(bytes.data() + 20, 2152, 2152, static_cast<std::uint16_t>(size - 20));
  wire::store32(bytes.data() + 28, number);
  return bytes;
}

inline Bytes bytes_of(const Packet& packet) {
  return {packet.data(), packet.data() + packet.length};
}

/// Polls until `want` packets are there or none came a long while (many empty polls).
inline std::vector<Packet*> receive(PortQueue& queue, std::size_t want) {
  std::vector<Packet*> packets;
  Packet* burst[64];
  for (unsigned idle = 0; packets.size() < want && idle < 200000;) {
    const std::size_t room = std::min<std::size_t>(64, want - packets.size());
    const unsigned n = queue.rx(burst, static_cast<unsigned>(room));
    EXPECT_LE(n, room);
    packets.insert(packets.end(), burst, burst + n);
    idle = n == 0 ? idle + 1 : 0;
  }
  return packets;
}

class PortContract {
 public:
  PortContract(Port& port, PacketPool& pool, unsigned cache, PortPeer peer)
      : port_(port), pool_(pool), cache_(pool.cache(cache)), peer_(std::move(peer)) {
    if (!peer_.make) peer_.make = numbered_packet;
    if (!peer_.same) {
      peer_.same = [](const Bytes& sent, const Bytes& received) { return sent == received; };
    }
  }

  void run() {
    const std::uint32_t before = pool_.available();
    if (peer_.receives) receives_in_order();
    if (peer_.sends) sends_in_order();
    if (peer_.receives) survives_an_empty_pool();
    EXPECT_EQ(pool_.available(), before) << "the driver keeps packets";
  }

 private:
  void receives_in_order() {
    const PortCounters start = port_.queue(0).counters();
    std::uint64_t bytes = 0;
    for (unsigned round = 0; round < 4; ++round) {
      std::vector<Bytes> sent;
      for (unsigned i = 0; i < 60; ++i) {
        sent.push_back(peer_.make(round * 100 + i, 64 + i * 20));
        ASSERT_TRUE(peer_.put(sent.back()));
        bytes += sent.back().size();
      }
      auto packets = receive(port_.queue(0), sent.size());
      ASSERT_EQ(packets.size(), sent.size());
      for (std::size_t i = 0; i < packets.size(); ++i) {
        EXPECT_TRUE(peer_.same(sent[i], bytes_of(*packets[i]))) << "packet " << i;
        EXPECT_EQ(packets[i]->port, port_.index());
        EXPECT_GE(packets[i]->offset, sizeof(Packet));
        EXPECT_LE(packets[i]->offset + std::size_t{packets[i]->length}, kChunkBytes);
      }
      cache_.free(packets.data(), static_cast<unsigned>(packets.size()));
      Packet* none[1];
      EXPECT_EQ(port_.queue(0).rx(none, 1), 0U);
    }
    EXPECT_EQ(port_.queue(0).counters().rx_packets - start.rx_packets, 240U);
    EXPECT_EQ(port_.queue(0).counters().rx_bytes - start.rx_bytes, bytes);
  }

  void sends_in_order() {
    const PortCounters start = port_.queue(0).counters();
    std::uint64_t bytes = 0;
    for (unsigned round = 0; round < 4; ++round) {
      std::vector<Bytes> sent;
      std::vector<Packet*> packets(60);
      ASSERT_EQ(cache_.allocate(packets.data(), 60), 60U);
      for (unsigned i = 0; i < packets.size(); ++i) {
        sent.push_back(peer_.make(round * 100 + i, 64 + i * 20));
        packets[i]->offset = kCoreDataOffset;
        packets[i]->length = static_cast<std::uint16_t>(sent.back().size());
        packets[i]->flags = 0;
        std::memcpy(packets[i]->data(), sent.back().data(), sent.back().size());
        bytes += sent.back().size();
      }
      ASSERT_EQ(port_.queue(0).tx(packets.data(), 60), 60U);
      port_.queue(0).flush();
      const std::vector<Bytes> received = peer_.take();
      ASSERT_EQ(received.size(), sent.size());
      for (std::size_t i = 0; i < sent.size(); ++i) {
        EXPECT_TRUE(peer_.same(sent[i], received[i])) << "packet " << i;
      }
    }
    EXPECT_EQ(port_.queue(0).counters().tx_packets - start.tx_packets, 240U);
    EXPECT_EQ(port_.queue(0).counters().tx_bytes - start.tx_bytes, bytes);
  }

  // With nothing to take from the pool a driver may lose packets (and counts them) or leave
  // them where they are, but goes on as soon as there is room.
  void survives_an_empty_pool() {
    std::vector<Packet*> all(pool_.capacity());
    unsigned held = 0;
    while (held < all.size()) {
      const unsigned n =
          cache_.allocate(all.data() + held, static_cast<unsigned>(all.size()) - held);
      if (n == 0) break;
      held += n;
    }
    Packet* burst[64];
    for (unsigned i = 0; i < 100; ++i) {
      const unsigned n = port_.queue(0).rx(burst, 64);
      if (n != 0) cache_.free(burst, n);
    }
    unsigned freed = 0;
    while (freed < held) {
      const unsigned n = std::min(64U, held - freed);
      cache_.free(all.data() + freed, n);
      freed += n;
    }
    const Bytes sent = peer_.make(9999, 300);
    ASSERT_TRUE(peer_.put(sent));
    auto packets = receive(port_.queue(0), 1);
    ASSERT_EQ(packets.size(), 1U);
    EXPECT_TRUE(peer_.same(sent, bytes_of(*packets[0])));
    cache_.free(packets.data(), 1);
  }

  Port& port_;
  PacketPool& pool_;
  PoolCache& cache_;
  PortPeer peer_;
};

/// Runs the contract on an open port. `cache`: the pool cache that queue 0 was opened with.
inline void port_contract(Port& port, PacketPool& pool, unsigned cache, PortPeer peer) {
  PortContract(port, pool, cache, std::move(peer)).run();
}

}  // namespace sluice::test
