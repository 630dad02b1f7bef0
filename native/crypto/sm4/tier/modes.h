// The modes over byte slices, written once for all tiers; each tier's source makes its Kernels of
// them. Beside what slices.h and ghash.h ask of a tier's operations `E`:
//   spread(word, rows)                   each byte of a word, in memory's order, 16 times
//   transpose_bytes(row_of, to, width)   16 rows of 16 bytes to columns in rows of that width
//   counter(block), counted(c, n)        a row of counters, from the n-th block on
//   kFewBlocks, encrypt_few(key, blocks, count)  that many blocks in place, where slices cost more
//   chain(key, state, in, out, blocks)   encrypt_chain() of Kernels
//   substitute_word(word)                substitute() of Kernels
#pragma once
#include <cstring>

#include "crypto/sm4/tier/ghash.h"
#include "crypto/sm4/tier/slices.h"

namespace sluice::crypto::sm4 {

template <class E>
struct Modes {
  using V = typename E::V;
  static constexpr std::size_t kRowBytes = E::kBlocks * kSm4BlockBytes;
  static constexpr std::size_t kRowsBytes = 16 * kRowBytes;
  static constexpr unsigned kRowsBlocks = 16 * E::kBlocks;
  static constexpr std::size_t kFewBytes = E::kFewBlocks * kSm4BlockBytes + 1;
  using Keys = KeyRows<kStreams>;

  /// The same key in every column.
  [[gnu::always_inline]] static inline void set_all(const Schedule& key, Keys& keys) noexcept {
    for (unsigned word = 0; word < kWords; ++word) E::spread(key.words[word], &keys.rows[4 * word]);
  }

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
    set_all(key, keys);
    std::byte part[kRowsBytes];
    V rows[1][16];
    for (; blocks != 0;) {
      const std::size_t taken = blocks < kRowsBlocks ? blocks : kRowsBlocks;
      const bool whole = taken == kRowsBlocks;
      if (!whole) std::memcpy(part, in, taken * kSm4BlockBytes);
      load(whole ? in : part, rows[0]);
      Slices<E>::encrypt(keys, rows);
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
    Slices<E>::encrypt(keys, rows);
    for (unsigned i = 0; i < kSets * 16; ++i) {
      E::store(out + i * kRowBytes, E::add(rows[i / 16][i % 16], E::load(before + i * kRowBytes)));
    }
    std::memcpy(chain, before + kBytes, kSm4BlockBytes);
  }

  static void decrypt_chain(const Schedule& key, std::byte* chain, const std::byte* in,
                            std::byte* out, std::size_t blocks) noexcept {
    if (blocks <= E::kFewBlocks) return decrypt_few(key, chain, in, out, blocks);
    Keys keys;
    set_all(key, keys);
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
    set_all(key, keys);
    const auto first = E::counter(counter);
    std::uint32_t blocks = 0;
    const auto step = [&]<unsigned kSets>(V(&rows)[kSets][16]) __attribute__((always_inline)) {
      for (unsigned i = 0; i < kSets * 16; ++i) {
        rows[i / 16][i % 16] = E::counted(first, blocks + i * E::kBlocks);
      }
      Slices<E>::encrypt(keys, rows);
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
      Slices<E>::encrypt(keys, rows);
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

  /// Sixteen bytes of each key at a time.
  static void set_columns(const Schedule* const* schedules, std::byte* first,
                          std::size_t width) noexcept {
    for (unsigned byte = 0; byte < kWords * 4; byte += 16) {
      E::transpose_bytes(
          [&](unsigned i) {
            return reinterpret_cast<const std::byte*>(schedules[i]->words) + byte;
          },
          first + byte * width, width);
    }
  }

  static void ctr_streams(const Keys& keys, std::byte (*counters)[kSm4BlockBytes],
                          std::byte* const* data) noexcept {
    V rows[1][16];
    for (unsigned i = 0; i < 16; ++i) {
      rows[0][i] = E::counted(E::counter(counters[i]), 0);
      advance(counters[i], E::kBlocks);
    }
    Slices<E>::encrypt(keys, rows);
    for (unsigned i = 0; i < 16; ++i) E::store(data[i], E::add(rows[0][i], E::load(data[i])));
  }

  static void encrypt_chains(const void* keys, std::byte* blocks) noexcept {
    V rows[1][16];
    load(blocks, rows[0]);
    Slices<E>::encrypt(*static_cast<const KeyRows<kRowsBlocks>*>(keys), rows);
    store(blocks, rows[0]);
  }

  static void hash(const HashPowers& powers, std::byte* hash, const std::byte* in,
                   std::size_t bytes) noexcept {
    Ghash<E>::hash(powers, hash, in, bytes);
  }

  static constexpr Kernels kernels() noexcept {
    return {.substitute = E::substitute_word,
            .encrypt = encrypt,
            .decrypt_chain = decrypt_chain,
            .encrypt_chain = E::chain,
            .ctr = ctr,
            .ctr_hash = ctr_hash,
            .hash = hash,
            .hash_powers = Ghash<E>::powers,
            .set_columns = set_columns,
            .stream_bytes = kRowBytes,
            .ctr_streams = ctr_streams,
            .chains = kRowsBlocks,
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
