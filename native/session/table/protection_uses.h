// Which protections there are, by number, the ports that have their local addresses, and how many
// rules refer to each. What a protection is and its keys are the packet path's (pipeline/protect).
// Control thread.
#pragma once
#include <cstdint>
#include <unordered_map>

#include "base/types.h"

namespace sluice {

/// A node's protections have the numbers 1 to this one.
inline constexpr std::uint16_t kProtectionsMax = 16384;

class ProtectionUses {
 public:
  /// @param ports  bit n: packets of port n may have its local address
  void define(std::uint16_t protection, PortMask ports) {
    uses_.try_emplace(protection, Entry{ports, 0});
  }
  /// False: rules refer to it, and it stays.
  bool undefine(std::uint16_t protection) {
    const auto it = uses_.find(protection);
    if (it != uses_.end() && it->second.count != 0) return false;
    uses_.erase(protection);
    return true;
  }
  /// One more reference; false: there is no such protection.
  bool acquire(std::uint16_t protection) {
    const auto it = uses_.find(protection);
    if (it == uses_.end()) return false;
    ++it->second.count;
    return true;
  }
  void release(std::uint16_t protection) { --uses_.at(protection).count; }
  bool has(std::uint16_t protection) const { return uses_.contains(protection); }
  PortMask ports(std::uint16_t protection) const { return uses_.at(protection).ports; }
  std::uint32_t count(std::uint16_t protection) const {
    const auto it = uses_.find(protection);
    return it == uses_.end() ? 0 : it->second.count;
  }

 private:
  struct Entry {
    PortMask ports;
    std::uint32_t count;
  };
  std::unordered_map<std::uint16_t, Entry> uses_;
};

}  // namespace sluice
