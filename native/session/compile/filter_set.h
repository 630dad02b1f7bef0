// All filters that one kind of arrival of a session is matched against, in the order of
// its PDRs. Sets are interned: sessions with equal filters share one, which then stays in
// the first-level cache. Immutable once made; read by workers, made by the control thread.
//
// An IPv4 filter is a box in eight 16-bit dimensions (a prefix is a product of two ranges
// of halves), two of them a cache line, so that one compare answers for two. Where there are many,
// of either family, an index of their ranges answers for all (filter_index.h).
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/flow_hash.h"
#include "session/compile/filter_index.h"
#include "session/rules_arena.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sluice {

/// Dimensions of a box and lanes of a packet's operand.
enum Lane : unsigned {
  kRemoteHigh,
  kRemoteLow,
  kLocalHigh,
  kLocalLow,
  kProtocol,
  kRemotePort,
  kLocalPort,
  kQfi
};
inline constexpr unsigned kLanes = 8;
inline constexpr std::uint16_t kNoQfi = kNoQfiLane;  ///< the packet carried none
inline constexpr unsigned kNoPdr = 0xff;

struct alignas(16) Operand {
  std::uint16_t lanes[kLanes];
};

/// What only some filters ask of a packet; read when one of them matched otherwise.
struct FilterExtra {
  std::uint8_t pdr;    ///< index in the direction's PDR list
  std::uint8_t flags;  ///< kExtra…
  std::uint8_t tos;
  std::uint8_t tos_mask;
  std::uint32_t spi;
  std::uint32_t flow_label;
  PortMask ports;  ///< a packet that one of them received
  std::uint16_t reserved;
};
inline constexpr std::uint8_t kExtraPorts = 1;  ///< never matches a packet without ports
inline constexpr std::uint8_t kExtraTos = 2, kExtraSpi = 4, kExtraFlowLabel = 8;
/// Not every port that the UE's address is known at will do.
inline constexpr std::uint8_t kExtraInstance = 16;

/// One filter, before it is laid out.
struct Filter {
  std::uint16_t low[kLanes];
  std::uint16_t high[kLanes];
  bool is_v6 = false;
  std::uint8_t remote[16]{}, remote_mask[16]{}, local[16]{}, local_mask[16]{};  // IPv6 only
  FilterExtra extra{};
};

/// The start of a FilterExtra, near at hand.
struct FilterHit {
  std::uint8_t pdr;
  std::uint8_t flags;
};

struct alignas(32) Filter6 {
  // Addresses as they lie in a packet; the masks in the same order, so that both are compared at
  // once.
  std::uint64_t remote[2], local[2];
  std::uint64_t remote_mask[2], local_mask[2];
  std::uint16_t low[4], high[4];  // protocol, ports, QFI; these eight lanes at once, too
  FilterHit hit;
};
static_assert(sizeof(Filter6) == 96);

struct FilterPair {
  alignas(kCacheLine) std::uint16_t low[2][kLanes];
  std::uint16_t high[2][kLanes];
};
static_assert(sizeof(FilterPair) == kCacheLine);

inline constexpr unsigned kHitsNear = 17;
/// Filters of a family that are compared one by one: an index of more costs less.
inline constexpr unsigned kComparedMost = 16;

struct alignas(kCacheLine) FilterSet {
  std::uint32_t bytes;
  std::uint16_t count4, count6;
  std::uint64_t hash;
  // Cache lines from here to the index of either family, 0: it has none.
  std::uint32_t index4, index6;
  // Filters that are compared one by one: all, or with an index none.
  std::uint16_t compared4, compared6;
  std::uint16_t lines6;       ///< cache lines from here to the IPv6 filters
  FilterHit hits[kHitsNear];  ///< of the first IPv4 filters
  // Then FilterPair pairs[(count4 + 1) / 2]; Filter6 filters6[count6]; FilterExtra extra[count4 +
  // count6].
  const FilterPair* pairs() const noexcept { return reinterpret_cast<const FilterPair*>(this + 1); }
  const Filter6* filters6() const noexcept {
    return reinterpret_cast<const Filter6*>(this + lines6);
  }
  const FilterExtra* extra() const noexcept {
    return reinterpret_cast<const FilterExtra*>(filters6() + count6);
  }
  const FilterIndex& index(std::uint32_t lines) const noexcept {
    return *reinterpret_cast<const FilterIndex*>(reinterpret_cast<const std::byte*>(this) +
                                                 std::size_t{lines} * kCacheLine);
  }
  /// Without indexes.
  static std::size_t size(unsigned count4, unsigned count6) noexcept {
    const std::size_t raw = sizeof(FilterSet) + (count4 + 1) / 2 * sizeof(FilterPair) +
                            count6 * sizeof(Filter6) + (count4 + count6) * sizeof(FilterExtra);
    return (raw + kCacheLine - 1) & ~(kCacheLine - 1);
  }
};
static_assert(sizeof(FilterSet) == kCacheLine);

