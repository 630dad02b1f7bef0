// The words of this folder: addresses, the header of a datagram, classes. UDP for the control
// plane in batches: one thread receives, sorts, queues and sends (datagrams.h, where to start);
// TypeScript reads headers as 16 words (src/n4/transport/transport.ts, the same order).
// What is in this file has no state; any thread.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/types.h"

namespace sluice::datagram {

/// Octets of UDP payload that IPv4 can carry.
inline constexpr std::uint32_t kDatagramBytesMax = 65'507;

/// An IP address: four words in host order, or one and three zeros for IPv4.
struct Address {
  std::uint32_t family = 0;  ///< 4 or 6
  std::array<std::uint32_t, 4> words{};
  bool operator==(const Address&) const noexcept = default;
};
/// A dotted quad or IPv6 text without zone; family 0: it is neither.
Address parse_address(const std::string& text) noexcept;
std::string address_text(const Address& address);

/// What is shed last to first.
enum class Class : std::uint32_t { Control = 0, Modification = 1, Establishment = 2 };
inline constexpr unsigned kClasses = 3;
/// By message type, of any octets. Responses, deletions and what is about nodes (but PFD
/// Management) are Control. Source: TS 29.244 clause 7.3.
Class class_of(const std::byte* bytes, std::size_t length) noexcept;

/// Flag of a Heartbeat Request that was answered already.
inline constexpr std::uint32_t kAnswered = 1;

/// Before each datagram in a ring: the words of src/n4/transport/transport.ts.
struct Header {
  std::uint32_t family = 0;
  std::uint32_t port = 0;
  std::uint32_t local = 0;  ///< index of the socket
  std::array<std::uint32_t, 4> address{};
  std::uint32_t offset = 0;  ///< of the payload in the ring's memory
  std::uint32_t length = 0;
  std::uint32_t hash_low = 0, hash_high = 0;
  std::uint32_t flags = 0;
  std::uint32_t waited_us = 0;  ///< between socket and ring
  std::uint32_t datagram_class = 0;
  std::array<std::uint32_t, 2> unused{};

  Address source() const noexcept { return {family, address}; }
};
static_assert(sizeof(Header) == kCacheLine);

/// A socket address and its length, as system calls want it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};
SocketAddress socket_address(const Address& address, std::uint32_t port) noexcept;
/// Address and port of what the kernel wrote; an IPv4 address inside IPv6 stays IPv6.
Address address_of(const sockaddr_storage& from, std::uint32_t& port) noexcept;

}  // namespace sluice::datagram
