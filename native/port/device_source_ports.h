// UDP source ports of a port that has its device to itself, so that no socket has to hold them: the
// GTP-U port and some that nobody listens on for long. Pure; any thread.
#pragma once
#include <bit>
#include <string>
#include <vector>

#include "port/port.h"

namespace sluice {

/// Errors are on "sourcePorts".
inline Status check_device_source_ports(const PortConfig& config) {
  constexpr unsigned kMost = 16;
  if (std::has_single_bit(config.source_ports) && config.source_ports <= kMost) return Ok{};
  return Error{std::to_string(config.source_ports) +
                   " source ports are not possible; choose 1, 2, 4, 8 or 16",
               "sourcePorts"};
}

/// As many as the configuration says; none where nothing leaves in tunnels.
inline std::vector<std::uint16_t> device_source_ports(const PortConfig& config) {
  /// The first of the dynamic ports (RFC 6335).
  constexpr unsigned kFirst = 49152;
  std::vector<std::uint16_t> ports;
  if (config.role != PortRole::Access) return ports;
  ports.push_back(config.udp_port);
  for (unsigned i = 1; i < config.source_ports; ++i) {
    ports.push_back(static_cast<std::uint16_t>(kFirst + i));
  }
  return ports;
}

}  // namespace sluice