/// First PDR of an index whose filter matches, or kNoPdr.
/// @param value_of  16 bits of the packet's addresses: remote, then local.
template <typename ValueOf, typename Accepts>
[[gnu::noinline]] unsigned match_index(const FilterIndex& index, const FilterExtra* extra,
                                       const Operand& operand, unsigned granted, ValueOf value_of,
                                       Accepts& accepts) noexcept {
  const unsigned at = index.first(operand.lanes, value_of, [&](unsigned i) {
    return (extra[i].flags & ~granted) == 0 || accepts(extra[i]);
  });
  return at == FilterIndex::kNone ? kNoPdr : extra[at].pdr;
}

/// The filters of a pair that an IPv4 packet is not inside of: two bits a lane, the first filter's
/// in the lower half.
[[gnu::always_inline]] inline std::uint32_t misses_of(const FilterPair& pair,
                                                      const Operand& operand) noexcept {
#if defined(__AVX2__)
  const __m256i x =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(operand.lanes)));
  const __m256i low = _mm256_load_si256(reinterpret_cast<const __m256i*>(pair.low));
  const __m256i high = _mm256_load_si256(reinterpret_cast<const __m256i*>(pair.high));
  const __m256i inside = _mm256_and_si256(_mm256_cmpeq_epi16(_mm256_max_epu16(x, low), x),
                                          _mm256_cmpeq_epi16(_mm256_min_epu16(x, high), x));
  return ~static_cast<std::uint32_t>(_mm256_movemask_epi8(inside));
#else
  std::uint32_t misses = 0;
  for (unsigned lane = 0; lane < 2 * kLanes; ++lane) {
    const unsigned x = operand.lanes[lane % kLanes], k = lane / kLanes;
    const bool inside = x >= pair.low[k][lane % kLanes] && x <= pair.high[k][lane % kLanes];
    misses |= std::uint32_t{!inside} << 2 * lane;
  }
  return misses;
#endif
}

/// First PDR whose filter matches an IPv4 packet, of those that are compared one by one; or kNoPdr.
/// @param set      has some.
/// @param accepts  asked of a matching filter whose extra conditions are not empty.
/// @param granted  conditions (kExtra…) that this packet is known to meet.
template <typename Accepts>
[[gnu::always_inline]] inline unsigned compare_ipv4(const FilterSet& set, const Operand& operand,
                                                    unsigned granted, Accepts&& accepts) noexcept {
  unsigned pdr = kNoPdr;
  const auto take = [&](unsigned at) __attribute__((always_inline)) {
    if (__builtin_expect(at < kHitsNear, 1)) {
      pdr = set.hits[at].pdr;
      if (__builtin_expect((set.hits[at].flags & ~granted) == 0, 1)) return true;
    }
    const FilterExtra& e = set.extra()[at];
    pdr = e.pdr;
    return e.flags == 0 || accepts(e);
  };
  const FilterPair* const pairs = set.pairs();
  // The first pair by itself: it is near, and most sets have no other.
  std::uint32_t misses = misses_of(pairs[0], operand);
  if ((misses & 0xffff) == 0 && take(0)) return pdr;
  if (misses >> 16 == 0 && take(1)) return pdr;
  for (unsigned first = 2; first < set.compared4; first += 2) {
    misses = misses_of(pairs[first / 2], operand);
    if ((misses & 0xffff) == 0 && take(first)) return pdr;
    if (misses >> 16 == 0 && take(first + 1)) return pdr;
  }
  return kNoPdr;
}

/// The same of all filters.
template <typename Accepts>
inline unsigned match_ipv4(const FilterSet& set, const Operand& operand, unsigned granted,
                           Accepts&& accepts) noexcept {
  if (set.index4 == 0) {
    return set.compared4 == 0 ? kNoPdr : compare_ipv4(set, operand, granted, accepts);
  }
  const auto no_address = [](unsigned) { return std::uint16_t{0}; };
  return match_index(set.index(set.index4), set.extra(), operand, granted, no_address, accepts);
}

/// What a filter says of an IPv6 packet whose addresses lie there.
class Compare6 {
 public:
  [[gnu::always_inline]] Compare6(const Operand& operand, const std::byte* remote,
                                  const std::byte* local) noexcept
#if defined(__AVX2__)
      : addresses_(_mm256_set_m128i(octets(local), octets(remote))),
        lanes_(_mm_set1_epi64x(static_cast<long long>(rest(operand)))) {
  }
  [[gnu::always_inline]] bool is_inside(const Filter6& f) const noexcept {
    const auto pair = [](const std::uint64_t* from) {
      return _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
    };
    const __m256i addresses =
        _mm256_xor_si256(_mm256_and_si256(addresses_, pair(f.remote_mask)), pair(f.remote));
    // The greater of each lane and its bounds is the lane itself, and its upper bound.
    const __m128i bounds = _mm_load_si128(reinterpret_cast<const __m128i*>(f.low));
    const __m128i lanes =
        _mm_xor_si128(_mm_max_epu16(lanes_, bounds), _mm_blend_epi16(lanes_, bounds, 0xf0));
    const __m256i differs = _mm256_or_si256(addresses, _mm256_zextsi128_si256(lanes));
    return _mm256_testz_si256(differs, differs) != 0;
  }

