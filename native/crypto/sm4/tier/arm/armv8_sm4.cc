// SM4 with the instructions of Armv8 for it, and PMULL. One takes a block four rounds further; keys
// are what the standard says, in the order of use, and columns of keys are schedules side by side.
#if defined(__aarch64__)
#include "crypto/sm4/tier/arm/blocks.h"
#include "crypto/sm4/tier/expand.h"
#include "crypto/sm4/tier/modes.h"

namespace sluice::crypto::sm4 {
namespace {
/// The operations, and the cipher.
struct Armv8Sm4 : NeonRows, PmullHash {
  using Keys = Schedule;
  /// Blocks under way at once: each waits for its own rounds only.
  static constexpr unsigned kAtOnce = 8;

  [[gnu::always_inline]] static inline uint32x4_t four(const std::uint32_t* words) noexcept {
    return vld1q_u32(words);
  }
  static void expand(const std::byte* key, Schedule& encrypts, Schedule& decrypts) noexcept {
    uint32x4_t k = veorq_u32(words_of(load(key)), four(kSystem));
    for (unsigned i = 0; i < kRounds; i += 4) {
      const std::uint32_t constants[4] = {constant_of(i), constant_of(i + 1), constant_of(i + 2),
                                          constant_of(i + 3)};
      k = vsm4ekeyq_u32(k, four(constants));
      vst1q_u32(encrypts.words + i, k);
      const uint32x4_t pairs = vrev64q_u32(k);
      vst1q_u32(decrypts.words + (kRounds - 4 - i), vextq_u32(pairs, pairs, 2));
    }
    for (unsigned i = kRounds; i < kWords; ++i) encrypts.words[i] = decrypts.words[i] = 0;
  }
  [[gnu::always_inline]] static inline void set_all(const Schedule& key, Keys& keys) noexcept {
    keys = key;
  }
  static void set_column(const Schedule& key, std::byte* columns, unsigned,
                         unsigned column) noexcept {
    std::memcpy(columns + column * sizeof key, &key, sizeof key);
  }
  static void set_columns(const Schedule* const* keys, std::byte* columns, unsigned width,
                          unsigned first) noexcept {
    for (unsigned i = 0; i < kStreams; ++i) set_column(*keys[i], columns, width, first + i);
  }

  [[gnu::always_inline]] static inline uint32x4_t words_of(V block) noexcept {
    return vreinterpretq_u32_u8(vrev32q_u8(block));
  }
  /// The words of the last rounds, the last one first.
  [[gnu::always_inline]] static inline V block_of(uint32x4_t words) noexcept {
    return reversed(vreinterpretq_u8_u32(words));
  }

  /// @param words_for  the round keys of each block, by its number
  template <unsigned kBlocksAtOnce>
  [[gnu::always_inline]] static inline void encrypt_blocks(V* blocks,
                                                           const auto& words_for) noexcept {
    uint32x4_t x[kBlocksAtOnce];
    for (unsigned i = 0; i < kBlocksAtOnce; ++i) x[i] = words_of(blocks[i]);
    for (unsigned round = 0; round < kRounds; round += 4) {
      for (unsigned i = 0; i < kBlocksAtOnce; ++i) {
        x[i] = vsm4eq_u32(x[i], four(words_for(i) + round));
      }
    }
    for (unsigned i = 0; i < kBlocksAtOnce; ++i) blocks[i] = block_of(x[i]);
  }
  template <unsigned kSets>
  [[gnu::always_inline]] static inline void encrypt(const Keys& key,
                                                    V (&rows)[kSets][16]) noexcept {
    for (unsigned i = 0; i < kSets * 16; i += kAtOnce) {
      encrypt_blocks<kAtOnce>(&rows[i / 16][i % 16], [&](unsigned) { return key.words; });
    }
  }
  template <unsigned kWidth>
  [[gnu::always_inline]] static inline void encrypt_each(const std::byte* columns,
                                                         V (&rows)[1][16]) noexcept {
    static_assert(kWidth == 16);
    const auto* const keys = reinterpret_cast<const Schedule*>(columns);
    for (unsigned i = 0; i < 16; i += kAtOnce) {
      encrypt_blocks<kAtOnce>(&rows[0][i], [&](unsigned block) { return keys[i + block].words; });
    }
  }

  static constexpr unsigned kFewBlocks = 16;
  static void encrypt_few(const Schedule& key, std::byte* blocks, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; i += 4) {
      std::byte* const at = blocks + i * kSm4BlockBytes;
      V x[4];
      for (unsigned j = 0; j < 4; ++j) x[j] = load(at + j * kSm4BlockBytes);
      encrypt_blocks<4>(x, [&](unsigned) { return key.words; });
      for (unsigned j = 0; j < 4; ++j) store(at + j * kSm4BlockBytes, x[j]);
    }
  }
  static void chain(const Schedule& key, std::byte* state, const std::byte* in, std::byte* out,
                    std::size_t blocks) noexcept {
    V block = load(state);
    for (; blocks != 0; --blocks) {
      block = add(block, load(in));
      encrypt_blocks<1>(&block, [&](unsigned) { return key.words; });
      in += kSm4BlockBytes;
      if (out != nullptr) {
        store(out, block);
        out += kSm4BlockBytes;
      }
    }
    store(state, block);
  }
};
}  // namespace

constinit const Kernels kArmv8Sm4Kernels = Modes<Armv8Sm4, Armv8Sm4>::kernels();

}  // namespace sluice::crypto::sm4
#endif
