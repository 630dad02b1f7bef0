#include "wire/tcp.h"

#include "wire/checksum.h"

namespace sluice::wire {
namespace {
constexpr unsigned kOptionEnd = 0, kOptionNone = 1, kOptionMss = 2, kMssBytes = 4;
}  // namespace

bool clamp_mss(std::byte* packet, const InnerPacket& parsed, std::uint16_t mss) noexcept {
  const std::size_t there = parsed.total_length - parsed.header_length;
  if (parsed.protocol != kProtocolTcp || parsed.fragment_offset != 0 || there < kTcpBytes) {
    return false;
  }
  std::byte* tcp = packet + parsed.header_length;
  const unsigned end = (load8(tcp + 12) >> 4) * 4u;
  if ((load8(tcp + 13) & kTcpSyn) == 0 || end > there) return false;
  for (unsigned at = kTcpBytes; at + 1 < end;) {
    const unsigned kind = load8(tcp + at);
    if (kind == kOptionEnd) return false;
    if (kind == kOptionNone) {
      ++at;
      continue;
    }
    const unsigned length = load8(tcp + at + 1);
    if (length < 2 || at + length > end) return false;
    if (kind != kOptionMss || length != kMssBytes) {
      at += length;
      continue;
    }
    const std::uint16_t before = load16(tcp + at + 2);
    if (before <= mss) return false;
    store16(tcp + at + 2, mss);
    // At an odd place the option's octets lie in two words of the sum: their swapped value counts.
    const bool odd = (at & 1) != 0;
    store16(tcp + 16, checksum_update16(load16(tcp + 16), odd ? swap16(before) : before,
                                        odd ? swap16(mss) : mss));
    return true;
  }
  return false;
}

}  // namespace sluice::wire
