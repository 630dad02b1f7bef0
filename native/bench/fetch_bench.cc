// What fetching lines ahead is worth (memory/fetch.h): bursts of 32, two adjacent lines each, drawn
// at random, fetched while the burst before is worked on for about as long as the packet path
// takes. At once into the first-level cache, or in the two steps of the pipeline.
#include <sys/mman.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/draws.h"
#include "memory/fetch.h"

namespace {
using namespace sluice;

constexpr unsigned kBurst = 32;
/// Steps of a dependent calculation: what is fetched has so long to arrive.
constexpr unsigned kSteps = 40;

struct alignas(128) Pair {
  std::uint64_t first, unused[7], second;
};

/// Pairs of lines in memory of their own, on huge pages where the machine has some.
class Pairs {
 public:
  explicit Pairs(std::uint32_t count) : bytes_(count * sizeof(Pair)), order_(bench::draws(count)) {
    void* const memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    madvise(memory, bytes_, MADV_HUGEPAGE);
    pairs_ = static_cast<Pair*>(memory);
    for (std::uint32_t i = 0; i < count; ++i) pairs_[i].first = pairs_[i].second = i;
  }
  Pairs(const Pairs&) = delete;
  Pairs& operator=(const Pairs&) = delete;
  ~Pairs() {
    if (pairs_ != nullptr) munmap(pairs_, bytes_);
  }
  bool exist() const { return pairs_ != nullptr; }
  Pair& drawn(std::uint64_t i) const { return pairs_[order_[i % order_.size()]]; }

 private:
  std::size_t bytes_;
  std::vector<std::uint32_t> order_;
  Pair* pairs_ = nullptr;
};

template <bool kTwoSteps>
double work(std::uint32_t count, const bench::Options& options) {
  const Pairs pairs(count);
  if (!pairs.exist()) return -1;
  const std::uint64_t rounds = options.rounds(20'000);
  std::uint64_t next = 0;
  const std::uint64_t start = tsc();
  for (std::uint64_t r = 0; r < rounds; ++r, next += kBurst) {
    for (unsigned i = 0; i < kBurst; ++i) {
      const Pair& ahead = pairs.drawn(next + kBurst + i);
      for (const std::uint64_t* line : {&ahead.first, &ahead.second}) {
        kTwoSteps ? fetch_far(line) : fetch_near(line);
      }
    }
    for (unsigned i = 0; i < kBurst; ++i) {
      if constexpr (kTwoSteps) {
        const Pair& ahead = pairs.drawn(next + i + kNearAhead);
        fetch_near(&ahead.first);
        fetch_near(&ahead.second);
      }
      Pair& pair = pairs.drawn(next + i);
      std::uint64_t x = pair.first + pair.second;
      for (unsigned step = 0; step < kSteps; ++step) {
        x = x * 3 + 1;
        bench::keep(x);
      }
      pair.first = x;
    }
  }
  return static_cast<double>(tsc() - start) / static_cast<double>(rounds * kBurst);
}

bool add_all() {
  for (const auto& [label, count] :
       {std::pair{"1k", 1000u}, {"100k", 100'000u}, {"1M", 1'000'000u}}) {
    bench::Register(std::string("fetch/at-once/") + label, "cycles/packet",
                    [=](const bench::Options& o) { return work<false>(count, o); });
    bench::Register(std::string("fetch/two-steps/") + label, "cycles/packet",
                    [=](const bench::Options& o) { return work<true>(count, o); });
  }
  return true;
}
const bool kAdded = add_all();

}  // namespace
