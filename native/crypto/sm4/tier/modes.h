// The modes over rows of blocks, written once for all tiers; each tier's source makes its Kernels
// of them. Beside what ghash.h asks of a tier's operations `E`:
//   V, kBlocks                           a row, and how many blocks it has
//   load, store, add                     a row from and to memory; exclusive or
//   counter(block), counted(c, n)        a row of counters, from the n-th block on
//   kFewBlocks, encrypt_few(key, blocks, count)  that many blocks in place, where rows cost more
//   chain(key, state, in, out, blocks)   encrypt_chain() of Kernels
// A `Cipher`, by default that of slices.h, encrypts rows:
//   expand, set_column, set_columns      those of Kernels
//   Keys, set_all(key, keys)             one key for all blocks
//   encrypt(keys, rows)                  some sets of 16 rows
//   encrypt_each<kWidth>(columns, rows)  one set, whose blocks have their keys in columns
#pragma once
#include <cstring>

#include "crypto/sm4/tier/ghash.h"
#include "crypto/sm4/tier/slices.h"

namespace sluice::crypto::sm4 {

template <class E, class Cipher = Slices<E>>
struct Modes {
  using V = typename E::V;
  static constexpr std::size_t kRowBytes = E::kBlocks * kSm4BlockBytes;
  static constexpr std::size_t kRowsBytes = 16 * kRowBytes;
  static constexpr unsigned kRowsBlocks = 16 * E::kBlocks;
  static constexpr std::size_t kFewBytes = E::kFewBlocks * kSm4BlockBytes + 1;
  using Keys = typename Cipher::Keys;

  [[gnu::always_inline]] static inline void load(const std::byte* from, V (&rows)[16]) noexcept {
    for (unsigned i = 0; i < 16; ++i) rows[i] = E::load(from + i * kRowBytes);
  }
  [[gnu::always_inline]] static inline void store(std::byte* to, const V (&rows)[16]) noexcept {
    for (unsigned i = 0; i < 16; ++i) E::store(to + i * kRowBytes, rows[i]);
  }

  static void encrypt(const Schedule& key, const std::byte* in, std::byte* out,
                      std::size_t blocks) noexcept {
    if (blocks <= E::kFewBlocks) {
      std::byte part[kFewBytes];
      std::memcpy(part, in, blocks * kSm4BlockBytes);
      E::encrypt_few(key, part, blocks);
      std::memcpy(out, part, blocks * kSm4BlockBytes);
      return forget(part);
    }
    Keys keys;
    Cipher::set_all(key, keys);
    std::byte part[kRowsBytes];
    V rows[1][16];
    for (; blocks != 0;) {
      const std::size_t taken = blocks < kRowsBlocks ? blocks : kRowsBlocks;
      const bool whole = taken == kRowsBlocks;
      if (!whole) std::memcpy(part, in, taken * kSm4BlockBytes);
      load(whole ? in : part, rows[0]);
      Cipher::encrypt(keys, rows);
      store(whole ? out : part, rows[0]);
      if (!whole) std::memcpy(out, part, taken * kSm4BlockBytes);
      in += taken * kSm4BlockBytes;
      out += taken * kSm4BlockBytes;
      blocks -= taken;
    }
    forget(keys);
    forget(part);
  }

  static void decrypt_few(const Schedule& key, std::byte* chain, const std::byte* in,
                          std::byte* out, std::size_t blocks) noexcept {
    std::byte part[kFewBytes], before[kFewBytes + kSm4BlockBytes];
    const std::size_t bytes = blocks * kSm4BlockBytes;
    std::memcpy(before, chain, kSm4BlockBytes);
    std::memcpy(before + kSm4BlockBytes, in, bytes);
    std::memcpy(part, in, bytes);
    E::encrypt_few(key, part, blocks);
    add_bytes(out, part, before, bytes);
    std::memcpy(chain, before + bytes, kSm4BlockBytes);
    forget(part);
  }

