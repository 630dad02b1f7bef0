// Addresses as people write them, for messages and for programs that read text.
#pragma once
#include <arpa/inet.h>

#include <string>

#include "port/port.h"

namespace sluice {

/// "10.0.0.1" or "fd00::1". Threads: any; pure.
inline std::string address_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  const int family = address.is_v6 ? AF_INET6 : AF_INET;
  return ::inet_ntop(family, address.bytes.data(), text, sizeof text) == nullptr ? "?" : text;
}

}  // namespace sluice
