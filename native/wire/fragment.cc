#include "wire/fragment.h"

#include <cstring>

namespace sluice::wire {
namespace {
constexpr unsigned kEndOfOptions = 0, kNoOperation = 1, kCopied = 0x80;

/// Of the TTL or hop limit.
unsigned hop_offset(const std::byte* packet) noexcept { return load8(packet) >> 4 == 6 ? 7 : 8; }

}  // namespace

unsigned write_fragment_header(std::byte* out, const std::byte* header) noexcept {
  const unsigned end = (load8(header) & 15u) * 4;
  std::memcpy(out, header, kIpv4Bytes);
  unsigned at = kIpv4Bytes, to = kIpv4Bytes;
  while (at < end) {
    const unsigned type = load8(header + at);
    if (type == kEndOfOptions) break;
    if (type == kNoOperation) {
      ++at;
      continue;
    }
    const unsigned length = at + 1 < end ? load8(header + at + 1) : 0;
    if (length < 2 || at + length > end) break;
    if (type & kCopied) {
      std::memcpy(out + to, header + at, length);
      to += length;
    }
    at += length;
  }
  for (; to % 4 != 0; ++to) out[to] = std::byte{kEndOfOptions};
  store8(out, static_cast<std::uint8_t>(0x40 | to / 4));
  return to;
}

void finish_fragment(std::byte* header, unsigned total_length, unsigned offset,
                     bool more) noexcept {
  const auto bytes = static_cast<std::uint16_t>((load8(header) & 15) * 4);
  store16(header + 2, static_cast<std::uint16_t>(total_length));
  store16(header + 6, static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000u : 0u)));
  store16(header + 10, 0);
  store16(header + 10, checksum(header, bytes));
}

bool has_hop(const std::byte* packet) noexcept { return load8(packet + hop_offset(packet)) > 1; }

bool take_hop(std::byte* packet) noexcept {
  const bool is_v6 = load8(packet) >> 4 == 6;
  const unsigned at = hop_offset(packet);
  const std::uint8_t left = load8(packet + at);
  if (left <= 1) return false;
  const std::uint16_t before = load16(packet + (at & ~1u));
  store8(packet + at, static_cast<std::uint8_t>(left - 1));
  if (!is_v6) {
    store16(packet + 10, checksum_update16(load16(packet + 10), before, load16(packet + 8)));
  }
  return true;
}

}  // namespace sluice::wire
