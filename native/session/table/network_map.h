// Names of the outside world that rules refer to, as numbers: network instances and local
// addresses to ports. Made once from the configuration; immutable.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace sluice {

inline constexpr unsigned kLocalAddressesMax = 16;  ///< width of FlowState::local_mask
inline constexpr std::uint8_t kNoPort = 0xff;

/// A local GTP-U address; its index is the bit in FlowState::local_mask.
struct LocalAddress {
  std::uint32_t words[4];  ///< as in a record; IPv4 in the first, rest 0
  bool is_v6;
  std::uint8_t port;
  bool operator==(const LocalAddress&) const = default;
};

struct PortNames {
  std::uint8_t index;
  bool is_access;
  std::uint16_t udp_port;
  std::vector<std::string> instances;  ///< "*" is any

  bool carries(std::string_view instance) const {
    for (const auto& name : instances) {
      if (instance.empty() || name == "*" || name == instance) return true;
    }
    return false;
  }
};

struct NetworkMap {
  std::vector<PortNames> ports;
  std::vector<LocalAddress> locals;
  /// The local ones as peers know them, where a NAT stands between; the same order.
  std::vector<LocalAddress> advertised;
  /// Addresses of the UPF itself: these two, and with kNoPort those of its other services.
  std::vector<LocalAddress> owns;

  /// @param told  the same address as peers know it.
  void add_local(const LocalAddress& local, const LocalAddress& told) {
    locals.push_back(local);
    advertised.push_back(told);
    owns.push_back(local);
    if (told != local) owns.push_back(told);
  }
  /// Ports of one role that carry an instance (empty: any), bit n is port n.
  PortMask mask(bool access, std::string_view instance) const {
    PortMask mask = 0;
    for (const auto& port : ports) {
      if (port.is_access == access && port.carries(instance)) {
        mask = static_cast<PortMask>(mask | 1u << port.index);
      }
    }
    return mask;
  }
  /// Whether it is one of the local GTP-U addresses.
  bool is_local(const std::uint32_t (&words)[4], bool is_v6) const {
    for (const auto& local : locals) {
      if (local.is_v6 == is_v6 && std::equal(words, words + (is_v6 ? 4 : 1), local.words)) {
        return true;
      }
    }
    return false;
  }
  /// A local address as the peers of its port know it.
  const LocalAddress* as_advertised(const std::uint32_t (&words)[4], bool is_v6) const {
    for (std::size_t i = 0; i < locals.size(); ++i) {
      const LocalAddress& local = locals[i];
      if (local.is_v6 == is_v6 && std::equal(words, words + (is_v6 ? 4 : 1), local.words)) {
        return &advertised[i];
      }
    }
    return nullptr;
  }
  /// The address that packets out of a port get, or null when it has none of the family.
  const LocalAddress* source(std::uint8_t port, bool is_v6) const {
    for (const auto& local : locals) {
      if (local.port == port && local.is_v6 == is_v6) return &local;
    }
    return nullptr;
  }
};

}  // namespace sluice
