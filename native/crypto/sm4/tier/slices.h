// SM4 on 16 rows of blocks at once, in byte slices: register j has byte j of every block, so that
// rotations by whole bytes are a matter of naming. A tier's operations `E` give
//   V, kBlocks                       a vector, and how many blocks it takes
//   load, store, add, add3           bytes from and to memory; exclusive or of two and of three
//   interleave_low, interleave_high  bytes of the lower (upper) half of each block, by turns
//   to_basis, from_basis             basis.h's matrices
//   substitute(t, a, b)              the S-box with a and b of basis.h, of four vectors at once
//   key<kWidth>(row)                 a row of KeyRows: 16 bytes for every block alike, or a vector
//   spread(word, rows)               each byte of a word, in memory's order, 16 times
//   transpose_bytes(row_of, to, width)  16 rows of 16 bytes to columns in rows of that width
//   substitute_word(word)            a of four bytes
#pragma once
#include "crypto/sm4/tier/basis.h"
#include "crypto/sm4/tier/expand.h"
#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

/// The keys of several streams, a column each: the bytes of a word are rows.
template <unsigned kWidth>
struct alignas(64) KeyRows {
  std::byte rows[kWords * 4][kWidth];
};

template <class E>
struct Slices {
  using V = typename E::V;
  using Keys = KeyRows<kStreams>;

  static void expand(const std::byte* key, Schedule& encrypts, Schedule& decrypts) noexcept {
    expand_in_basis(key, E::substitute_word, encrypts, decrypts);
  }
  /// The same key in every column.
  [[gnu::always_inline]] static inline void set_all(const Schedule& key, Keys& keys) noexcept {
    for (unsigned word = 0; word < kWords; ++word) E::spread(key.words[word], &keys.rows[4 * word]);
  }
  static void set_column(const Schedule& key, std::byte* columns, unsigned width,
                         unsigned column) noexcept {
    for (unsigned row = 0; row < kWords * 4; ++row) {
      columns[row * width + column] = static_cast<std::byte>(key.words[row / 4] >> 8 * (row % 4));
    }
  }
  /// Sixteen bytes of each key at a time.
  static void set_columns(const Schedule* const* keys, std::byte* columns, unsigned width,
                          unsigned first) noexcept {
    for (unsigned byte = 0; byte < kWords * 4; byte += 16) {
      E::transpose_bytes(
          [&](unsigned i) { return reinterpret_cast<const std::byte*>(keys[i]->words) + byte; },
          columns + byte * width + first, width);
    }
  }

  /// Rows of blocks to slices, and back: four times, each row is interleaved with the one 8 behind.
  [[gnu::always_inline]] static inline void transpose(V (&rows)[16]) noexcept {
    V next[16];
    for (unsigned turn = 0; turn < 2; ++turn) {
      for (unsigned i = 0; i < 8; ++i) {
        next[2 * i] = E::interleave_low(rows[i], rows[i + 8]);
        next[2 * i + 1] = E::interleave_high(rows[i], rows[i + 8]);
      }
      for (unsigned i = 0; i < 8; ++i) {
        rows[2 * i] = E::interleave_low(next[i], next[i + 8]);
        rows[2 * i + 1] = E::interleave_high(next[i], next[i + 8]);
      }
    }
  }

  template <unsigned kWidth>
  [[gnu::always_inline]] static inline void add_key(const KeyRows<kWidth>& keys, unsigned word,
                                                    V* x) noexcept {
    for (unsigned j = 0; j < 4; ++j) {
      x[j] = E::add(x[j], E::template key<kWidth>(keys.rows[4 * word + j]));
    }
  }

  /// x0 takes what the round makes of the other three words.
  template <unsigned kWidth>
  [[gnu::always_inline]] static inline void round(const KeyRows<kWidth>& keys, unsigned number,
                                                  V* x0, const V* x1, const V* x2,
                                                  const V* x3) noexcept {
    V t[4], a[4], b[4];
    for (unsigned j = 0; j < 4; ++j) t[j] = E::add3(x1[j], x2[j], x3[j]);
    E::substitute(t, a, b);
    for (unsigned j = 0; j < 4; ++j) {
      const V d = E::template key<kWidth>(keys.rows[4 * number + j]);
      x0[j] = E::add3(E::add3(x0[j], d, b[j]), b[(j + 3) % 4],
                      E::add3(a[j], a[(j + 1) % 4], a[(j + 2) % 4]));
    }
  }

  /// Encrypts every block of the rows. Of several sets of rows each waits for its own results only,
  /// so that the processor works at one while another waits.
  template <unsigned kWidth, unsigned kSets>
  [[gnu::always_inline]] static inline void encrypt(const KeyRows<kWidth>& keys,
                                                    V (&rows)[kSets][16]) noexcept {
    V x[kSets][4][4];
    for (unsigned set = 0; set < kSets; ++set) {
      transpose(rows[set]);
      for (unsigned i = 0; i < 16; ++i) x[set][i / 4][i % 4] = E::to_basis(rows[set][i]);
      add_key(keys, kC3, x[set][3]);
    }
    // One set's words stay in registers if each is named; several sets' do not in any case, and
    // compilers move them less when they are addressed by number.
    for (unsigned i = 0; i < 32; i += 4) {
      if constexpr (kSets == 1) {
        V(&w)[4][4] = x[0];
        round(keys, i, w[0], w[1], w[2], w[3]);
        round(keys, i + 1, w[1], w[2], w[3], w[0]);
        round(keys, i + 2, w[2], w[3], w[0], w[1]);
        round(keys, i + 3, w[3], w[0], w[1], w[2]);
      } else {
        for (unsigned j = 0; j < 4; ++j) {
          for (unsigned set = 0; set < kSets; ++set) {
            V(&w)[4][4] = x[set];
            round(keys, i + j, w[j], w[(j + 1) % 4], w[(j + 2) % 4], w[(j + 3) % 4]);
          }
        }
      }
    }
    for (unsigned set = 0; set < kSets; ++set) {
      for (unsigned i = 0; i < 3; ++i) add_key(keys, kC32 + i, x[set][i]);
      for (unsigned i = 0; i < 16; ++i) rows[set][i] = E::from_basis(x[set][3 - i / 4][i % 4]);
      transpose(rows[set]);
    }
  }

  template <unsigned kWidth>
  [[gnu::always_inline]] static inline void encrypt_each(const std::byte* columns,
                                                         V (&rows)[1][16]) noexcept {
    encrypt(*reinterpret_cast<const KeyRows<kWidth>*>(columns), rows);
  }
};

}  // namespace sluice::crypto::sm4
