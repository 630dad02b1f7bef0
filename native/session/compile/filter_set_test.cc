// Filter sets against an obviously right model, and how they are shared.
#include "session/compile/filter_set.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <random>

namespace sluice {
namespace {

constexpr std::size_t kBytes = std::size_t{8} << 20;

struct Bed {
  std::unique_ptr<std::byte, decltype(&std::free)> memory{
      static_cast<std::byte*>(std::aligned_alloc(4096, kBytes)), &std::free};
  RulesArena arena{memory.get(), memory.get() + 4096, kBytes - 4096};
  FilterSets sets{arena};
};

struct Sample {
  Operand operand;
  std::array<std::byte, 16> remote, local;
};

/// Which extra conditions the packet at hand meets, by PDR.
struct Accepts {
  std::uint64_t mask;
  bool operator()(const FilterExtra& extra) const { return mask >> (extra.pdr % 64) & 1; }
};

bool fits(const Filter& f, const Sample& s, const Accepts& accepts) {
  if (f.extra.flags != 0 && !accepts(f.extra)) return false;
  for (unsigned lane = f.is_v6 ? unsigned{kProtocol} : 0u; lane < kLanes; ++lane) {
    if (s.operand.lanes[lane] < f.low[lane] || s.operand.lanes[lane] > f.high[lane]) return false;
  }
  for (unsigned i = 0; f.is_v6 && i < 16; ++i) {
    if ((std::to_integer<std::uint8_t>(s.remote[i]) & f.remote_mask[i]) != f.remote[i])
      return false;
    if ((std::to_integer<std::uint8_t>(s.local[i]) & f.local_mask[i]) != f.local[i]) return false;
  }
  return true;
}

unsigned first_fit(const std::vector<Filter>& filters, bool is_v6, const Sample& s,
                   const Accepts& accepts) {
  for (const Filter& f : filters) {
    if (f.is_v6 == is_v6 && fits(f, s, accepts)) return f.extra.pdr;
  }
  return kNoPdr;
}

class FilterSetTest : public ::testing::Test {
 protected:
  // Few values and the two ends, so that boxes are hit, missed by one, and wrapped.
  std::uint16_t value() {
    constexpr std::uint16_t kValues[] = {0, 1, 2, 443, 0x7fff, 0x8000, 0xfffe, 0xffff};
    return kValues[random_() % 8];
  }
  Filter filter(std::uint8_t pdr) {
    Filter f{};
    f.is_v6 = random_() % 2;
    f.extra.pdr = pdr;
    f.extra.flags = random_() % 4 == 0 ? kExtraTos : 0;
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const std::uint16_t a = value(), b = value();
      const bool any = random_() % 3 != 0;
      f.low[lane] = any ? 0 : a;  // sometimes empty: low above high
      f.high[lane] = any ? 0xffff : (random_() % 8 == 0 ? b : std::max(a, b));
    }
    const unsigned remote_bits = prefix(), local_bits = prefix();
    for (unsigned i = 0; i < 16; ++i) {
      f.remote_mask[i] = has_prefixes_ ? octet_of(remote_bits, i) : random_() % 8 == 0 ? 0xc0 : 0;
      f.local_mask[i] = has_prefixes_ ? octet_of(local_bits, i) : random_() % 16 == 0 ? 0x01 : 0;
      f.remote[i] = static_cast<std::uint8_t>(random_()) & f.remote_mask[i];
      f.local[i] = static_cast<std::uint8_t>(random_()) & f.local_mask[i];
    }
    return f;
  }
  unsigned prefix() {
    constexpr unsigned kLengths[] = {0, 0, 0, 1, 2, 3, 17, 128};
    return kLengths[random_() % 8];
  }
  static std::uint8_t octet_of(unsigned bits, unsigned i) {
    const unsigned set = bits <= i * 8 ? 0 : std::min(bits - i * 8, 8u);
    return static_cast<std::uint8_t>(0xff00 >> set);
  }
  Sample sample() {
    Sample s;
    for (auto& lane : s.operand.lanes) lane = value();
    for (auto& b : s.remote) b = std::byte(random_());
    for (auto& b : s.local) b = std::byte(random_());
    return s;
  }
  bool has_prefixes_ = false;  ///< else masks that no address has, as a filter's may be
  std::mt19937 random_{11};
  Bed bed_;
};

TEST_F(FilterSetTest, MatchesAsTheModelDoes) {
  unsigned hits = 0, misses = 0, indexed = 0;
  for (unsigned round = 0; round < 2000; ++round) {
    std::vector<Filter> filters;
    has_prefixes_ = round % 2 == 0;
    const unsigned n = 1 + random_() % (round % 4 == 0 ? 200 : 12);
    for (unsigned i = 0; i < n; ++i) filters.push_back(filter(static_cast<std::uint8_t>(i * 3)));
    const ArenaRef ref = bed_.sets.acquire(filters);
    ASSERT_NE(ref, 0u);
    const auto& set = *bed_.arena.at<FilterSet>(ref);
    indexed += (set.index4 != 0) + (set.index6 != 0);
    for (unsigned k = 0; k < 100; ++k) {
      const Sample s = sample();
      const Accepts accepts{std::uint64_t{random_()} << 32 | random_()};
      const unsigned four = match_ipv4(set, s.operand, 0, accepts);
      ASSERT_EQ(four, first_fit(filters, false, s, accepts));
      const unsigned six = match_ipv6(set, s.operand, s.remote.data(), s.local.data(), 0, accepts);
      ASSERT_EQ(six, first_fit(filters, true, s, accepts));
      hits += (four != kNoPdr) + (six != kNoPdr);
      misses += (four == kNoPdr) + (six == kNoPdr);
    }
    bed_.sets.release(ref);
  }
  EXPECT_GT(hits, 10'000u);
  EXPECT_GT(misses, 10'000u);
  EXPECT_GT(indexed, 200u);
  EXPECT_EQ(bed_.arena.live(), 0u);
}

TEST_F(FilterSetTest, EqualSetsAreOne) {
  std::vector<std::vector<Filter>> kinds;
  for (unsigned k = 0; k < 20; ++k) {
    std::vector<Filter> filters;
    for (unsigned i = 0; i <= k % 5; ++i) filters.push_back(filter(static_cast<std::uint8_t>(k)));
    kinds.push_back(filters);
  }
  std::vector<ArenaRef> refs(kinds.size());
  std::vector<unsigned> references(kinds.size());
  std::size_t live = 0;
  for (unsigned step = 0; step < 20'000; ++step) {
    const std::size_t k = random_() % kinds.size();
    if (random_() % 2 == 0) {
      const ArenaRef ref = bed_.sets.acquire(kinds[k]);
      ASSERT_NE(ref, 0u);
      if (references[k]++ != 0) {
        ASSERT_EQ(ref, refs[k]);
      }
      refs[k] = ref;
    } else if (references[k] != 0) {
      --references[k];
      bed_.sets.release(refs[k]);
    }
    std::size_t wanted = 0;
    for (const unsigned n : references) wanted += n != 0;
    ASSERT_EQ(bed_.sets.size(), wanted);
    live = std::max(live, bed_.arena.live());
  }
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    for (; references[k] != 0; --references[k]) bed_.sets.release(refs[k]);
  }
  EXPECT_GT(live, 0u);
  EXPECT_EQ(bed_.sets.size(), 0u);
  EXPECT_EQ(bed_.arena.live(), 0u);
}

TEST_F(FilterSetTest, AFullArenaIsAnAnswer) {
  RulesArena tiny(bed_.memory.get(), bed_.memory.get() + 4096, 256);
  FilterSets sets(tiny);
  const std::vector<Filter> one{filter(0)}, many(100, filter(1));
  const ArenaRef ref = sets.acquire(one);
  EXPECT_EQ(sets.acquire(many), 0u);
  EXPECT_EQ(sets.size(), ref != 0 ? 1u : 0u);
}

}  // namespace
}  // namespace sluice
