#include "wire/icmp.h"

#include <algorithm>
#include <cstring>

#include "wire/inner.h"

namespace sluice::wire {
namespace {

constexpr unsigned kIpv4ErrorBytesMax = 576, kIcmpHeaderBytes = 8;

bool is_one_host_v4(std::uint32_t address) noexcept {
  return address >> 24 != 0 && address >> 24 != 127 && address >> 28 < 14;
}
/// Neither unspecified nor multicast.
bool is_one_host_v6(const std::array<std::uint32_t, 4>& address) noexcept {
  return address[0] >> 24 != 0xff && (address[0] | address[1] | address[2] | address[3]) != 0;
}
bool is_icmp_error(const InnerPacket& packet, unsigned type) noexcept {
  if (packet.version == 6) return packet.protocol == kProtocolIcmpv6 && (type < 128 || type == 137);
  // Destination unreachable, source quench, redirect, time exceeded, parameter problem.
  return packet.protocol == kProtocolIcmp &&
         (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

}  // namespace

bool may_answer_with_icmp(const std::byte* bytes, std::size_t n) noexcept {
  InnerPacket packet;
  if (parse_inner(bytes, n, packet) != DropReason::None || packet.fragment_offset != 0)
    return false;
  const bool is_v6 = packet.version == 6;
  const bool hosts =
      is_v6 ? is_one_host_v6(packet.source) && is_one_host_v6(packet.destination)
            : is_one_host_v4(packet.source[0]) && is_one_host_v4(packet.destination[0]);
  if (!hosts) return false;
  // An ICMP message without a type can't be told from an error.
  if (packet.protocol != (is_v6 ? kProtocolIcmpv6 : kProtocolIcmp)) return true;
  return packet.header_length < packet.total_length &&
         !is_icmp_error(packet, load8(bytes + packet.header_length));
}

unsigned write_icmp_error(std::byte* out, const std::byte* bytes, std::size_t n, IcmpError error,
                          const std::byte* source, std::uint32_t mtu) noexcept {
  const bool is_v6 = load8(bytes) >> 4 == 6;
  const unsigned ip = is_v6 ? kIpv6Bytes : kIpv4Bytes;
  const unsigned most = (is_v6 ? kIcmpErrorBytesMax : kIpv4ErrorBytesMax) - ip - kIcmpHeaderBytes;
  const auto quoted = static_cast<unsigned>(std::min<std::size_t>(n, most));
  const auto icmp_bytes = static_cast<std::uint16_t>(quoted + kIcmpHeaderBytes);
  std::byte* icmp = out + ip;
  const bool too_big = error == IcmpError::TooBig;
  if (is_v6) {
    write_ipv6(out, {.source = source,
                     .destination = bytes + 8,
                     .payload_length = icmp_bytes,
                     .next_header = kProtocolIcmpv6});
    store32(icmp, too_big ? 0x02000000 : 0x03000000);
    store32(icmp + 4, too_big ? mtu : 0);
  } else {
    write_ipv4(out, {.source = load32(source),
                     .destination = load32(bytes + 12),
                     .total_length = static_cast<std::uint16_t>(icmp_bytes + ip),
                     .protocol = kProtocolIcmp,
                     .tos = 0xc0,
                     .dont_fragment = false});
    store32(icmp, too_big ? 0x03040000 : 0x0b000000);
    store32(icmp + 4, too_big ? std::min<std::uint32_t>(mtu, 0xffff) : 0);
  }
  std::memcpy(icmp + kIcmpHeaderBytes, bytes, quoted);
  const std::uint32_t pseudo =
      is_v6 ? pseudo_header_v6(out + 8, out + 24, kProtocolIcmpv6, icmp_bytes) : 0;
  store16(icmp + 2, fold(checksum_partial(icmp, icmp_bytes, pseudo)));
  return ip + icmp_bytes;
}

}  // namespace sluice::wire
