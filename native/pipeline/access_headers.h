// What the headers of nearly all packets look like that come to one access port: to its first
// address of a family, with nothing in them that needs a closer look. Made once, and compared with
// by parse.
#pragma once
#include <cstdint>
#include <span>

#include "session/table/network_map.h"
#include "wire/constant_octets.h"

namespace sluice {

struct AccessHeaders {
  /// A port's first local address of IPv6, if it has one.
  struct FirstIpv6 {
    std::uint64_t high = 0, low = 0;
    std::uint8_t local = 0;
    bool exists = false;
    bool is(const std::byte* address) const noexcept {
      return exists && wire::load64(address) == high && wire::load64(address + 8) == low;
    }
  };

  /// @param local_mask  bits of the port's own among `locals`.
  AccessHeaders(std::uint16_t udp_port, std::uint16_t local_mask,
                std::span<const LocalAddress> locals) noexcept;

  /// The plain outer packet over IPv4, but for its destination: no options or fragments, UDP to our
  /// port without a checksum to verify, a G-PDU with nothing but a PDU Session Container.
  wire::ConstantOctets<12> outer;
  /// The same to the first address, with the common UE packet of IPv4 inside: no options, not a
  /// fragment. All four lengths agree.
  wire::ConstantOctets<20> whole;
  /// The same with IPv6 inside: no extension headers, as far as this can say.
  wire::ConstantOctets<20> whole6;
  // Octets down to the ports inside. No packet has so many where the port has no IPv4 address.
  unsigned whole_bytes = ~0u, whole6_bytes = ~0u;
  std::uint8_t first_ipv4 = 0xff;  ///< index of the address, 0xff: none
  FirstIpv6 first_ipv6;
};

}  // namespace sluice
