// What the operator decides about IP packets that are nobody's to send, or can't go on.
#pragma once
#include <cstdint>

namespace sluice {

/// What becomes of packets that have no business on N6, and what Sluice says about others.
struct IpPolicy {
  bool drop_multicast = true;
  bool drop_martians = true;
  bool drop_own_addresses = true;
  bool drop_nested_gtpu = true;
  bool hairpin = true;  ///< packets between UEs of an instance turn round here
  std::uint32_t icmp_errors_per_second = 1000;  ///< of a worker; 0: none
};

}  // namespace sluice
