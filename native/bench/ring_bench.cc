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
  // Relaxed would do for the sums below, join() orders them; these two start the race.
  std::atomic<bool> ready{false};
  std::atomic<bool> go{false};
  std::thread producer([&] {
    sluice::pin_this_thread(bench::core(1));
    Object in[kBurst] = {};
    ready.store(true, std::memory_order_release);          // pairs with the acquire below
    while (!go.load(std::memory_order_acquire)) continue;  // pairs with go's release
    for (std::uint64_t i = 0; i < rounds; ++i) {
      while (!ring.enqueue_bulk(in, kBurst)) __builtin_ia32_pause();
    }
  });
  while (!ready.load(std::memory_order_acquire)) std::this_thread::yield();
  Object out[kBurst] = {};
  const std::uint64_t start = sluice::tsc();
  go.store(true, std::memory_order_release);
  for (std::uint64_t i = 0; i < rounds; ++i) {
    while (!ring.dequeue_bulk(out, kBurst)) __builtin_ia32_pause();
    bench::keep(out);
  }
  const std::uint64_t end = sluice::tsc();
  producer.join();
  return static_cast<double>(end - start) / static_cast<double>(rounds * kBurst);
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

const bool kSpsc = add_all<SpscRing>("spsc");
const bool kMpmc = add_all<MpmcRing>("mpmc");
}  // namespace
