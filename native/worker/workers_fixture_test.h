// A packet path with two workers on threads of their own, and packets that carry a number.
// On a machine with one core there is one worker, and nothing to hand over.
#pragma once
#include <chrono>

#include "base/topology.h"
#include "worker/datapath_fixture_test.h"

namespace sluice::test {

inline constexpr unsigned kTagOffset = 28;  // behind the UE's IPv4 and UDP headers

inline unsigned usable_workers() {
  static const unsigned workers = [] {
    auto topology = discover_topology();
    return topology && topology.value().cores.size() > 1 ? 2u : 1u;
  }();
  return workers;
}

class WorkersTest : public DatapathTest {
 protected:
  unsigned workers() const override { return usable_workers(); }

  // Session n is in bucket n, so that neighbours have different owners.
  static SessionIndex session(unsigned n) { return index_of(n, 5); }
  static std::uint32_t teid(unsigned n) { return direct_teid(n, 5, 1); }
  static std::uint32_t ue(unsigned n) { return kUe + n; }

  static Bytes uplink(unsigned n, std::uint32_t tag, std::uint32_t to = kServer) {
    Bytes inner = ipv4({.source = ue(n), .destination = to});
    wire::store32(inner.data() + kTagOffset, tag);
    return gtpu(teid(n), inner);
  }
  static Bytes downlink(unsigned n, std::uint32_t tag) {
    Bytes inner = ipv4({.source = kServer, .destination = ue(n)});
    wire::store32(inner.data() + kTagOffset, tag);
    return inner;
  }
  /// Injects, making room by `drain` where pool or ring is full.
  template <typename F>
  void inject_all(unsigned at, const Bytes& bytes, unsigned queue, F&& drain) {
    while (!inject(at, bytes, queue)) drain();
    ++injected_;
  }
  bool at_rest() {
    const auto s = path_->statistics();
    std::uint64_t in = 0, out = s.held;
    for (const auto& p : s.ports) {
      in += p.counters.rx_packets;
      out += p.counters.tx_packets;
    }
    for (const auto n : s.dropped) out += n;
    return in == injected_ && in + s.created == out && s.held == 0;
  }
  /// Waits until every packet has left or died. A worker that hangs fails the test.
  template <typename F>
  void settle(F&& drain) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!at_rest()) {
      ASSERT_LT(std::chrono::steady_clock::now(), patience) << "packets are stuck";
      drain();
      std::this_thread::yield();
    }
    drain();
  }

  std::uint64_t injected_ = 0;
};

}  // namespace sluice::test
