// Packets that go round through one worker, all on the caller's thread: made, injected, taken
// through the worker's loop, collected. Buffers circulate first in, first out, 4,096 of them for
// most figures, their headers written anew each round; sessions are drawn uniformly at random.
#pragma once
#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "bench/path/packet_path.h"
#include "port/memory_port.h"
#include "wire/bytes.h"

namespace bench {

struct LoopKind {
  bool uplink = true;
  /// Of the UE's packets, by turns.
  std::vector<unsigned> bytes = {64};
  unsigned worker = 0;
  /// Sessions of this worker alone; else of all.
  bool own_sessions = false;
  /// Packets are dropped on purpose: the pool gives others in their place.
  bool loses = false;
  unsigned buffers = 4096;  ///< a power of two
  /// Asked of each packet that comes out; empty: nothing is.
  std::function<bool(const sluice::Packet&)> accepts;
};

class PacketLoop {
 public:
  static constexpr unsigned kBurst = 32;

  /// @param path  outlives it. One thread at a time makes or ends loops of a path.
  PacketLoop(PacketPath& path, const LoopKind& kind)
      : path_(path), kind_(kind), is_v4_(!path.kind.outer_v6 && !path.kind.inner_v6) {
    for (const unsigned bytes : kind.bytes) {
      templates_.push_back(packet_template(path.kind, kind.uplink, bytes));
    }
    draw_order();
    // Packets handed over come out at the other worker's side: room for all of them.
    circle_.slots.resize(path.workers() * kind.buffers);
    fill(kind.buffers);
    for (Packet* p : circle_.slots) {
      if (p != nullptr) std::memset(p->data() - p->offset + 64, 0, 1500);
    }
  }
  PacketLoop(const PacketLoop&) = delete;
  PacketLoop& operator=(const PacketLoop&) = delete;
  ~PacketLoop() {
    sink();
    Packet* packet[1];
    while (circle_.count() != 0) {
      packet[0] = circle_.take();
      pool().free(packet, 1);
    }
  }

  /// One burst in, as far as there are buffers, one turn of the worker, and what came out.
  void turn() {
    if (kind_.loses) refill();
    Packet* packets[kBurst];
    // With several workers all may be on their way round the other one.
    if (__builtin_expect(circle_.count() >= kBurst, 1)) {
      generate(packets);
      in().inject(kind_.worker, packets, kBurst);
      sent_ += kBurst;
    }
    turn_without_input();
  }
  void turn_without_input() {
    path_.datapath->workers()[kind_.worker]->loop();
    received_ += sink();
  }
  /// Cycles a packet.
  double gross(std::uint64_t rounds) {
    const std::uint64_t before = sent_, start = tsc();
    for (std::uint64_t r = 0; r < rounds; ++r) turn();
    const std::uint64_t end = tsc();
    turn_without_input();  // what is still inside
    return static_cast<double>(end - start) / static_cast<double>(sent_ - before);
  }
  /// Generator and sink alone.
  double alone(std::uint64_t rounds) {
    Packet* packets[kBurst];
    const std::uint64_t start = tsc();
    for (std::uint64_t r = 0; r < rounds; ++r) {
      generate(packets);
      circle_.put(packets, kBurst);
    }
    return static_cast<double>(tsc() - start) / static_cast<double>(rounds * kBurst);
  }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t received() const { return received_; }
  /// Packets that were not accepted.
  std::uint64_t refused() const { return refused_; }

 private:
  using Packet = sluice::Packet;
  using MemoryPort = sluice::MemoryPort;
  static constexpr unsigned kOrder = 1u << 20;

  /// Buffers on their way round; as many slots as a power of two.
  struct Circle {
    std::vector<Packet*> slots;
    unsigned head = 0, tail = 0;
    Packet*& at(unsigned i) { return slots[i & (slots.size() - 1)]; }
    unsigned count() const { return tail - head; }
    Packet* take() { return at(head++); }
    void put(Packet* const* packets, unsigned n) {
      for (unsigned i = 0; i < n; ++i) at(tail++) = packets[i];
    }
  };

  static std::uint64_t tsc() { return sluice::tsc(); }
  sluice::PoolCache& pool() { return path_.datapath->pool().cache(path_.workers()); }
  MemoryPort& in() {
    return static_cast<MemoryPort&>(*path_.datapath->ports()[kind_.uplink ? 0 : 1]);
  }
  MemoryPort& out() {
    return static_cast<MemoryPort&>(*path_.datapath->ports()[kind_.uplink ? 1 : 0]);
  }

