#include "pipeline/access_headers.h"

#include "session/table/peer_table.h"
#include "wire/gtpu.h"
#include "wire/inner.h"
#include "wire/ipv6.h"

namespace sluice {
namespace {

constexpr unsigned kPortsBytes = 4;

void set_outer(auto& c, std::uint16_t udp_port) noexcept {
  c.set(0, 0x45);
  c.set(6, 0, 0x3f);  // not a fragment, whatever DF says
  c.set(7, 0);
  c.set(9, wire::kProtocolUdp);
  c.set(22, static_cast<std::uint8_t>(udp_port >> 8));
  c.set(23, static_cast<std::uint8_t>(udp_port));
  c.set(26, 0);
  c.set(27, 0);
  c.set(28, 0x34);
  c.set(29, wire::kGtpuGpdu);
  c.set(39, wire::kExtensionPduSession);
  c.set(40, 1);
  c.set(43, 0);
}

/// To one address, and as long as the headers say.
void set_whole(auto& c, std::uint16_t udp_port, std::uint32_t to) noexcept {
  set_outer(c, udp_port);
  c.set32(16, to);
  c.set_length(2, 0);
  c.set_length(24, 20);
  c.set_length(30, 36);
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
  set_outer(outer, udp_port);
  if (first_ipv4 == 0xff) return;
  const std::uint32_t to = locals[first_ipv4].words[0];
  constexpr unsigned kInside = kPlainOuterBytes;
  whole_bytes = kInside + 20 + kPortsBytes;
  set_whole(whole, udp_port, to);
  whole.set_length(kInside + 2, kInside);
  whole.set(kInside, 0x45);
  whole.set(kInside + 6, 0, 0x3f);
  whole.set(kInside + 7, 0);
  whole6_bytes = kInside + wire::kIpv6Bytes + kPortsBytes;
  set_whole(whole6, udp_port, to);
  whole6.set_length(kInside + 4, kInside + wire::kIpv6Bytes);
  whole6.set(kInside, 0x60, 0xf0);
}

}  // namespace sluice
