// The 64 rounds and the message expansion of SM3, written once for words of any width: `Ops` says
// what a word is (one number, or a vector with one number per lane) and how to compute with it.
// Ops of vectors are private to the source that is compiled for their processor, so that no other
// source can be linked with this code in that processor's instructions.
// Source: GB/T 32905-2016 clauses 4 and 5.3.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace sluice::crypto::sm3 {

inline constexpr int kRounds = 64;

/// T_j <<< j of each round.
inline constexpr auto kRoundConstants = [] {
  std::array<std::uint32_t, kRounds> constants{};
  for (int j = 0; j < kRounds; ++j) {
    constants[j] = std::rotl(j < 16 ? 0x79cc4519U : 0x7a879d8aU, j % 32);
  }
  return constants;
}();

template <class Ops>
struct State {
  typename Ops::Word a, b, c, d, e, f, g, h;
};

/// W_j from W_{j-16}, W_{j-13}, W_{j-9}, W_{j-6} and W_{j-3}.
template <class Ops, class Word = typename Ops::Word>
[[gnu::always_inline]] inline Word expand(Word w16, Word w13, Word w9, Word w6, Word w3) noexcept {
  const Word x = Ops::xor3(w16, w9, Ops::template rotate<15>(w3));
  const Word p1 = Ops::xor3(x, Ops::template rotate<15>(x), Ops::template rotate<23>(x));
  return Ops::xor3(p1, Ops::template rotate<7>(w13), w6);
}

/// One round that leaves the words where they are: the new A is in d, the new E in h, so the next
/// round takes them in the order d a b c, h e f g.
template <class Ops, int kRound, class Word = typename Ops::Word>
[[gnu::always_inline]] inline void round(Word a, Word& b, Word c, Word& d, Word e, Word& f, Word g,
                                         Word& h, Word w, Word w_with_w4) noexcept {
  const Word a12 = Ops::template rotate<12>(a);
  // From one E to the next is the longest way: what does not wait for this E is added up first.
  const Word early = Ops::as_it_is(Ops::add(a12, Ops::constant(kRoundConstants[kRound])));
  const Word ss1 = Ops::template rotate<7>(Ops::add(early, e));
  const Word dw = Ops::as_it_is(Ops::add(d, w_with_w4));
  const Word hw = Ops::as_it_is(Ops::add(h, w));
  const Word dw_ff = kRound < 16 ? Ops::as_it_is(Ops::add(dw, Ops::xor3(a, b, c)))
                                 : Ops::add_majority(dw, a, b, c);
  const Word hw_gg =
      kRound < 16 ? Ops::as_it_is(Ops::add(hw, Ops::xor3(e, f, g))) : Ops::add_choose(hw, e, f, g);
  const Word tt1 = Ops::add(dw_ff, Ops::xor2(ss1, a12));
  const Word tt2 = Ops::add(hw_gg, ss1);
  b = Ops::template rotate<9>(b);
  d = tt1;
  f = Ops::template rotate<19>(f);
  h = Ops::xor3(tt2, Ops::template rotate<9>(tt2), Ops::template rotate<17>(tt2));
}

/// Rounds kRound to kRound + 3. `word(j)` gives W_j, `pair(j)` W_j ^ W_{j+4}; both take an
/// std::integral_constant, and are asked in the order of rounds, pair before word.
template <class Ops, int kRound, class WordOf, class PairOf>
[[gnu::always_inline]] inline void four_rounds(State<Ops>& s, WordOf&& word,
                                               PairOf&& pair) noexcept {
  const auto one = [&]<int kAt>(std::integral_constant<int, kAt> at, auto& a, auto& b, auto& c,
                                auto& d, auto& e, auto& f, auto& g, auto& h)
                       __attribute__((always_inline)) {
                         const auto both = pair(at);
                         round<Ops, kAt>(a, b, c, d, e, f, g, h, word(at), both);
                       };
  one(std::integral_constant<int, kRound>{}, s.a, s.b, s.c, s.d, s.e, s.f, s.g, s.h);
  one(std::integral_constant<int, kRound + 1>{}, s.d, s.a, s.b, s.c, s.h, s.e, s.f, s.g);
  one(std::integral_constant<int, kRound + 2>{}, s.c, s.d, s.a, s.b, s.g, s.h, s.e, s.f);
  one(std::integral_constant<int, kRound + 3>{}, s.b, s.c, s.d, s.a, s.f, s.g, s.h, s.e);
}

/// All 64 rounds and the addition of what was before: V_{i+1} = ABCDEFGH ^ V_i.
template <class Ops, class WordOf, class PairOf>
[[gnu::always_inline]] inline void all_rounds(State<Ops>& state, WordOf&& word,
                                              PairOf&& pair) noexcept {
  State<Ops> s = state;
  [&]<int... kGroup>(std::integer_sequence<int, kGroup...>) __attribute__((always_inline)) {
    (four_rounds<Ops, 4 * kGroup>(s, word, pair), ...);
  }(std::make_integer_sequence<int, kRounds / 4>{});
  state = {Ops::xor2(state.a, s.a), Ops::xor2(state.b, s.b), Ops::xor2(state.c, s.c),
           Ops::xor2(state.d, s.d), Ops::xor2(state.e, s.e), Ops::xor2(state.f, s.f),
           Ops::xor2(state.g, s.g), Ops::xor2(state.h, s.h)};
}

/// The compression function where the message is expanded as the rounds go.
/// @param w  the block's 16 words; overwritten.
template <class Ops, class Word = typename Ops::Word>
[[gnu::always_inline]] inline void compress_block(State<Ops>& state, Word (&w)[16]) noexcept {
  const auto word = [&](auto at) __attribute__((always_inline)) { return w[at % 16]; };
  const auto pair = [&](auto at) __attribute__((always_inline)) {
    constexpr int kAhead = at + 4;
    if constexpr (kAhead >= 16) {
      w[kAhead % 16] = expand<Ops>(w[kAhead % 16], w[(kAhead - 13) % 16], w[(kAhead - 9) % 16],
                                   w[(kAhead - 6) % 16], w[(kAhead - 3) % 16]);
    }
    return Ops::xor2(w[at % 16], w[kAhead % 16]);
  };
  all_rounds<Ops>(state, word, pair);
}

}  // namespace sluice::crypto::sm3
