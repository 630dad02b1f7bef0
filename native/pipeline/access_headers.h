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

  // The plain outer packet: no options, extension headers or fragments, UDP to our port, a G-PDU
  // with nothing but a PDU Session Container. Over IPv4 without a checksum of UDP.
  wire::ConstantOctets<12> outer4;
  wire::ConstantOctets<40> outer6;
  // The same to the port's first address, all lengths in agreement, with the common UE packet
  // inside: IPv4 without options and not a fragment, or IPv6. Over IPv6 the second half of the
  // address is not looked at.
  wire::ConstantOctets<20> v4_in_v4, v6_in_v4;
  wire::ConstantOctets<40> v4_in_v6, v6_in_v6;
  // Octets of these, down to the ports inside. No packet has so many where the port has no address
  // of the family.
  unsigned v4_in_v4_bytes = ~0u, v6_in_v4_bytes = ~0u, v4_in_v6_bytes = ~0u, v6_in_v6_bytes = ~0u;
  std::uint8_t first_ipv4 = 0xff;  ///< index of the address, 0xff: none
  FirstIpv6 first_ipv6;
};

}  // namespace sluice
