// SM4 without instructions of its own: no table is looked up, so that no address tells a secret.
// The inversion is a circuit of ands and exclusive ors over the bits of 64 bytes at once.
#include <bit>
#include <utility>

#include "crypto/sm4/tier/modes.h"

namespace sluice::crypto::sm4 {
namespace {

// GF(2^8) as pairs (high, low) of numbers of GF(2^4), high·z + low with z² = z + kLambda, and those
// as polynomials modulo y⁴ + y + 1. Plain arithmetic on one number, for the constants alone.
constexpr unsigned kLambda = 8;
constexpr unsigned multiply4(unsigned a, unsigned b) noexcept {
  unsigned product = 0;
  for (unsigned bit = 0; bit < 4; ++bit) product ^= (b >> bit & 1) * (a << bit);
  for (unsigned bit = 6; bit >= 4; --bit) product ^= (product >> bit & 1) * (0x13u << (bit - 4));
  return product;
}
constexpr unsigned multiply8(unsigned a, unsigned b) noexcept {
  const unsigned high = multiply4(a >> 4, b >> 4), low = multiply4(a & 15, b & 15);
  const unsigned both = multiply4(a >> 4 ^ (a & 15), b >> 4 ^ (b & 15));
  return (both ^ low) << 4 | (low ^ multiply4(high, kLambda));
}

/// Columns of a linear map from or to the pairs.
struct Map {
  std::uint8_t of[8];

  constexpr std::uint8_t operator()(unsigned x) const noexcept {
    std::uint8_t product = 0;
    for (unsigned bit = 0; bit < 8; ++bit) {
      product ^= static_cast<std::uint8_t>((x >> bit & 1) * of[bit]);
    }
    return product;
  }
};

/// From AES's field: its x becomes a root of its polynomial, x⁸ + x⁴ + x³ + x + 1.
constexpr Map to_pairs() noexcept {
  for (unsigned root = 2; root < 256; ++root) {
    Map map{};
    unsigned power = 1;
    for (unsigned bit = 0; bit < 8; ++bit) {
      map.of[bit] = static_cast<std::uint8_t>(power);
      power = multiply8(power, root);
    }
    if (power == map(0x1b)) return map;
  }
  return {};
}
constexpr Map kToPairs = to_pairs();

/// From the pairs and through a matrix.
constexpr Map from_pairs(Matrix matrix) noexcept {
  Map map{};
  for (unsigned x = 0; x < 256; ++x) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      if (kToPairs(x) == 1u << bit) {
        map.of[bit] = multiply(matrix, static_cast<std::uint8_t>(x));
      }
    }
  }
  return map;
}
constexpr Map kAOfPairs = from_pairs(kA), kBOfPairs = from_pairs(kB);

/// One bit of 64 bytes.
using Plane = std::uint64_t;
struct Nibbles {
  Plane bit[4];
};

Nibbles add(const Nibbles& a, const Nibbles& b) noexcept {
  return {{a.bit[0] ^ b.bit[0], a.bit[1] ^ b.bit[1], a.bit[2] ^ b.bit[2], a.bit[3] ^ b.bit[3]}};
}

/// Bits of a product of more than three, each of which is y⁴ = y + 1 and so on.
Nibbles reduced(const Plane (&c)[7]) noexcept {
  return {{c[0] ^ c[4], c[1] ^ c[4] ^ c[5], c[2] ^ c[5] ^ c[6], c[3] ^ c[6]}};
}

Nibbles multiply(const Nibbles& a, const Nibbles& b) noexcept {
  Plane c[7] = {};
  for (unsigned i = 0; i < 4; ++i) {
    for (unsigned j = 0; j < 4; ++j) c[i + j] ^= a.bit[i] & b.bit[j];
  }
  return reduced(c);
}

Nibbles square(const Nibbles& a) noexcept {
  return reduced({a.bit[0], 0, a.bit[1], 0, a.bit[2], 0, a.bit[3]});
}

/// The 14th power.
Nibbles invert(const Nibbles& a) noexcept {
  const Nibbles second = square(a), fourth = square(second);
  return multiply(multiply(second, fourth), square(fourth));
}

template <const Map& kMap>
void map_planes(const Plane (&from)[8], Plane (&to)[8]) noexcept {
  for (unsigned row = 0; row < 8; ++row) {
    Plane sum = 0;
    for (unsigned bit = 0; bit < 8; ++bit) sum ^= from[bit] & (0 - Plane{kMap.of[bit] >> row & 1u});
    to[row] = sum;
  }
}

