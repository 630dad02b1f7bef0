// The basis in which all tiers compute. SM4's S-box is an inversion in GF(2^8) between two affine
// maps. Every byte x of a state is kept as kToBasis·x, in the field of AES (polynomial 0x11b), so
// that the first map is gone, and the second is one matrix with what follows it: the linear map L
// rotates a word by 2, 10, 18 and 24 bits, which, byte by byte, is
//   out[j] = b[j] ^ b[j + 3] ^ a[j] ^ a[j + 1] ^ a[j + 2],
// with a a byte of the S-box rotated by 2, and b the byte with its upper bits (x >> 6) added.
// Bytes of a word count from its most significant one, modulo 4. Source: GB/T 32907-2016.
#pragma once
#include <cstdint>

namespace sluice::crypto::sm4 {

/// An 8×8 matrix over bits, as GF2P8AFFINEQB reads it: the row of bit i of the product is byte 7 -
/// i.
using Matrix = std::uint64_t;
inline constexpr Matrix kToBasis = 0x4c287db91a22505d;
inline constexpr Matrix kFromBasis = 0xb3a4f5863284728b;
/// From the inverse to a and b above. All constants of both are in that of a, which is added
/// thrice.
inline constexpr Matrix kA = 0x2c020425162040ad;
inline constexpr Matrix kB = 0x280fbcb4ff84c11a;
inline constexpr std::uint8_t kAConstant = 0x63;
/// What the first affine map adds; it is part of every round key.
inline constexpr std::uint8_t kKeyConstant = 0x3e;

constexpr std::uint8_t multiply(Matrix matrix, std::uint8_t x) noexcept {
  std::uint8_t product = 0;
  for (unsigned bit = 0; bit < 8; ++bit) {
    const auto row = static_cast<std::uint8_t>(matrix >> 8 * (7 - bit));
    product |= static_cast<std::uint8_t>((__builtin_popcount(row & x) & 1) << bit);
  }
  return product;
}

/// The columns of a matrix: what each bit of a byte becomes.
struct Columns {
  std::uint8_t of[8];

  constexpr explicit Columns(Matrix matrix) noexcept : of{} {
    for (unsigned bit = 0; bit < 8; ++bit) {
      of[bit] = multiply(matrix, static_cast<std::uint8_t>(1u << bit));
    }
  }
};

/// Multiplies each byte of a number; the time depends on nothing.
template <Matrix kMatrix, class Number>
[[gnu::always_inline]] inline Number multiply_bytes(Number bytes) noexcept {
  constexpr Columns kColumns(kMatrix);
  constexpr Number kOnes = static_cast<Number>(~Number{0}) / 0xff;
  Number product = 0;
  for (unsigned bit = 0; bit < 8; ++bit) product ^= (bytes >> bit & kOnes) * kColumns.of[bit];
  return product;
}

}  // namespace sluice::crypto::sm4
