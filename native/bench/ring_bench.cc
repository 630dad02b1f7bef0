// Rings: TSC cycles for one object to go through, 8 bytes each, 1,024 slots. On one core it
// is put and taken by the same thread; on two, one thread puts while the other takes.
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/topology.h"
#include "bench/bench.h"
#include "memory/region.h"
#include "memory/ring.h"

namespace {
using sluice::MpmcRing;
using sluice::SpscRing;
using Object = void*;
constexpr std::uint32_t kCapacity = 1024;

template <class Ring>
struct Fixture {
  Fixture() {
    sluice::RegionOptions options;
    options.bytes = Ring::bytes(kCapacity) + 8192;
    options.pages = sluice::PagePolicy::Off;
    auto made = sluice::Region::create(options);
    if (!made) return;
    region = std::move(made).value();
    ring = Ring::create(region->allocate(Ring::bytes(kCapacity)), kCapacity);
  }
  std::unique_ptr<sluice::Region> region;
  Ring* ring = nullptr;
};

template <class Ring, unsigned kBurst>
double one_core(const bench::Options& options) {
  Fixture<Ring> fixture;
  if (fixture.ring == nullptr) return -1;
  Ring& ring = *fixture.ring;
  Object in[kBurst] = {};
  Object out[kBurst] = {};
  const std::uint64_t rounds = options.rounds(20'000'000 / kBurst);
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    ring.enqueue_bulk(in, kBurst);
    ring.dequeue_bulk(out, kBurst);
    bench::keep(out);
  }
  return static_cast<double>(sluice::tsc() - start) / static_cast<double>(rounds * kBurst);
}

template <class Ring, unsigned kBurst>
double two_cores(const bench::Options& options) {
  if (bench::core(1) == bench::kNoCore) return -1;
  Fixture<Ring> fixture;
  if (fixture.ring == nullptr) return -1;
  Ring& ring = *fixture.ring;
  const std::uint64_t rounds = options.rounds(20'000'000 / (kBurst < 8 ? 4 : kBurst));
  // Both start when both are there, or the first one's start would be measured too.
  std::atomic<bool> ready{false};
  std::atomic<bool> go{false};
  std::thread producer([&] {
    sluice::pin_this_thread(bench::core(1));
    Object in[kBurst] = {};
    ready.store(true, std::memory_order_release);          // pairs with the acquire below
    while (!go.load(std::memory_order_acquire)) continue;  // pairs with go's release
    for (std::uint64_t i = 0; i < rounds; ++i) {
      while (!ring.enqueue_bulk(in, kBurst)) sluice::spin_pause();
    }
  });
  while (!ready.load(std::memory_order_acquire)) std::this_thread::yield();
  Object out[kBurst] = {};
  const std::uint64_t start = sluice::tsc();
  go.store(true, std::memory_order_release);
  for (std::uint64_t i = 0; i < rounds; ++i) {
    while (!ring.dequeue_bulk(out, kBurst)) sluice::spin_pause();
    bench::keep(out);
  }
  const std::uint64_t end = sluice::tsc();
  producer.join();
  return static_cast<double>(end - start) / static_cast<double>(rounds * kBurst);
}

// How long a line takes from one core to the other: what the two-core figures are made of. It
// differs by a factor of ten with where a hypervisor puts the cores.
double line_transfer(const bench::Options& options) {
  if (bench::core(1) == bench::kNoCore) return -1;
  const std::uint64_t rounds = options.rounds(1'000'000);
  struct alignas(2 * sluice::kCacheLine) {
    // Odd: the other thread's turn. Release on store pairs with the acquire of the other side.
    std::atomic<std::uint64_t> turn{0};
  } line;
  std::thread other([&] {
    sluice::pin_this_thread(bench::core(1));
    for (std::uint64_t i = 0; i < rounds; ++i) {
      while (line.turn.load(std::memory_order_acquire) != 2 * i + 1) sluice::spin_pause();
      line.turn.store(2 * i + 2, std::memory_order_release);
    }
  });
  std::uint64_t start = 0;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    line.turn.store(2 * i + 1, std::memory_order_release);
    while (line.turn.load(std::memory_order_acquire) != 2 * i + 2) sluice::spin_pause();
    if (i == 0) start = sluice::tsc();  // the other thread is there
  }
  const std::uint64_t end = sluice::tsc();
  other.join();
  return static_cast<double>(end - start) / static_cast<double>(2 * (rounds - 1) + 1);
}

template <template <class> class Ring, unsigned kBurst>
void add(const std::string& kind) {
  const std::string burst = "burst" + std::to_string(kBurst);
  bench::Register("ring/" + kind + "/1core/" + burst, "cycles/object",
                  one_core<Ring<Object>, kBurst>);
  bench::Register("ring/" + kind + "/2core/" + burst, "cycles/object",
                  two_cores<Ring<Object>, kBurst>);
}

template <template <class> class Ring>
bool add_all(const std::string& kind) {
  add<Ring, 1>(kind);
  add<Ring, 8>(kind);
  add<Ring, 32>(kind);
  return true;
}

const bench::Register kLine("ring/line/2core", "cycles", line_transfer);
const bool kSpsc = add_all<SpscRing>("spsc");
const bool kMpmc = add_all<MpmcRing>("mpmc");
}  // namespace
