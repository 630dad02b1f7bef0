// SM3 with the instructions of Armv8 for it, one stream. A vector has four words of the state, the
// first one (A, E) in its last lane. Source: Arm Architecture Reference Manual, SM3SS1 and others.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <utility>

#include "crypto/sm3/kernels.h"
#include "crypto/sm3/rounds.h"

namespace sluice::crypto::sm3 {
namespace {
[[gnu::always_inline]] inline uint32x4_t mirrored(uint32x4_t x) noexcept {
  const uint32x4_t pairs = vrev64q_u32(x);
  return vextq_u32(pairs, pairs, 2);
}

struct Halves {
  uint32x4_t abcd, efgh;
};

/// Round `kRound` of four, of which `w` has the words, and `pair` W_j ^ W_{j+4}.
template <int kRound>
[[gnu::always_inline]] inline void one_round(Halves& s, uint32x4_t w, uint32x4_t pair) noexcept {
  constexpr int kAt = kRound % 4;
  const uint32x4_t ss1 = vsm3ss1q_u32(s.abcd, s.efgh, vdupq_n_u32(kRoundConstants[kRound]));
  if constexpr (kRound < 16) {
    s.abcd = vsm3tt1aq_u32(s.abcd, ss1, pair, kAt);
    s.efgh = vsm3tt2aq_u32(s.efgh, ss1, w, kAt);
  } else {
    s.abcd = vsm3tt1bq_u32(s.abcd, ss1, pair, kAt);
    s.efgh = vsm3tt2bq_u32(s.efgh, ss1, w, kAt);
  }
}

/// Rounds kRound to kRound + 3. Words 4i to 4i + 3 of the message are in w[i % 5]; the last 20 of
/// them are there.
template <int kRound>
[[gnu::always_inline]] inline void quarter(Halves& s, uint32x4_t (&w)[5]) noexcept {
  constexpr int kGroup = kRound / 4;
  uint32x4_t& w0 = w[kGroup % 5];
  const uint32x4_t w4 = w[(kGroup + 1) % 5], w8 = w[(kGroup + 2) % 5], w12 = w[(kGroup + 3) % 5];
  if constexpr (kRound < 52) {
    const uint32x4_t begun = vsm3partw1q_u32(vextq_u32(w4, w8, 3), w0, w12);
    w[(kGroup + 4) % 5] = vsm3partw2q_u32(begun, vextq_u32(w8, w12, 2), vextq_u32(w0, w4, 3));
  }
  const uint32x4_t pair = veorq_u32(w0, w4);
  one_round<kRound>(s, w0, pair);
  one_round<kRound + 1>(s, w0, pair);
  one_round<kRound + 2>(s, w0, pair);
  one_round<kRound + 3>(s, w0, pair);
}
}  // namespace

void compress_armv8(std::uint32_t* state, const std::byte* blocks, std::size_t count) noexcept {
  Halves s{mirrored(vld1q_u32(state)), mirrored(vld1q_u32(state + 4))};
  for (; count != 0; --count, blocks += kBlockBytes) {
    const Halves before = s;
    uint32x4_t w[5];
    for (unsigned i = 0; i < 4; ++i) {
      const auto* const at = reinterpret_cast<const std::uint8_t*>(blocks + 16 * i);
      w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(at)));
    }
    [&]<int... kGroup>(std::integer_sequence<int, kGroup...>) __attribute__((always_inline)) {
      (quarter<4 * kGroup>(s, w), ...);
    }(std::make_integer_sequence<int, kRounds / 4>{});
    s = {veorq_u32(s.abcd, before.abcd), veorq_u32(s.efgh, before.efgh)};
  }
  vst1q_u32(state, mirrored(s.abcd));
  vst1q_u32(state + 4, mirrored(s.efgh));
}

}  // namespace sluice::crypto::sm3
#endif