void invert_planes(Plane (&planes)[8]) noexcept {
  Nibbles low, high;
  for (unsigned i = 0; i < 4; ++i) {
    low.bit[i] = planes[i];
    high.bit[i] = planes[4 + i];
  }
  // The product with its conjugate is a number of GF(2^4): low² + low·high + lambda·high².
  const Nibbles sum = add(low, high), squared = square(high);
  static_assert(kLambda == 8, "the product with it is written out here");
  const Nibbles scaled =
      reduced({0, 0, 0, squared.bit[0], squared.bit[1], squared.bit[2], squared.bit[3]});
  const Nibbles inverse = invert(add(multiply(low, sum), scaled));
  const Nibbles new_high = multiply(high, inverse), new_low = multiply(sum, inverse);
  for (unsigned i = 0; i < 4; ++i) {
    planes[i] = new_low.bit[i];
    planes[4 + i] = new_high.bit[i];
  }
}

/// Exchanges bits, so that plane i has bit i of every byte; and back, for it is its own inverse.
void exchange(Plane (&q)[8]) noexcept {
  constexpr std::pair<unsigned, Plane> kSteps[] = {
      {1, 0x5555555555555555}, {2, 0x3333333333333333}, {4, 0x0f0f0f0f0f0f0f0f}};
  for (const auto& [step, mask] : kSteps) {
    for (unsigned i = 0; i < 8; ++i) {
      if (i & step) continue;
      const Plane moved = (q[i] >> step ^ q[i + step]) & mask;
      q[i] ^= moved << step;
      q[i + step] ^= moved;
    }
  }
}

struct Portable {
  /// A byte of 16 blocks.
  struct V {
    std::uint64_t half[2];
  };
  static constexpr unsigned kBlocks = 1;

  static V load(const std::byte* at) noexcept {
    V v;
    std::memcpy(&v, at, sizeof v);
    return v;
  }
  static void store(std::byte* at, V v) noexcept { std::memcpy(at, &v, sizeof v); }
  static V add(V a, V b) noexcept { return {{a.half[0] ^ b.half[0], a.half[1] ^ b.half[1]}}; }
  static V add3(V a, V b, V c) noexcept { return add(add(a, b), c); }

  /// The bytes of two halves, by turns.
  static V interleave(std::uint64_t a, std::uint64_t b) noexcept {
    std::byte from[2][8], to[16];
    std::memcpy(from[0], &a, 8);
    std::memcpy(from[1], &b, 8);
    for (unsigned i = 0; i < 16; ++i) to[i] = from[i % 2][i / 2];
    return load(to);
  }
  static V interleave_low(V a, V b) noexcept { return interleave(a.half[0], b.half[0]); }
  static V interleave_high(V a, V b) noexcept { return interleave(a.half[1], b.half[1]); }
  template <class RowOf>
  static void transpose_bytes(const RowOf& row_of, std::byte* to, std::size_t width) noexcept {
    for (unsigned i = 0; i < 16; ++i) {
      const std::byte* const row = row_of(i);
      for (unsigned j = 0; j < 16; ++j) to[j * width + i] = row[j];
    }
  }
  static V to_basis(V v) noexcept {
    return {{multiply_bytes<kToBasis>(v.half[0]), multiply_bytes<kToBasis>(v.half[1])}};
  }
  static V from_basis(V v) noexcept {
    return {{multiply_bytes<kFromBasis>(v.half[0]), multiply_bytes<kFromBasis>(v.half[1])}};
  }
  static void substitute(const V* t, V* a, V* b) noexcept {
    Plane q[8], pairs[8], planes[8];
    std::memcpy(q, t, sizeof q);
    exchange(q);
    map_planes<kToPairs>(q, pairs);
    invert_planes(pairs);
    map_planes<kAOfPairs>(pairs, planes);
    for (unsigned bit = 0; bit < 8; ++bit) planes[bit] ^= 0 - Plane{kAConstant >> bit & 1u};
    exchange(planes);
    std::memcpy(static_cast<void*>(a), planes, sizeof planes);
    map_planes<kBOfPairs>(pairs, planes);
    exchange(planes);
    std::memcpy(static_cast<void*>(b), planes, sizeof planes);
  }
  static std::uint32_t substitute_word(std::uint32_t word) noexcept {
    V t[4] = {{{word, 0}}}, a[4], b[4];
    substitute(t, a, b);
    return static_cast<std::uint32_t>(a[0].half[0]);
  }
  template <unsigned kWidth>
  static V key(const std::byte* row) noexcept {
    return load(row);
  }
  static void spread(std::uint32_t word, std::byte (*rows)[16]) noexcept {
    for (unsigned j = 0; j < 4; ++j) {
      const std::uint64_t bytes = 0x0101010101010101u * (word >> 8 * j & 0xff);
      store(rows[j], {{bytes, bytes}});
    }
  }

