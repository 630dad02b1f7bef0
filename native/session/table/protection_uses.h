// Which protections there are, by number, and how many rules refer to each. What a protection is
// and its keys are the packet path's (pipeline/protect). Control thread.
#pragma once
#include <cstdint>
#include <unordered_map>

namespace sluice {

/// A node's protections have the numbers 1 to this one.
inline constexpr std::uint16_t kProtectionsMax = 16384;

class ProtectionUses {
 public:
  void define(std::uint16_t protection) { uses_.try_emplace(protection, 0); }
  /// False: rules refer to it, and it stays.
  bool undefine(std::uint16_t protection) {
    const auto it = uses_.find(protection);
    if (it != uses_.end() && it->second != 0) return false;
    uses_.erase(protection);
    return true;
  }
  /// One more reference; false: there is no such protection.
  bool acquire(std::uint16_t protection) {
    const auto it = uses_.find(protection);
    if (it == uses_.end()) return false;
    ++it->second;
    return true;
  }
  void release(std::uint16_t protection) { --uses_.at(protection); }
  std::uint32_t count(std::uint16_t protection) const {
    const auto it = uses_.find(protection);
    return it == uses_.end() ? 0 : it->second;
  }

 private:
  std::unordered_map<std::uint16_t, std::uint32_t> uses_;
};

}  // namespace sluice
