// SM4 by words, for chains, in which each block waits for the one before, and for the few blocks
// that a small message has: word i of up to four blocks is in register i of a set. Nothing has to
// be cut into slices, and keys are used as they lie. A tier's operations `E` give
//   W                                a vector of four words
//   load_words, store_words          16 bytes from and to memory
//   word, each, first_word           a number as the first word, as each; the first word's number
//   add_words                        exclusive or
//   rotate<kBy>                      in each word, byte j becomes byte j + kBy
//   behind<kCount>(x)                the words from that one on, and zeros
//   interleave_words_low, _high      of the first two words (the last two), by turns
//   pairs_low, pairs_high            the first two words (the last two) of both
//   substitute_words(t, a, b)        the S-box with a and b of basis.h
//   words_to_basis, words_from_basis
// Included by tiers' sources alone.
#pragma once
#include <cstring>

#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

template <class E>
struct Words {
  [[gnu::always_inline]] static inline auto add(auto x, auto y) noexcept {
    return E::add_words(x, y);
  }
  /// @param x0  the word that the round takes, with its d added already
  [[gnu::always_inline]] static inline auto round(auto x0, auto t) noexcept {
    decltype(t) a, b;
    E::substitute_words(t, a, b);
    const auto others =
        add(add(E::template rotate<1>(a), E::template rotate<2>(a)), E::template rotate<3>(b));
    return add(add(x0, add(a, b)), others);
  }

  /// Words of blocks to blocks of words, and back.
  template <class W>
  [[gnu::always_inline]] static inline void transpose(W (&x)[4]) noexcept {
    const W low01 = E::interleave_words_low(x[0], x[1]);
    const W high01 = E::interleave_words_high(x[0], x[1]);
    const W low23 = E::interleave_words_low(x[2], x[3]);
    const W high23 = E::interleave_words_high(x[2], x[3]);
    x[0] = E::pairs_low(low01, low23);
    x[1] = E::pairs_high(low01, low23);
    x[2] = E::pairs_low(high01, high23);
    x[3] = E::pairs_high(high01, high23);
  }

  /// Encrypts 4 * kSets blocks in place.
  template <unsigned kSets>
  [[gnu::always_inline]] static inline void encrypt_sets(const Schedule& key,
                                                         std::byte* blocks) noexcept {
    using W = typename E::W;
    const std::uint32_t* k = key.words;
    const auto at = [&](unsigned block) { return blocks + block * kSm4BlockBytes; };
    W x[kSets][4];
    for (unsigned set = 0; set < kSets; ++set) {
      for (unsigned i = 0; i < 4; ++i) {
        x[set][i] = E::words_to_basis(E::load_words(at(set * 4 + i)));
      }
      transpose(x[set]);
      x[set][3] = add(x[set][3], E::each(k[kC3]));
    }
    for (unsigned i = 0; i < 32; i += 4) {
      for (unsigned j = 0; j < 4; ++j) {
        const W d = E::each(k[i + j]);
        for (unsigned set = 0; set < kSets; ++set) {
          W(&w)[4] = x[set];
          const W t = add(add(w[(j + 1) % 4], w[(j + 2) % 4]), w[(j + 3) % 4]);
          w[j] = round(add(w[j], d), t);
        }
      }
    }
    for (unsigned set = 0; set < kSets; ++set) {
      W y[4] = {x[set][3], add(x[set][2], E::each(k[kC34])), add(x[set][1], E::each(k[kC33])),
                add(x[set][0], E::each(k[kC32]))};
      transpose(y);
      for (unsigned i = 0; i < 4; ++i) {
        E::store_words(at(set * 4 + i), E::words_from_basis(y[i]));
      }
    }
  }

  /// Encrypts up to kFewBlocks blocks in place; what is behind them there is written to.
  static constexpr unsigned kFewBlocks = 16;
  static void encrypt_few(const Schedule& key, std::byte* blocks, std::size_t count) noexcept {
    if (count <= 4) return encrypt_sets<1>(key, blocks);
    if (count <= 8) return encrypt_sets<2>(key, blocks);
    encrypt_sets<4>(key, blocks);
  }

  static void chain(const Schedule& key, std::byte* state, const std::byte* in, std::byte* out,
                    std::size_t blocks) noexcept {
    using W = typename E::W;
    const std::uint32_t* k = key.words;
    W block = E::load_words(state);
    for (; blocks != 0; --blocks) {
      block = add(block, E::load_words(in));
      const W start = E::words_to_basis(block);
      W x0 = start, x1 = E::template behind<1>(start), x2 = E::template behind<2>(start);
      W x3 = add(E::template behind<3>(start), E::word(k[kC3]));
      for (unsigned i = 0; i < 32; i += 4) {
        x0 = round(add(x0, E::word(k[i])), add(add(x1, x2), x3));
        x1 = round(add(x1, E::word(k[i + 1])), add(add(x2, x3), x0));
        x2 = round(add(x2, E::word(k[i + 2])), add(add(x3, x0), x1));
        x3 = round(add(x3, E::word(k[i + 3])), add(add(x0, x1), x2));
      }
      x0 = add(x0, E::word(k[kC32]));
      x1 = add(x1, E::word(k[kC33]));
      x2 = add(x2, E::word(k[kC34]));
      block = E::words_from_basis(
          E::pairs_low(E::interleave_words_low(x3, x2), E::interleave_words_low(x1, x0)));
      in += kSm4BlockBytes;
      if (out != nullptr) {
        E::store_words(out, block);
        out += kSm4BlockBytes;
      }
    }
    E::store_words(state, block);
  }

  static std::uint32_t substitute_word(std::uint32_t number) noexcept {
    typename E::W a, b;
    E::substitute_words(E::word(number), a, b);
    return E::first_word(a);
  }
};

}  // namespace sluice::crypto::sm4
