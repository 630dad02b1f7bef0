// Addresses out of a UE's packet, when the operand's lanes are not enough. Worker's thread.
#pragma once
#include "pipeline/burst.h"
#include "wire/inner.h"

namespace sluice {

/// Words as in a record.
struct UeAddress {
  std::uint32_t words[4] = {};
  bool is_v6 = false;
};

/// Source or destination of a packet in a burst.
inline UeAddress address_of(const Burst& burst, unsigned i, bool source) noexcept {
  const std::byte* inner = burst.packets[i]->data() + burst.inner_offset[i];
  UeAddress address{{}, (burst.flags[i] & kInnerV6) != 0};
  const bool v6 = address.is_v6;
  const unsigned at = v6 ? (source ? 8 : 24) : (source ? 12 : 16);
  for (unsigned w = 0; w < (v6 ? 4u : 1u); ++w) {
    address.words[w] = wire::load32(inner + at + 4 * w);
  }
  return address;
}

inline bool is_link_local(const UeAddress& a) noexcept {
  return a.is_v6 && a.words[0] >> 22 == 0xfe80 >> 6;
}

}  // namespace sluice
