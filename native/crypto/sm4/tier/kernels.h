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

/// The keys of several streams, a column each: the bytes of a word are rows.
template <unsigned kWidth>
struct alignas(64) KeyRows {
  std::byte rows[kWords * 4][kWidth];
};

/// A GHASH key: its powers, the 16th first, as POLYVAL's numbers (RFC 8452 appendix A).
struct alignas(64) HashPowers {
  std::byte of[kPowers][kSm4BlockBytes];
};

struct Kernels {
  /// The kernels' a (basis.h) of four bytes in the basis, for the schedule.
  std::uint32_t (*substitute)(std::uint32_t word) noexcept;

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

  /// Puts the keys of 16 streams into columns that lie side by side.
  /// @param first  the first of them in the first row; rows are `width` bytes.
  void (*set_columns)(const Schedule* const* schedules, std::byte* first,
                      std::size_t width) noexcept;
  /// Bytes of each stream that one call of the next function takes.
  unsigned stream_bytes;
  /// For each of kStreams streams: adds key stream to stream_bytes bytes in place, from its counter
  /// on, which is left at the next block.
  void (*ctr_streams)(const KeyRows<kStreams>& keys, std::byte (*counters)[kSm4BlockBytes],
                      std::byte* const* data) noexcept;
  /// Chains that the next function takes at once.
  unsigned chains;
  /// Encrypts one block of each chain in place.
  /// @param keys    KeyRows<chains>, a chain's key in its column.
  /// @param blocks  of chain c at c / 16 + c % 16 * (chains / 16).
  void (*encrypt_chains)(const void* keys, std::byte* blocks) noexcept;
};

/// Of a tier that this processor can run. Threads: any.
const Kernels& kernels(Tier tier) noexcept;

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx2GfniKernels;
extern const Kernels kAvx512Kernels;
#endif

}  // namespace sluice::crypto::sm4