  /// Some sets of rows of a chain, of which all blocks are there. What is added to each block, the
  /// one before it, is kept before anything is written, for out may be in.
  template <unsigned kSets>
  [[gnu::always_inline]] static inline void decrypt_sets(const Keys& keys, std::byte* chain,
                                                         const std::byte* in,
                                                         std::byte* out) noexcept {
    constexpr std::size_t kBytes = kSets * kRowsBytes;
    std::byte before[kBytes + kSm4BlockBytes];
    V rows[kSets][16];
    std::memcpy(before, chain, kSm4BlockBytes);
    for (unsigned i = 0; i < kSets * 16; ++i) {
      rows[i / 16][i % 16] = E::load(in + i * kRowBytes);
      E::store(before + kSm4BlockBytes + i * kRowBytes, rows[i / 16][i % 16]);
    }
    Cipher::encrypt(keys, rows);
    for (unsigned i = 0; i < kSets * 16; ++i) {
      E::store(out + i * kRowBytes, E::add(rows[i / 16][i % 16], E::load(before + i * kRowBytes)));
    }
    std::memcpy(chain, before + kBytes, kSm4BlockBytes);
  }

  static void decrypt_chain(const Schedule& key, std::byte* chain, const std::byte* in,
                            std::byte* out, std::size_t blocks) noexcept {
    if (blocks <= E::kFewBlocks) return decrypt_few(key, chain, in, out, blocks);
    Keys keys;
    Cipher::set_all(key, keys);
    std::size_t bytes = blocks * kSm4BlockBytes;
    const auto go_on = [&](std::size_t by) {
      in += by;
      out += by;
      bytes -= by;
    };
    for (; bytes >= 2 * kRowsBytes; go_on(2 * kRowsBytes)) decrypt_sets<2>(keys, chain, in, out);
    for (; bytes >= kRowsBytes; go_on(kRowsBytes)) decrypt_sets<1>(keys, chain, in, out);
    if (bytes != 0) {
      std::byte part[kRowsBytes], last[kSm4BlockBytes];
      std::memcpy(part, in, bytes);
      std::memcpy(last, in + bytes - kSm4BlockBytes, kSm4BlockBytes);
      decrypt_sets<1>(keys, chain, part, part);
      std::memcpy(chain, last, kSm4BlockBytes);
      std::memcpy(out, part, bytes);
      forget(part);
    }
    forget(keys);
  }

  enum class Hashes { Nothing, In, Out };

  /// A message of few blocks.
  template <Hashes kHashes>
  [[gnu::always_inline]] static inline void add_few(const Schedule& key, std::byte* counter,
                                                    const HashPowers* powers, std::byte* hash,
                                                    const std::byte* in, std::byte* out,
                                                    std::size_t bytes) noexcept {
    std::byte part[kFewBytes];
    const std::size_t blocks = (bytes + kSm4BlockBytes - 1) / kSm4BlockBytes;
    for (std::size_t i = 0; i < blocks; ++i) {
      std::memcpy(part + i * kSm4BlockBytes, counter, kSm4BlockBytes);
      advance(counter, 1);
    }
    E::encrypt_few(key, part, blocks);
    if (kHashes == Hashes::In) Ghash<E>::hash(*powers, hash, in, bytes);
    add_bytes(out, in, part, bytes);
    if (kHashes == Hashes::Out) Ghash<E>::hash(*powers, hash, out, bytes);
    forget(part);
  }

  template <Hashes kHashes>
  [[gnu::always_inline]] static inline void add_stream(const Schedule& key, std::byte* counter,
                                                       const HashPowers* powers, std::byte* hash,
                                                       const std::byte* in, std::byte* out,
                                                       std::size_t bytes) noexcept {
    if (bytes <= E::kFewBlocks * kSm4BlockBytes) {
      return add_few<kHashes>(key, counter, powers, hash, in, out, bytes);
    }
    Keys keys;
    Cipher::set_all(key, keys);
    const auto first = E::counter(counter);
    std::uint32_t blocks = 0;
    const auto step = [&]<unsigned kSets>(V(&rows)[kSets][16]) __attribute__((always_inline)) {
      for (unsigned i = 0; i < kSets * 16; ++i) {
        rows[i / 16][i % 16] = E::counted(first, blocks + i * E::kBlocks);
      }
      Cipher::encrypt(keys, rows);
      if (kHashes == Hashes::In) Ghash<E>::hash(*powers, hash, in, kSets * kRowsBytes);
      for (unsigned i = 0; i < kSets * 16; ++i) {
        E::store(out + i * kRowBytes, E::add(rows[i / 16][i % 16], E::load(in + i * kRowBytes)));
      }
      if (kHashes == Hashes::Out) Ghash<E>::hash(*powers, hash, out, kSets * kRowsBytes);
      blocks += kSets * kRowsBlocks;
      in += kSets * kRowsBytes;
      out += kSets * kRowsBytes;
      bytes -= kSets * kRowsBytes;
    };
    V sets[2][16];
    while (bytes >= 2 * kRowsBytes) step(sets);
    V rows[1][16];
    while (bytes >= kRowsBytes) step(rows);
    if (bytes != 0) {
      std::byte part[kRowsBytes];
      for (unsigned i = 0; i < 16; ++i) rows[0][i] = E::counted(first, blocks + i * E::kBlocks);
      Cipher::encrypt(keys, rows);
      store(part, rows[0]);
      if (kHashes == Hashes::In) Ghash<E>::hash(*powers, hash, in, bytes);
      add_bytes(out, in, part, bytes);
      if (kHashes == Hashes::Out) Ghash<E>::hash(*powers, hash, out, bytes);
      blocks += static_cast<std::uint32_t>((bytes + kSm4BlockBytes - 1) / kSm4BlockBytes);
      forget(part);
    }
    advance(counter, blocks);
    forget(keys);
  }

