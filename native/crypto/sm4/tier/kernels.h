// SM4 in each tier, behind one table. Pure: no state but the caller's. Lengths decide the time,
// data and keys never do. Input and output may be the same memory, not overlap otherwise.
#pragma once
#include <cstddef>
#include <cstdint>

#include "crypto/sm4/schedule.h"
#include "crypto/tier.h"

namespace sluice::crypto::sm4 {

inline constexpr unsigned kStreams = 16;  ///< with keys of their own, of ctr_streams()
inline constexpr unsigned kStreamBytesMax = 64;
inline constexpr unsigned kChainsMax = 64;  ///< of encrypt_chains()
inline constexpr unsigned kPowers = 16;

/// A GHASH key: its powers, the 16th first, as POLYVAL's numbers (RFC 8452 appendix A).
struct alignas(64) HashPowers {
  std::byte of[kPowers][kSm4BlockBytes];
};

struct Kernels {
  /// Prepares a key of kSm4KeyBytes bytes. What comes of it is of this tier, as columns of keys
  /// are.
  void (*expand)(const std::byte* key, Schedule& encrypts, Schedule& decrypts) noexcept;

  void (*encrypt)(const Schedule& key, const std::byte* in, std::byte* out,
                  std::size_t blocks) noexcept;
  /// Each block is decrypted and added to the block before it; `chain` is the last one, in and out.
  /// @param key  of the direction that decrypts.
  void (*decrypt_chain)(const Schedule& key, std::byte* chain, const std::byte* in, std::byte* out,
                        std::size_t blocks) noexcept;
  /// Each block is added to the result of the one before it and encrypted.
  /// @param out  null: only the last result is wanted, which is in `chain` in any case.
  void (*encrypt_chain)(const Schedule& key, std::byte* chain, const std::byte* in, std::byte* out,
                        std::size_t blocks) noexcept;
  /// Adds the key stream of `counter`, whose last four bytes count the blocks and wrap by
  /// themselves; it is left at the next block.
  void (*ctr)(const Schedule& key, std::byte* counter, const std::byte* in, std::byte* out,
              std::size_t bytes) noexcept;
  /// The same with GHASH of the result (`seals`) or of what it is made of, in one pass. The last
  /// block is filled up with zeros for the hash.
  void (*ctr_hash)(const Schedule& key, std::byte* counter, const HashPowers& powers,
                   std::byte* hash, const std::byte* in, std::byte* out, std::size_t bytes,
                   bool seals) noexcept;
  /// GHASH of `bytes` bytes, filled up with zeros to whole blocks.
  void (*hash)(const HashPowers& powers, std::byte* hash, const std::byte* in,
               std::size_t bytes) noexcept;
  /// @param h  the encrypted block of zeros.
  void (*hash_powers)(const std::byte* h, HashPowers& powers) noexcept;

  /// Puts the key of one stream into a column of `width` ones; all together they have the size of
  /// as many schedules.
  void (*set_column)(const Schedule& key, std::byte* columns, unsigned width,
                     unsigned column) noexcept;
  /// The keys of kStreams streams, from column `first` on.
  void (*set_columns)(const Schedule* const* keys, std::byte* columns, unsigned width,
                      unsigned first) noexcept;
  /// Bytes of each stream that one call of the next function takes.
  unsigned stream_bytes;
  /// For each of kStreams streams: adds key stream to stream_bytes bytes in place, from its counter
  /// on, which is left at the next block.
  /// @param keys  kStreams columns.
  void (*ctr_streams)(const std::byte* keys, std::byte (*counters)[kSm4BlockBytes],
                      std::byte* const* data) noexcept;
  /// Chains that the next function takes at once; with no more than chains_alone of them left,
  /// encrypt_chain() for each takes no longer.
  unsigned chains;
  unsigned chains_alone;
  /// Encrypts one block of each chain in place.
  /// @param keys    `chains` columns.
  /// @param blocks  of chain c at c / 16 + c % 16 * (chains / 16).
  void (*encrypt_chains)(const std::byte* keys, std::byte* blocks) noexcept;
};

/// Of a tier that this processor can run. Threads: any.
const Kernels& kernels(Tier tier) noexcept;

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx2GfniKernels;
extern const Kernels kAvx512Kernels;
#elif defined(__aarch64__)
extern const Kernels kArmv8AesKernels;
extern const Kernels kArmv8Sm4Kernels;
#endif

}  // namespace sluice::crypto::sm4
