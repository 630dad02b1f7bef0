// The pipeline from receive ring to transmit ring on one core, in TSC cycles a packet.
// Generator and sink share the core; they are measured alone too, and what remains after
// subtracting them is printed as "/net". 4,096 buffers circulate first in, first out, their
// headers written anew each round; sessions are drawn uniformly at random.
#include <cstring>
#include <memory>
#include <string>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/packet_path.h"
#include "port/memory_port.h"
#include "wire/gtpu.h"
#include "wire/udp.h"

namespace {
using namespace sluice;

constexpr unsigned kBuffers = 4096, kBurst = 32;
constexpr unsigned kOrder = 1u << 20;

/// Buffers on their way round, first in, first out.
struct Circle {
  std::vector<Packet*> slots = std::vector<Packet*>(kBuffers);
  unsigned head = 0, tail = 0;
  void put(Packet* const* packets, unsigned n) {
    for (unsigned i = 0; i < n; ++i) slots[tail++ % kBuffers] = packets[i];
  }
};

class Loop {
 public:
  Loop(bench::PacketPath& path, bool uplink, unsigned bytes)
      : path_(path), uplink_(uplink), bytes_(bytes) {
    std::uint64_t seed = 88172645463325252ull;
    order_.resize(kOrder);
    for (auto& key : order_) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      key = path_.keys[seed % path_.keys.size()];
    }
    bench::write_packet(header_, uplink_, bytes_);
    PoolCache& pool = path_.datapath->pool().cache(1);
    Packet* packets[kBurst];
    for (unsigned i = 0; i < kBuffers; i += kBurst) {
      pool.allocate(packets, kBurst);
      for (Packet* p : packets) std::memset(p->data() - p->offset + 64, 0, 1500);
      circle_.put(packets, kBurst);
    }
  }
  ~Loop() {
    drain();
    PoolCache& pool = path_.datapath->pool().cache(1);
    for (; circle_.head != circle_.tail; ++circle_.head)
      pool.free(&circle_.slots[circle_.head % kBuffers], 1);
  }

  /// Cycles a packet, and the packets that came out.
  double gross(std::uint64_t rounds, std::uint64_t& sent, std::uint64_t& received) {
    auto& in = static_cast<MemoryPort&>(*path_.datapath->ports()[uplink_ ? 0 : 1]);
    Worker& worker = *path_.datapath->workers()[0];
    sent = received = 0;
    Packet* packets[kBurst];
    const std::uint64_t start = tsc();
    for (std::uint64_t r = 0; r < rounds; ++r) {
      generate(packets);
      in.inject(0, packets, kBurst);
      sent += kBurst;
      worker.loop();
      received += sink();
    }
    const std::uint64_t end = tsc();
    worker.loop();  // what is still inside
    received += sink();
    return static_cast<double>(end - start) / static_cast<double>(sent);
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

 private:
  void generate(Packet** packets) {
    for (unsigned i = 0; i < kBurst; ++i) {
      __builtin_prefetch(circle_.slots[(circle_.head + kBurst + i) % kBuffers], 1);
      if (!uplink_)
        __builtin_prefetch(
            reinterpret_cast<std::byte*>(circle_.slots[(circle_.head + kBurst + i) % kBuffers]) +
                64,
            1);
    }
    for (unsigned i = 0; i < kBurst; ++i) {
      Packet* p = circle_.slots[circle_.head++ % kBuffers];
      const auto key = order_[next_++ % kOrder];
      p->flags = 0;
      if (uplink_) {
        p->offset = kAccessDataOffset;
        p->length = static_cast<std::uint16_t>(bytes_ + 44);
        p->port = 0;
        std::byte* d = p->data();
        std::memcpy(d, header_, 72);
        wire::store32(d + 32, key.teid);
        wire::store32(d + 56, key.ue);
      } else {
        p->offset = kCoreDataOffset;
        p->length = static_cast<std::uint16_t>(bytes_);
        p->port = 1;
        std::byte* d = p->data();
        std::memcpy(d, header_, 28);
        wire::store32(d + 16, key.ue);
      }
      packets[i] = p;
    }
  }
  unsigned sink() {
    auto& out = static_cast<MemoryPort&>(*path_.datapath->ports()[uplink_ ? 1 : 0]);
    Packet* packets[64];
    unsigned total = 0;
    for (unsigned n; (n = out.collect(0, packets, 64)) != 0; total += n) circle_.put(packets, n);
    return total;
  }
  void drain() { sink(); }

  bench::PacketPath& path_;
  bool uplink_;
  unsigned bytes_;
  std::byte header_[80] = {};
  std::vector<bench::PacketPath::Key> order_;
  std::uint64_t next_ = 0;
  Circle circle_;
};

/// Captured: gross, while one session of them all is captured. Protected: what sealing adds to it.
enum class Figure { Gross, Net, Mpps, Captured, Protected };

/// A capture of the first session, for as long as this lives.
class OneCapture {
 public:
  explicit OneCapture(Captures& captures) : captures_(captures) {
    auto started = captures_.start({.session = 0});
    number_ = started ? started.value() : 0;
    captures_.turn();
  }
  ~OneCapture() {
    captures_.stop(number_);
    while (captures_.read(number_).end == CaptureEnd::Running) captures_.turn();
  }

