#include "wire/checksum.h"

namespace sluice::wire {

namespace {
// Both 32-bit halves of a word, added without a carry chain: four such sums run in
// parallel, and 2^31 words would be needed to overflow one of them.
inline std::uint64_t halves(const std::byte* bytes) noexcept {
  const auto word = detail::load_raw<std::uint64_t>(bytes);
  return (word & 0xffffffff) + (word >> 32);
}
}  // namespace

std::uint32_t checksum_partial(const std::byte* bytes, std::size_t n, std::uint32_t seed) noexcept {
  // Words are summed as they lie in memory; the one's complement sum of swapped words is
  // the swapped sum, so one swap at the end is enough.
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  std::uint64_t d = 0;
  for (; n >= 32; n -= 32, bytes += 32) {
    a += halves(bytes);
    b += halves(bytes + 8);
    c += halves(bytes + 16);
    d += halves(bytes + 24);
  }
  for (; n >= 8; n -= 8, bytes += 8) a += halves(bytes);
  if (n >= 4) {
    b += detail::load_raw<std::uint32_t>(bytes);
    bytes += 4;
    n -= 4;
  }
  if (n >= 2) {
    c += detail::load_raw<std::uint16_t>(bytes);
    bytes += 2;
    n -= 2;
  }
  if (n != 0) {
    const std::byte last[2] = {*bytes, std::byte{0}};
    d += detail::load_raw<std::uint16_t>(last);
  }
  std::uint64_t sum = a + b + c + d;
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  const auto folded = static_cast<std::uint16_t>(sum);
  const std::uint16_t word = detail::kLittle ? swap16(folded) : folded;
  return (seed & 0xffff) + (seed >> 16) + word;
}

}  // namespace sluice::wire