 private:
  static __m128i octets(const std::byte* from) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  const __m256i addresses_;
  const __m128i lanes_;
#else
      : lanes_(rest(operand)) {
    std::memcpy(remote_, remote, 16);
    std::memcpy(local_, local, 16);
  }
  bool is_inside(const Filter6& f) const noexcept {
    bool inside = (((remote_[0] & f.remote_mask[0]) ^ f.remote[0]) |
                   ((remote_[1] & f.remote_mask[1]) ^ f.remote[1]) |
                   ((local_[0] & f.local_mask[0]) ^ f.local[0]) |
                   ((local_[1] & f.local_mask[1]) ^ f.local[1])) == 0;
    std::uint16_t lanes[4];
    std::memcpy(lanes, &lanes_, sizeof(lanes));
    for (unsigned lane = 0; lane < 4; ++lane) {
      inside &= lanes[lane] >= f.low[lane] && lanes[lane] <= f.high[lane];
    }
    return inside;
  }

 private:
  std::uint64_t remote_[2], local_[2];
  std::uint64_t lanes_;
#endif
  /// Protocol, ports and QFI.
  static std::uint64_t rest(const Operand& operand) noexcept {
    std::uint64_t lanes;
    std::memcpy(&lanes, operand.lanes + kProtocol, sizeof(lanes));
    return lanes;
  }
};

/// First PDR whose filter matches an IPv6 packet, of those that are compared one by one; or kNoPdr.
/// Addresses as they lie in the packet; else as compare_ipv4().
template <typename Accepts>
[[gnu::always_inline]] inline unsigned compare_ipv6(const FilterSet& set, const Operand& operand,
                                                    const std::byte* remote, const std::byte* local,
                                                    unsigned granted, Accepts&& accepts) noexcept {
  const Compare6 compare(operand, remote, local);
  const Filter6* filter = set.filters6();
  for (const Filter6* const end = filter + set.compared6; filter != end; ++filter) {
    if (!compare.is_inside(*filter)) continue;
    if (__builtin_expect((filter->hit.flags & ~granted) == 0, 1) ||
        accepts(set.extra()[set.count4 + (filter - set.filters6())])) {
      return filter->hit.pdr;
    }
  }
  return kNoPdr;
}

/// The same of all filters.
template <typename Accepts>
inline unsigned match_ipv6(const FilterSet& set, const Operand& operand, const std::byte* remote,
                           const std::byte* local, unsigned granted, Accepts&& accepts) noexcept {
  if (__builtin_expect(set.index6 == 0, 1)) {
    return compare_ipv6(set, operand, remote, local, granted, accepts);
  }
  const auto word = [remote, local](unsigned number) {
    std::uint16_t octets;
    std::memcpy(&octets, (number < 8 ? remote : local) + number % 8 * 2, sizeof(octets));
    return __builtin_bswap16(octets);
  };
  const FilterExtra* const extra = set.extra() + set.count4;
  return match_index(set.index(set.index6), extra, operand, granted, word, accepts);
}

/// Shares equal sets. Owner: the control thread.
class FilterSets {
 public:
  explicit FilterSets(RulesArena& arena) noexcept : arena_(arena) {}
  /// One more reference to the set of these filters, made when it is new; 0 when memory is full.
  ArenaRef acquire(std::span<const Filter> filters);
  void release(ArenaRef ref);
  /// Whether it has filters for a family, and few enough to be compared one by one.
  bool compares(ArenaRef ref, bool is_v6) const noexcept {
    const FilterSet& set = *arena_.at<FilterSet>(ref);
    return (is_v6 ? set.compared6 : set.compared4) != 0;
  }
  std::size_t size() const noexcept { return references_.size(); }

 private:
  void lay_out(std::span<const Filter> filters, unsigned count4);
  void make_index(std::span<const Filter> filters, bool is_v6, std::vector<std::byte>& out);
  RulesArena& arena_;
  std::vector<std::byte> scratch_, index4_, index6_;
  std::vector<FilterRange> ranges_;
  std::unordered_multimap<std::uint64_t, ArenaRef> by_hash_;
  std::unordered_map<ArenaRef, std::uint32_t> references_;
};

}  // namespace sluice