  static void ctr(const Schedule& key, std::byte* counter, const std::byte* in, std::byte* out,
                  std::size_t bytes) noexcept {
    add_stream<Hashes::Nothing>(key, counter, nullptr, nullptr, in, out, bytes);
  }
  static void ctr_hash(const Schedule& key, std::byte* counter, const HashPowers& powers,
                       std::byte* hash, const std::byte* in, std::byte* out, std::size_t bytes,
                       bool seals) noexcept {
    if (seals) {
      add_stream<Hashes::Out>(key, counter, &powers, hash, in, out, bytes);
    } else {
      add_stream<Hashes::In>(key, counter, &powers, hash, in, out, bytes);
    }
  }

  static void ctr_streams(const std::byte* keys, std::byte (*counters)[kSm4BlockBytes],
                          std::byte* const* data) noexcept {
    V rows[1][16];
    for (unsigned i = 0; i < 16; ++i) {
      rows[0][i] = E::counted(E::counter(counters[i]), 0);
      advance(counters[i], E::kBlocks);
    }
    Cipher::template encrypt_each<kStreams>(keys, rows);
    for (unsigned i = 0; i < 16; ++i) E::store(data[i], E::add(rows[0][i], E::load(data[i])));
  }

  static void encrypt_chains(const std::byte* keys, std::byte* blocks) noexcept {
    V rows[1][16];
    load(blocks, rows[0]);
    Cipher::template encrypt_each<kRowsBlocks>(keys, rows);
    store(blocks, rows[0]);
  }

  static void hash(const HashPowers& powers, std::byte* hash, const std::byte* in,
                   std::size_t bytes) noexcept {
    Ghash<E>::hash(powers, hash, in, bytes);
  }

  static constexpr Kernels kernels() noexcept {
    return {.expand = Cipher::expand,
            .encrypt = encrypt,
            .decrypt_chain = decrypt_chain,
            .encrypt_chain = E::chain,
            .ctr = ctr,
            .ctr_hash = ctr_hash,
            .hash = hash,
            .hash_powers = Ghash<E>::powers,
            .set_column = Cipher::set_column,
            .set_columns = Cipher::set_columns,
            .stream_bytes = kRowBytes,
            .ctr_streams = ctr_streams,
            .chains = kRowsBlocks,
            // Without a way for few blocks, a lone one takes as long as all rows.
            .chains_alone = E::kFewBlocks == 0 ? 0 : 3,
            .encrypt_chains = encrypt_chains};
  }

 private:
  [[gnu::always_inline]] static inline void advance(std::byte* counter,
                                                    std::uint32_t blocks) noexcept {
    std::uint32_t number;
    std::memcpy(&number, counter + 12, 4);
    number = __builtin_bswap32(__builtin_bswap32(number) + blocks);
    std::memcpy(counter + 12, &number, 4);
  }
  [[gnu::always_inline]] static inline void add_bytes(std::byte* out, const std::byte* a,
                                                      const std::byte* b,
                                                      std::size_t bytes) noexcept {
    for (std::size_t i = 0; i < bytes; ++i) out[i] = a[i] ^ b[i];
  }
  /// wipe(), but of this tier's source alone.
  template <class T>
  [[gnu::always_inline]] static inline void forget(T& secret) noexcept {
    std::memset(&secret, 0, sizeof secret);
    asm volatile("" : : "r"(&secret) : "memory");
  }
};

}  // namespace sluice::crypto::sm4
