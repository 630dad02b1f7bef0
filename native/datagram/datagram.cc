#include "datagram/datagram.h"

#include <arpa/inet.h>

namespace sluice::datagram {
namespace {

constexpr std::uint8_t kPfdManagementRequest = 3;
constexpr std::uint8_t kLastNodeMessage = 15;
constexpr std::uint8_t kEstablishmentRequest = 50;
constexpr std::uint8_t kModificationRequest = 52;
constexpr std::uint8_t kLastSessionMessage = 57;
constexpr std::size_t kHeaderBytes = 8;

}  // namespace

Class class_of(const std::byte* bytes, std::size_t length) noexcept {
  if (length < kHeaderBytes) return Class::Establishment;
  const auto type = static_cast<std::uint8_t>(bytes[1]);
  if (type == kPfdManagementRequest || type == kModificationRequest) return Class::Modification;
  const bool node = type >= 1 && type <= kLastNodeMessage;
  const bool session = type > kEstablishmentRequest && type <= kLastSessionMessage;
  return node || session ? Class::Control : Class::Establishment;
}

Address parse_address(const std::string& text) noexcept {
  Address out;
  if (in_addr v4; inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    out.family = 4;
    out.words[0] = ntohl(v4.s_addr);
  } else if (in6_addr v6; inet_pton(AF_INET6, text.c_str(), &v6) == 1) {
    out.family = 6;
    for (unsigned i = 0; i < 4; ++i) {
      std::memcpy(&out.words[i], v6.s6_addr + 4 * i, 4);
      out.words[i] = ntohl(out.words[i]);
    }
  }
  return out;
}

std::string address_text(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const SocketAddress at = socket_address(address, 0);
  if (address.family == 4) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(at.storage);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else if (address.family == 6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(at.storage);
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  }
  return text.data();
}

SocketAddress socket_address(const Address& address, std::uint32_t port) noexcept {
  SocketAddress out;
  if (address.family == 4) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    v4.sin_addr.s_addr = htonl(address.words[0]);
    out.length = sizeof(sockaddr_in);
  } else if (address.family == 6) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<std::uint16_t>(port));
    for (unsigned i = 0; i < 4; ++i) {
      const std::uint32_t word = htonl(address.words[i]);
      std::memcpy(v6.sin6_addr.s6_addr + 4 * i, &word, 4);
    }
    out.length = sizeof(sockaddr_in6);
  }
  return out;
}

Address address_of(const sockaddr_storage& from, std::uint32_t& port) noexcept {
  Address out;
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    out.family = 4;
    out.words[0] = ntohl(v4.sin_addr.s_addr);
    port = ntohs(v4.sin_port);
  } else if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    out.family = 6;
    for (unsigned i = 0; i < 4; ++i) {
      std::memcpy(&out.words[i], v6.sin6_addr.s6_addr + 4 * i, 4);
      out.words[i] = ntohl(out.words[i]);
    }
    port = ntohs(v6.sin6_port);
  }
  return out;
}

}  // namespace sluice::datagram