  void draw_order() {
    std::uint64_t seed = 88172645463325252ull + kind_.worker;
    const auto workers = path_.workers();
    order_.resize(kOrder);
    for (auto& key : order_) {
      std::size_t session;
      do {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        session = seed % path_.keys.size();
      } while (kind_.own_sessions && path_.owner_of(session) != kind_.worker % workers);
      key = path_.keys[session];
    }
  }

  /// Room stays for what is inside the worker.
  void refill() {
    const unsigned wanted = kind_.buffers - 8 * kBurst;
    if (circle_.count() < wanted) fill(wanted - circle_.count());
  }
  void fill(unsigned count) {
    Packet* packets[kBurst];
    while (count != 0) {
      const unsigned n = pool().allocate(packets, std::min(count, kBurst));
      if (n == 0) return;
      circle_.put(packets, n);
      count -= n;
    }
  }

  void generate(Packet** packets) {
    if (!is_v4_) return generate_v6(packets);
    const bool one_size = templates_.size() == 1;
    if (kind_.uplink) {
      one_size ? generate_v4<true, true>(packets) : generate_v4<true, false>(packets);
    } else {
      one_size ? generate_v4<false, true>(packets) : generate_v4<false, false>(packets);
    }
  }
  /// The generator is in every figure, and so it does for common packets what it must and no more.
  template <bool kUplink, bool kOneSize>
  void generate_v4(Packet** packets) {
    static_assert(kOrder % kBurst == 0);
    const PacketPath::Key* const keys = order_.data() + next_ % kOrder;
    const std::size_t sizes = templates_.size();
    const std::uint64_t first = next_;
    next_ += kBurst;
    for (unsigned i = 0; i < kBurst; ++i) {
      const PacketTemplate& made = templates_[kOneSize ? 0 : (first + i) % sizes];
      Packet* const p = take_ahead();
      p->flags = 0;
      p->length = static_cast<std::uint16_t>(made.packet_bytes);
      p->offset = kUplink ? sluice::kAccessDataOffset : sluice::kCoreDataOffset;
      std::byte* const d = reinterpret_cast<std::byte*>(p) + p->offset;
      std::memcpy(d, made.headers, kUplink ? 72 : 28);  // sizes that the compiler knows
      if constexpr (kUplink) sluice::wire::store32(d + 32, keys[i].teid);
      sluice::wire::store32(d + (kUplink ? 56 : 16), keys[i].ue);
      packets[i] = p;
    }
  }
  /// IPv6 outside, inside, or both.
  void generate_v6(Packet** packets) {
    for (unsigned i = 0; i < kBurst; ++i) {
      const auto key = order_[next_++ % kOrder];
      const PacketTemplate& made = templates_[next_ % templates_.size()];
      Packet* const p = packets[i] = take_ahead();
      p->length = static_cast<std::uint16_t>(made.packet_bytes);
      p->offset = kind_.uplink ? sluice::kAccessDataOffset : sluice::kCoreDataOffset;
      // Outer UDP over IPv6 has a checksum; a NIC has looked at it.
      p->flags = sluice::kPacketOuterChecksumGood;
      std::byte* const d = p->data();
      std::memcpy(d, made.headers, sizeof made.headers);  // what is beyond is payload
      if (kind_.uplink) sluice::wire::store32(d + made.inner_at - 12, key.teid);
      sluice::wire::store32(d + made.ue_at, key.ue);
    }
  }
  /// The next buffer; those behind it are on their way.
  Packet* take_ahead() {
    sluice::fetch_far_pair(circle_.at(circle_.head + kBurst));
    sluice::fetch_near_pair(circle_.at(circle_.head + sluice::kNearAhead));
    return circle_.take();
  }
  unsigned sink() {
    Packet* packets[64];
    unsigned total = 0;
    for (unsigned n; (n = out().collect(kind_.worker, packets, 64)) != 0; total += n) {
      if (__builtin_expect(kind_.accepts != nullptr, 0)) check(packets, n);
      circle_.put(packets, n);
    }
    return total;
  }

  void check(Packet* const* packets, unsigned count) {
    for (unsigned i = 0; i < count; ++i) refused_ += !kind_.accepts(*packets[i]);
  }

  PacketPath& path_;
  const LoopKind kind_;
  std::vector<PacketTemplate> templates_;
  const bool is_v4_;
  std::vector<PacketPath::Key> order_;
  std::uint64_t next_ = 0, sent_ = 0, received_ = 0, refused_ = 0;
  Circle circle_;
};

}  // namespace bench
