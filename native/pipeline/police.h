// police: gates, then every bucket of the PDR has to have the tokens before any pays. Before
// them come the URRs that measure before policing.
// Part of pipeline.cc, as a header so that the compiler sees a packet's whole way at once.
#pragma once
#include "pipeline/pipeline.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sluice {
namespace stage {

/// Defined elsewhere, since the compiler would make the vector out of a constant that it knows,
/// again for every packet.
alignas(16) extern const std::uint64_t kLeastTokens[2];

struct Refilled {
  std::uint64_t t0, t1;
};

/// What the two buckets of the line hold now; the time is taken down, the tokens not yet.
[[gnu::always_inline]] inline Refilled refill_hot(FlowState& state, Nanoseconds now) noexcept {
  // A flow that was lent may have been refilled a moment after the burst came.
  now = std::max(now, state.refilled_at);
  const Nanoseconds elapsed = now - state.refilled_at;
  state.refilled_at = now;
  return {refill(state.tokens[0], state.rate_kbps[0], elapsed),
          refill(state.tokens[1], state.rate_kbps[1], elapsed)};
}

/// Whether the time since the buckets of the line were refilled is for the arithmetic of pay_hot().
inline bool is_refill_short(const FlowState& state, Nanoseconds now) noexcept {
  return (now - state.refilled_at) >> 32 == 0;
}

/// After this it is.
[[gnu::noinline]] inline void refill_long(FlowState& state, Nanoseconds now) noexcept {
  const Refilled held = refill_hot(state, now);
  state.tokens[0] = held.t0;
  state.tokens[1] = held.t1;
}

/// A packet pays out of those of the line's two buckets that its PDR names, or out of none: a
/// bucket that is not asked costs nothing and always has enough. Both are refilled at once, after a
/// short time.
[[gnu::always_inline]] inline bool pay_hot(FlowState& state, unsigned buckets, unsigned length,
                                           Nanoseconds now) noexcept {
#if defined(__AVX2__)
  constexpr auto kByte = kMicrobitsPerByte;
  alignas(16) static constexpr std::uint64_t kCost[4][2] = {
      {0, 0}, {kByte, 0}, {0, kByte}, {kByte, kByte}};
  const auto both = [](std::uint64_t v) { return _mm_set1_epi64x(static_cast<long long>(v)); };
  const auto greater = [](__m128i a, __m128i b) { return _mm_castsi128_pd(_mm_cmpgt_epi64(a, b)); };
  // All of these are below 2^63, so that signed comparing will do.
  const auto choose = [](__m128i a, __m128i b, __m128d second) {
    return _mm_castpd_si128(_mm_blendv_pd(_mm_castsi128_pd(a), _mm_castsi128_pd(b), second));
  };
  auto* const tokens = reinterpret_cast<__m128i*>(state.tokens);
  const __m128i rates =
      _mm_cvtepu32_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(state.rate_kbps)));
  const __m128i least = _mm_load_si128(reinterpret_cast<const __m128i*>(kLeastTokens));
  const __m128i wide = _mm_mul_epu32(rates, both(kBucketNanoseconds));
  const __m128i depth = choose(least, wide, greater(wide, least));
  const __m128i grown =
      _mm_add_epi64(_mm_load_si128(tokens), _mm_mul_epu32(rates, both(now - state.refilled_at)));
  const __m128i held = choose(grown, depth, greater(grown, depth));
  const __m128i costs = _mm_mul_epu32(
      both(length), _mm_load_si128(reinterpret_cast<const __m128i*>(kCost[buckets & 3])));
  const __m128i left = _mm_sub_epi64(held, costs);
  state.refilled_at = now;
  // Less than nothing is left: the sign says so.
  if (__builtin_expect(_mm_movemask_pd(_mm_castsi128_pd(left)) != 0, 0)) {
    _mm_store_si128(tokens, _mm_add_epi64(left, costs));
    return false;
  }
  _mm_store_si128(tokens, left);
  return true;
#else
  const std::uint64_t cost = length * kMicrobitsPerByte;
  const Refilled held = refill_hot(state, now);
  const std::uint64_t c0 = cost & (0 - std::uint64_t{buckets & 1u});
  const std::uint64_t c1 = cost & (0 - std::uint64_t{buckets >> 1 & 1u});
  const bool pass = (held.t0 >= c0) & (held.t1 >= c1);
  const std::uint64_t pays = 0 - std::uint64_t{pass};
  state.tokens[0] = held.t0 - (c0 & pays);
  state.tokens[1] = held.t1 - (c1 & pays);
  return pass;
#endif
}

}  // namespace stage

[[gnu::always_inline]] inline DropReason Pipeline::police(Burst& burst, unsigned i,
                                                          Hit& hit) noexcept {
  const PdrEntry pdr = *hit.pdr;
  if (__builtin_expect(pdr.flags & (kPdrGateClosed | kPdrMeasureFirst), 0)) {
    const FarEntry* far = hit.far;
    const DropReason verdict = measure_first(burst, i, hit, &far);
    if (verdict != DropReason::None) return verdict;
    hit.far = far;
  }
  if (pdr.buckets == 0) return DropReason::None;
  FlowState& state = hit.flow->state;
  if (__builtin_expect(pdr.buckets & kMoreBuckets, 0)) {
    const stage::Refilled tokens = stage::refill_hot(state, burst.now);
    state.tokens[0] = tokens.t0;
    state.tokens[1] = tokens.t1;
    return police_more(burst, i, hit) ? DropReason::None : DropReason::MbrExceeded;
  }
  Nanoseconds now = burst.now;
  if (__builtin_expect(!stage::is_refill_short(state, now), 0)) {
    stage::refill_long(state, now);
    now = state.refilled_at;
  }
  return stage::pay_hot(state, pdr.buckets, hit.length, now) ? DropReason::None
                                                             : DropReason::MbrExceeded;
}

}  // namespace sluice