 private:
  Captures& captures_;
  unsigned number_;
};

double run(std::uint32_t sessions, bool full, bool uplink, unsigned bytes, Figure figure,
           const bench::Options& options) {
  if (options.quick && sessions > 100'000) return -1;
  Loop loop(bench::PacketPath::of(sessions, full, figure == Figure::Protected), uplink, bytes);
  std::unique_ptr<OneCapture> capture;
  if (figure == Figure::Captured) {
    capture =
        std::make_unique<OneCapture>(bench::PacketPath::of(sessions, full).datapath->captures());
  }
  std::uint64_t sent = 0, received = 0;
  loop.gross(2000, sent, received);  // warm
  const std::uint64_t rounds = options.rounds(60'000);
  const double gross = loop.gross(rounds, sent, received);
  if (received != sent) return -1;  // a figure of lost packets would be none
  if (figure == Figure::Gross || figure == Figure::Captured) return gross;
  if (figure == Figure::Protected) {
    Loop plain(bench::PacketPath::of(sessions, full), uplink, bytes);
    plain.gross(2000, sent, received);
    return gross - plain.gross(rounds, sent, received);
  }
  if (figure == Figure::Mpps) return static_cast<double>(Clock::machine().tsc_hz()) / gross / 1e6;
  return gross - loop.alone(rounds);
}

bool add_all() {
  for (const bool uplink : {true, false}) {
    for (const unsigned bytes : {64u, 512u, 1400u}) {
      for (const auto& [label, sessions] :
           {std::pair{"1", 1u}, {"1k", 1000u}, {"100k", 100'000u}, {"1M", 1'000'000u}}) {
        for (const bool full : {false, true}) {
          const std::string name = std::string("pipeline/") + (uplink ? "uplink/" : "downlink/") +
                                   std::to_string(bytes) + "B/" + label +
                                   (full ? "/full" : "/bare");
          const auto with = [=, sessions = sessions](Figure figure) {
            return [=](const bench::Options& o) {
              return run(sessions, full, uplink, bytes, figure, o);
            };
          };
          bench::Register(name, "cycles/packet", with(Figure::Gross));
          bench::Register(name + "/net", "cycles/packet", with(Figure::Net));
          bench::Register(name + "/mpps", "Mpps", with(Figure::Mpps));
          if (sessions != 1000 || !full) continue;
          bench::Register(name + "/captured", "cycles/packet", with(Figure::Captured));
          // On top of plain forwarding in the same run, in the worker's own thread.
          if (!uplink) continue;
          bench::Register("pipeline/uplink/" + std::to_string(bytes) + "B/1k/esp-gcm/inline",
                          "cycles/packet", with(Figure::Protected));
        }
      }
    }
  }
  return true;
}
const bool kAdded = add_all();

}  // namespace
