// The S-box from that of AES, for processors with instructions for AES: its inversion is the same,
// and a map that takes AES's affine map back and goes on to a or b (basis.h) is two tables of half
// bytes, which fit a register each. Looked up there, they tell nothing by an address.
#pragma once
#include "crypto/sm4/tier/basis.h"

namespace sluice::crypto::sm4 {

/// The inverse of the matrix that AES's S-box ends with; it adds 0x63 behind it.
inline constexpr Matrix kFromAes = 0xa44992254a942952;
inline constexpr std::uint8_t kAesConstant = 0x63;

/// A linear map, with a constant, of a byte's lower and upper half.
struct Halves {
  alignas(16) std::uint8_t low[16], high[16];

  /// first·x ^ constant, or second·(first·(x ^ added)) ^ constant.
  constexpr Halves(Matrix second, Matrix first, std::uint8_t added, std::uint8_t constant) noexcept
      : low{}, high{} {
    for (unsigned i = 0; i < 16; ++i) {
      const auto lower = static_cast<std::uint8_t>(i);
      const auto upper = static_cast<std::uint8_t>(i << 4);
      low[i] = static_cast<std::uint8_t>(
          multiply(second, multiply(first, static_cast<std::uint8_t>(lower ^ added))) ^ constant);
      high[i] = multiply(second, multiply(first, upper));
    }
  }
};
inline constexpr Matrix kIdentity = 0x0102040810204080;
inline constexpr Halves kAOfAes(kA, kFromAes, kAesConstant, kAConstant);
inline constexpr Halves kBOfAes(kB, kFromAes, kAesConstant, 0);
inline constexpr Halves kIntoBasis(kToBasis, kIdentity, 0, 0);
inline constexpr Halves kOutOfBasis(kFromBasis, kIdentity, 0, 0);

/// Where AES's ShiftRows takes each byte from, taken back.
alignas(16) inline constexpr std::uint8_t kUnshifted[16] = {0, 13, 10, 7,  4,  1, 14, 11,
                                                            8, 5,  2,  15, 12, 9, 6,  3};

}  // namespace sluice::crypto::sm4
