#include "pipeline/access_headers.h"

#include "session/table/peer_table.h"
#include "wire/gtpu.h"
#include "wire/inner.h"
#include "wire/ipv6.h"

namespace sluice {
namespace {

constexpr unsigned kUdpV4 = 20, kUdpV6 = 40;  ///< where UDP begins
constexpr unsigned kPortsBytes = 4;

/// UDP and GTP-U behind an IP header of `udp` octets.
void set_gtpu(auto& c, unsigned udp, std::uint16_t udp_port) noexcept {
  const unsigned gtpu = udp + 8;
  c.set(udp + 2, static_cast<std::uint8_t>(udp_port >> 8));
  c.set(udp + 3, static_cast<std::uint8_t>(udp_port));
  c.set(gtpu, 0x34);
  c.set(gtpu + 1, wire::kGtpuGpdu);
  c.set(gtpu + 11, wire::kExtensionPduSession);
  c.set(gtpu + 12, 1);
  c.set(gtpu + 15, 0);
}

void set_outer4(auto& c, std::uint16_t udp_port) noexcept {
  c.set(0, 0x45);
  c.set(6, 0, 0x3f);  // not a fragment, whatever DF says
  c.set(7, 0);
  c.set(9, wire::kProtocolUdp);
  c.set(kUdpV4 + 6, 0);
  c.set(kUdpV4 + 7, 0);
  set_gtpu(c, kUdpV4, udp_port);
}

void set_outer6(auto& c, std::uint16_t udp_port) noexcept {
  c.set(0, 0x60, 0xf0);
  c.set(6, wire::kProtocolUdp);
  set_gtpu(c, kUdpV6, udp_port);
}

/// To one address, as long as the headers say, with IPv4 or IPv6 inside.
template <bool kOverV6>
void set_whole(auto& c, const LocalAddress& to, bool with_v6, std::uint16_t udp_port) noexcept {
  constexpr unsigned kUdp = kOverV6 ? kUdpV6 : kUdpV4, kInside = kUdp + 24;
  if constexpr (kOverV6) {
    set_outer6(c, udp_port);
    c.set_length(4, kUdpV6);
    for (unsigned k = 0; k < 2; ++k) c.set32(24 + 4 * k, to.words[k]);
  } else {
    set_outer4(c, udp_port);
    c.set_length(2, 0);
    c.set32(16, to.words[0]);
  }
  c.set_length(kUdp + 4, static_cast<std::uint16_t>(kUdp));
  c.set_length(kUdp + 10, static_cast<std::uint16_t>(kUdp + 16));
  if (with_v6) {
    c.set(kInside, 0x60, 0xf0);
    c.set_length(kInside + 4, static_cast<std::uint16_t>(kInside + wire::kIpv6Bytes));
  } else {
    c.set(kInside, 0x45);
    c.set_length(kInside + 2, static_cast<std::uint16_t>(kInside));
    c.set(kInside + 6, 0, 0x3f);
    c.set(kInside + 7, 0);
  }
}

}  // namespace

AccessHeaders::AccessHeaders(std::uint16_t udp_port, std::uint16_t local_mask,
                             std::span<const LocalAddress> locals) noexcept {
  for (unsigned local = static_cast<unsigned>(locals.size()); local-- > 0;) {
    if ((local_mask >> local & 1) == 0) continue;
    const LocalAddress& address = locals[local];
    if (!address.is_v6) {
      first_ipv4 = static_cast<std::uint8_t>(local);
    } else {
      first_ipv6 = {.high = std::uint64_t{address.words[0]} << 32 | address.words[1],
                    .low = std::uint64_t{address.words[2]} << 32 | address.words[3],
                    .local = static_cast<std::uint8_t>(local),
                    .exists = true};
    }
  }
  set_outer4(outer4, udp_port);
  set_outer6(outer6, udp_port);
  constexpr unsigned kV4Bytes = 20 + kPortsBytes, kV6Bytes = wire::kIpv6Bytes + kPortsBytes;
  if (first_ipv4 != 0xff) {
    set_whole<false>(v4_in_v4, locals[first_ipv4], false, udp_port);
    set_whole<false>(v6_in_v4, locals[first_ipv4], true, udp_port);
    v4_in_v4_bytes = kPlainOuterBytes + kV4Bytes;
    v6_in_v4_bytes = kPlainOuterBytes + kV6Bytes;
  }
  if (first_ipv6.exists) {
    set_whole<true>(v4_in_v6, locals[first_ipv6.local], false, udp_port);
    set_whole<true>(v6_in_v6, locals[first_ipv6.local], true, udp_port);
    v4_in_v6_bytes = kPlainOuter6Bytes + kV4Bytes;
    v6_in_v6_bytes = kPlainOuter6Bytes + kV6Bytes;
  }
}

}  // namespace sluice