  struct Counter {
    std::uint32_t words[4];
  };
  static Counter counter(const std::byte* block) noexcept {
    Counter c;
    std::memcpy(&c, block, sizeof c);
    return c;
  }
  static V counted(Counter first, std::uint32_t blocks) noexcept {
    std::byte block[kSm4BlockBytes];
    first.words[3] = __builtin_bswap32(__builtin_bswap32(first.words[3]) + blocks);
    std::memcpy(block, &first, sizeof block);
    return load(block);
  }

  static constexpr unsigned kFewBlocks = 0;
  static void encrypt_few(const Schedule&, std::byte*, std::size_t) noexcept {}

  /// Fifteen rows of sixteen go for nothing.
  static void chain(const Schedule& key, std::byte* state, const std::byte* in, std::byte* out,
                    std::size_t blocks) noexcept {
    for (; blocks != 0; --blocks) {
      store(state, add(load(state), load(in)));
      Modes<Portable>::encrypt(key, state, state, 1);
      in += kSm4BlockBytes;
      if (out != nullptr) {
        std::memcpy(out, state, kSm4BlockBytes);
        out += kSm4BlockBytes;
      }
    }
  }

  struct C {
    std::uint64_t low, high;
  };
  static constexpr unsigned kHashBlocks = 1;

  /// The lower 64 bits of a product without carries: of each four bits three are kept free, where
  /// the carries of a plain product end.
  static std::uint64_t product_low(std::uint64_t x, std::uint64_t y) noexcept {
    constexpr std::uint64_t kEvery4th = 0x1111111111111111;
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < 4; ++i) {
      std::uint64_t part = 0;
      for (unsigned j = 0; j < 4; ++j) {
        part ^= (x & kEvery4th << j) * (y & kEvery4th << ((i + 4 - j) % 4));
      }
      sum |= part & kEvery4th << i;
    }
    return sum;
  }
  static std::uint64_t mirrored(std::uint64_t x) noexcept {
    x = (x >> 1 & 0x5555555555555555) | (x & 0x5555555555555555) << 1;
    x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0f) | (x & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(x);
  }
  static C product(std::uint64_t x, std::uint64_t y) noexcept {
    return {product_low(x, y), mirrored(product_low(mirrored(x), mirrored(y))) >> 1};
  }
  static C zero() noexcept { return {0, 0}; }
  static C add_hash(C a, C b) noexcept { return {a.low ^ b.low, a.high ^ b.high}; }
  static C load_power(const std::byte* at) noexcept {
    C c;
    std::memcpy(&c, at, sizeof c);
    return c;
  }
  static C load_hash(const std::byte* in) noexcept {
    const C c = load_power(in);
    return {__builtin_bswap64(c.high), __builtin_bswap64(c.low)};
  }
  static C load_part(const std::byte* in, std::size_t bytes) noexcept {
    std::byte block[kSm4BlockBytes] = {};
    std::memcpy(block, in, bytes);
    return load_hash(block);
  }
  static C state_in(unsigned, const std::byte* hash) noexcept { return load_hash(hash); }
  static C power_in(unsigned, const std::byte* at) noexcept { return load_power(at); }
  static C low(C x, C y) noexcept { return product(x.low, y.low); }
  static C high(C x, C y) noexcept { return product(x.high, y.high); }
  static C middle(C x, C y) noexcept {
    return add_hash(product(x.low, y.high), product(x.high, y.low));
  }
  static C reduce(C low, C high, C middle) noexcept {
    low.high ^= middle.low;
    high.low ^= middle.high;
    for (unsigned i = 0; i < 2; ++i) {
      const C folded = product(low.low, 0xc200000000000000);
      low = {low.high ^ folded.low, low.low ^ folded.high};
    }
    return add_hash(low, high);
  }
  static void store_power(std::byte* to, C c) noexcept { std::memcpy(to, &c, sizeof c); }
  static void store_state(std::byte* to, C c) noexcept {
    store_power(to, {__builtin_bswap64(c.high), __builtin_bswap64(c.low)});
  }
};
}  // namespace

constinit const Kernels kPortableKernels = Modes<Portable>::kernels();

}  // namespace sluice::crypto::sm4
