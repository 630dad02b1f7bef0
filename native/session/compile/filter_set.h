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
inline constexpr std::uint16_t kNoQfi = 64;  ///< the packet carried none
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

struct Filter6 {
  // Addresses as they lie in a packet; the masks in the same order, so that both are compared at
  // once.
  std::uint64_t remote[2], local[2];
  std::uint64_t remote_mask[2], local_mask[2];
  std::uint16_t low[4], high[4];  // protocol, ports, QFI
};
static_assert(sizeof(Filter6) == 80);

struct FilterPair {
  alignas(kCacheLine) std::uint16_t low[2][kLanes];
  std::uint16_t high[2][kLanes];
};
static_assert(sizeof(FilterPair) == kCacheLine);

/// The start of a FilterExtra, near at hand for the first filters of a set.
struct FilterHit {
  std::uint8_t pdr;
  std::uint8_t flags;
};
inline constexpr unsigned kHitsNear = 19;
/// Filters of a family that are compared one by one: an index of more costs less.
inline constexpr unsigned kComparedMost = 16;

struct alignas(kCacheLine) FilterSet {
  std::uint32_t bytes;
  std::uint16_t count4, count6;
  std::uint64_t hash;
  // Cache lines from here to the index of either family, 0: it has none.
  std::uint32_t index4, index6;
  std::uint16_t
      compared4;  ///< IPv4 filters that are compared one by one: all, or with an index none
  FilterHit hits[kHitsNear];  ///< of the first IPv4 filters
  // Then FilterPair pairs[(count4 + 1) / 2]; Filter6 filters6[count6]; FilterExtra extra[count4 +
  // count6].
  const FilterPair* pairs() const noexcept { return reinterpret_cast<const FilterPair*>(this + 1); }
  const Filter6* filters6() const noexcept {
    return reinterpret_cast<const Filter6*>(pairs() + (count4 + 1) / 2);
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

/// The same for IPv6; addresses as they lie in the packet.
template <typename Accepts>
inline unsigned match_ipv6(const FilterSet& set, const Operand& operand, const std::byte* remote,
                           const std::byte* local, unsigned granted, Accepts&& accepts) noexcept {
  const Filter6* filters = set.filters6();
  const FilterExtra* extra = set.extra() + set.count4;
  if (__builtin_expect(set.index6 != 0, 0)) {
    const auto word = [remote, local](unsigned number) {
      std::uint16_t octets;
      std::memcpy(&octets, (number < 8 ? remote : local) + number % 8 * 2, sizeof(octets));
      return __builtin_bswap16(octets);
    };
    return match_index(set.index(set.index6), extra, operand, granted, word, accepts);
  }
#if defined(__AVX2__)
  const auto octets = [](const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  };
  const auto lanes = [](const void* from) {
    return _mm_loadl_epi64(static_cast<const __m128i*>(from));
  };
  const __m256i addresses = _mm256_set_m128i(octets(local), octets(remote));
  const __m128i x = lanes(operand.lanes + kProtocol);
#else
  std::uint64_t r[2], l[2];
  std::memcpy(r, remote, 16);
  std::memcpy(l, local, 16);
#endif
  for (unsigned i = 0; i < set.count6; ++i) {
    const Filter6& f = filters[i];
#if defined(__AVX2__)
    const auto pair = [](const std::uint64_t* from) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    };
    const __m256i differs =
        _mm256_xor_si256(_mm256_and_si256(addresses, pair(f.remote_mask)), pair(f.remote));
    const __m128i inside = _mm_and_si128(_mm_cmpeq_epi16(_mm_max_epu16(x, lanes(f.low)), x),
                                         _mm_cmpeq_epi16(_mm_min_epu16(x, lanes(f.high)), x));
    const bool hit =
        _mm256_testz_si256(differs, differs) != 0 && (_mm_movemask_epi8(inside) & 0xff) == 0xff;
#else
    bool hit =
        (((r[0] & f.remote_mask[0]) ^ f.remote[0]) | ((r[1] & f.remote_mask[1]) ^ f.remote[1]) |
         ((l[0] & f.local_mask[0]) ^ f.local[0]) | ((l[1] & f.local_mask[1]) ^ f.local[1])) == 0;
    for (unsigned lane = 0; lane < 4; ++lane) {
      const std::uint16_t value = operand.lanes[kProtocol + lane];
      hit &= value >= f.low[lane] && value <= f.high[lane];
    }
#endif
    if (hit && ((extra[i].flags & ~granted) == 0 || accepts(extra[i]))) return extra[i].pdr;
  }
  return kNoPdr;
}

/// Shares equal sets. Owner: the control thread.
class FilterSets {
 public:
  explicit FilterSets(RulesArena& arena) noexcept : arena_(arena) {}
  /// One more reference to the set of these filters, made when it is new; 0 when memory is full.
  ArenaRef acquire(std::span<const Filter> filters);
  void release(ArenaRef ref);
  /// Whether it has filters for IPv4, and few enough to be compared one by one.
  bool compares(ArenaRef ref) const noexcept { return arena_.at<FilterSet>(ref)->compared4 != 0; }
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
