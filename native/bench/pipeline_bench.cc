// The pipeline from receive ring to transmit ring on one core, in TSC cycles a packet.
// Generator and sink share the core; they are measured alone too, and what remains after
// subtracting them is printed as "/net". 4,096 buffers circulate first in, first out, their
// headers written anew each round; sessions are drawn uniformly at random.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
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
      : path_(path),
        uplink_(uplink),
        bytes_(bytes),
        template_(bench::packet_template(path.kind, uplink, bytes)),
        is_v4_(!path.kind.outer_v6 && !path.kind.inner_v6) {
    std::uint64_t seed = 88172645463325252ull;
    order_.resize(kOrder);
    for (auto& key : order_) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      key = path_.keys[seed % path_.keys.size()];
    }
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
      p->length = static_cast<std::uint16_t>(bytes_ + template_.inner_at);
      if (__builtin_expect(!is_v4_, 0)) {
        write_v6(p, key);
      } else if (uplink_) {
        p->offset = kAccessDataOffset;
        p->port = 0;
        std::byte* d = p->data();
        std::memcpy(d, template_.headers, 72);  // sizes that the compiler knows
        wire::store32(d + 32, key.teid);
        wire::store32(d + 56, key.ue);
      } else {
        p->offset = kCoreDataOffset;
        p->port = 1;
        std::byte* d = p->data();
        std::memcpy(d, template_.headers, 28);
        wire::store32(d + 16, key.ue);
      }
      packets[i] = p;
    }
  }
  /// IPv6 outside, inside, or both.
  void write_v6(Packet* p, const bench::PacketPath::Key& key) const {
    p->offset = uplink_ ? kAccessDataOffset : kCoreDataOffset;
    p->port = uplink_ ? 0 : 1;
    // Outer UDP over IPv6 has a checksum; a NIC has looked at it.
    p->flags = kPacketOuterChecksumGood;
    std::byte* d = p->data();
    std::memcpy(d, template_.headers, sizeof template_.headers);  // what is beyond is payload
    if (uplink_) wire::store32(d + template_.inner_at - 12, key.teid);
    wire::store32(d + template_.ue_at, key.ue);
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
  bench::PacketTemplate template_;
  bool is_v4_;
  std::vector<bench::PacketPath::Key> order_;
  std::uint64_t next_ = 0;
  Circle circle_;
};

/// Captured: gross, while one session of them all is captured. Added: gross, less that of plain
/// packets with full rules in the same run.
enum class Figure { Gross, Net, Mpps, Captured, Added };

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

/// Ends the bench: a figure of lost packets would be none, and the circle has no packets then.
[[noreturn]] void end_for_losses(const bench::PacketPath& path, std::uint64_t sent,
                                 std::uint64_t received) {
  std::fprintf(stderr, "bench: %llu sent, %llu received\n", static_cast<unsigned long long>(sent),
               static_cast<unsigned long long>(received));
  const DatapathStatistics statistics = path.datapath->statistics();
  for (std::size_t reason = 1; reason < kDropReasons; ++reason) {
    if (statistics.dropped[reason] == 0) continue;
    std::fprintf(stderr, "bench: %s: %llu\n", drop_reason_label(static_cast<DropReason>(reason)),
                 static_cast<unsigned long long>(statistics.dropped[reason]));
  }
  std::_Exit(1);
}

double run(const bench::PathKind& kind, bool uplink, unsigned bytes, Figure figure,
           const bench::Options& options) {
  if (options.quick && kind.sessions > 100'000) return -1;
  bench::PacketPath& path = bench::PacketPath::of(kind);
  Loop loop(path, uplink, bytes);
  std::unique_ptr<OneCapture> capture;
  if (figure == Figure::Captured) {
    capture = std::make_unique<OneCapture>(path.datapath->captures());
  }
  std::uint64_t sent = 0, received = 0;
  loop.gross(2000, sent, received);  // warm
  const std::uint64_t rounds = options.rounds(60'000);
  const double gross = loop.gross(rounds, sent, received);
  if (received != sent) end_for_losses(path, sent, received);
  if (figure == Figure::Gross || figure == Figure::Captured) return gross;
  if (figure == Figure::Added) {
    Loop plain(bench::PacketPath::of({.sessions = kind.sessions}), uplink, bytes);
    plain.gross(2000, sent, received);
    // Below zero it is the noise of the machine.
    return std::max(0.0, gross - plain.gross(rounds, sent, received));
  }
  if (figure == Figure::Mpps) return static_cast<double>(Clock::machine().tsc_hz()) / gross / 1e6;
  return gross - loop.alone(rounds);
}

/// Rows of what is more than plain: IPv6, many PDRs.
void add_variants(bool uplink) {
  const std::string prefix =
      std::string("pipeline/") + (uplink ? "uplink" : "downlink") + "/64B/1k/full/";
  const auto added = [&](const char* name, const bench::PathKind& kind) {
    bench::Register(prefix + name + "/added", "cycles/packet", [=](const bench::Options& o) {
      return run(kind, uplink, 64, Figure::Added, o);
    });
  };
  added("outer-v6", {.outer_v6 = true});
  added("inner-v6", {.inner_v6 = true});
  added("both-v6", {.outer_v6 = true, .inner_v6 = true});
  added("pdrs32", {.pdrs = 32});
}

bool add_all() {
  for (const bool uplink : {true, false}) {
    add_variants(uplink);
    for (const unsigned bytes : {64u, 512u, 1400u}) {
      for (const auto& [label, sessions] : {std::pair{"1", 1u},
                                            {"1k", 1000u},
                                            {"100k", 100'000u},
                                            {"1M", 1'000'000u},
                                            {"4M", 4'000'000u}}) {
        for (const bool full : {false, true}) {
          const std::string name = std::string("pipeline/") + (uplink ? "uplink/" : "downlink/") +
                                   std::to_string(bytes) + "B/" + label +
                                   (full ? "/full" : "/bare");
          const auto with = [=, sessions = sessions](Figure figure) {
            return [=](const bench::Options& o) {
              return run({.sessions = sessions, .full = full}, uplink, bytes, figure, o);
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
                          "cycles/packet", [=](const bench::Options& o) {
                            return run({.is_protected = true}, true, bytes, Figure::Added, o);
                          });
        }
      }
    }
  }
  return true;
}
const bool kAdded = add_all();

}  // namespace
