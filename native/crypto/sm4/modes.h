// The modes over byte slices, written once for all tiers; each tier's source makes its Kernels of
// them. Beside what slices.h and ghash.h ask of a tier's operations `E`:
//   spread(word, rows)                   each byte of a word, in memory's order, 16 times
//   counter(block), counted(c, n)        a row of counters, from the n-th block on
//   chain(key, state, in, out, blocks)   encrypt_chain() of Kernels
//   substitute_word(word)                substitute() of Kernels
#pragma once
#include <cstring>

#include "crypto/sm4/ghash.h"
#include "crypto/sm4/slices.h"

namespace sluice::crypto::sm4 {

template <class E>
struct Modes {
  using V = typename E::V;
  static constexpr std::size_t kRowBytes = E::kBlocks * kSm4BlockBytes;
  static constexpr std::size_t kRowsBytes = 16 * kRowBytes;
  static constexpr unsigned kRowsBlocks = 16 * E::kBlocks;
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
    Keys keys;
    set_all(key, keys);
    std::byte part[kRowsBytes];
    V rows[16];
    for (; blocks != 0;) {
      const std::size_t taken = blocks < kRowsBlocks ? blocks : kRowsBlocks;
      const bool whole = taken == kRowsBlocks;
      if (!whole) std::memcpy(part, in, taken * kSm4BlockBytes);
      load(whole ? in : part, rows);
      Slices<E>::encrypt(keys, rows);
      store(whole ? out : part, rows);
      if (!whole) std::memcpy(out, part, taken * kSm4BlockBytes);
      in += taken * kSm4BlockBytes;
      out += taken * kSm4BlockBytes;
      blocks -= taken;
    }
    forget(keys);
    forget(part);
  }

  static void decrypt_chain(const Schedule& key, std::byte* chain, const std::byte* in,
                            std::byte* out, std::size_t blocks) noexcept {
    Keys keys;
    set_all(key, keys);
    // What is added to each block: the one before it, of which the first is the chain. It is kept
    // before anything is written, for out may be in.
    std::byte part[kRowsBytes + kSm4BlockBytes];
    V rows[16];
    std::memcpy(part, chain, kSm4BlockBytes);
    while (blocks != 0) {
      const std::size_t taken = blocks < kRowsBlocks ? blocks : kRowsBlocks;
      const std::size_t bytes = taken * kSm4BlockBytes;
      if (taken == kRowsBlocks) {
        load(in, rows);
        store(part + kSm4BlockBytes, rows);
      } else {
        std::memcpy(part + kSm4BlockBytes, in, bytes);
        load(part + kSm4BlockBytes, rows);
      }
      Slices<E>::encrypt(keys, rows);
      for (unsigned i = 0; i < 16; ++i) rows[i] = E::add(rows[i], E::load(part + i * kRowBytes));
      std::memcpy(part, part + bytes, kSm4BlockBytes);
      if (taken == kRowsBlocks) {
        store(out, rows);
      } else {
        store(part + kSm4BlockBytes, rows);
        std::memcpy(out, part + kSm4BlockBytes, bytes);
      }
      in += bytes;
      out += bytes;
      blocks -= taken;
    }
    std::memcpy(chain, part, kSm4BlockBytes);
    forget(keys);
    forget(part);
  }

  enum class Hashes { Nothing, In, Out };

  template <Hashes kHashes>
  [[gnu::always_inline]] static inline void add_stream(const Schedule& key, std::byte* counter,
                                                       const HashPowers* powers, std::byte* hash,
                                                       const std::byte* in, std::byte* out,
                                                       std::size_t bytes) noexcept {
    Keys keys;
    set_all(key, keys);
    const auto first = E::counter(counter);
    std::uint32_t blocks = 0;
    V rows[16];
    for (; bytes >= kRowsBytes; bytes -= kRowsBytes) {
      for (unsigned i = 0; i < 16; ++i) rows[i] = E::counted(first, blocks + i * E::kBlocks);
      Slices<E>::encrypt(keys, rows);
      if (kHashes == Hashes::In) Ghash<E>::hash(*powers, hash, in, kRowsBytes);
      for (unsigned i = 0; i < 16; ++i) {
        E::store(out + i * kRowBytes, E::add(rows[i], E::load(in + i * kRowBytes)));
      }
      if (kHashes == Hashes::Out) Ghash<E>::hash(*powers, hash, out, kRowsBytes);
      blocks += kRowsBlocks;
      in += kRowsBytes;
      out += kRowsBytes;
    }
    if (bytes != 0) {
      std::byte part[kRowsBytes];
      for (unsigned i = 0; i < 16; ++i) rows[i] = E::counted(first, blocks + i * E::kBlocks);
      Slices<E>::encrypt(keys, rows);
      store(part, rows);
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

  static void ctr_streams(const Keys& keys, std::byte (*counters)[kSm4BlockBytes],
                          std::byte* const* data) noexcept {
    V rows[16];
    for (unsigned i = 0; i < 16; ++i) {
      rows[i] = E::counted(E::counter(counters[i]), 0);
      advance(counters[i], E::kBlocks);
    }
    Slices<E>::encrypt(keys, rows);
    for (unsigned i = 0; i < 16; ++i) E::store(data[i], E::add(rows[i], E::load(data[i])));
  }

  static void encrypt_chains(const void* keys, std::byte* blocks) noexcept {
    V rows[16];
    load(blocks, rows);
    Slices<E>::encrypt(*static_cast<const KeyRows<kRowsBlocks>*>(keys), rows);
    store(blocks, rows);
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
