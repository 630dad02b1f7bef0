#include "port/socket/datagram_plan.h"

#include <cstring>

#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {
namespace {

constexpr std::uint16_t kNoSocket = 0xffff;
// Below the largest UDP payload over IPv4 (65,507), so that no sum of sizes exceeds it.
constexpr std::uint32_t kMessageBytesMax = 65000;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const std::uint64_t product = (a ^ b) * 0x9e3779b97f4a7c15u;
  return product ^ product >> 29;
}

}  // namespace

// The socket that the outer header names; else one that comes near: when peers know us by
// another address than ours (a NAT before us), the socket's own address takes its place.
std::uint16_t DatagramPlan::find_socket(const std::byte* address, std::uint16_t port, bool is_v6,
                                        std::span<const LocalSocket> sockets) noexcept {
  const std::size_t bytes = is_v6 ? 16 : 4;
  const auto rank = [&](const LocalSocket& socket) {
    if (socket.address.is_v6 != is_v6) return 0;
    const bool is_here =
        socket.is_wildcard || std::memcmp(socket.address.bytes.data(), address, bytes) == 0;
    return 1 + (socket.port == port ? 2 : 0) + (is_here ? 4 : 0);
  };
  constexpr int kBest = 7;
  if (last_socket_ < sockets.size() && rank(sockets[last_socket_]) == kBest) return last_socket_;
  std::uint16_t best = kNoSocket;
  int best_rank = 0;
  for (std::size_t i = 0; i < sockets.size() && best_rank < kBest; ++i) {
    const int found = rank(sockets[i]);
    if (found > best_rank) {
      best_rank = found;
      best = static_cast<std::uint16_t>(i);
    }
  }
  if (best_rank == kBest) last_socket_ = best;
  return best;
}

bool DatagramPlan::read_outer(const Packet& packet, std::span<const LocalSocket> sockets,
                              std::uint8_t position, Message& message) noexcept {
  const std::byte* ip = packet.data();
  const std::size_t length = packet.length;
  if (length < wire::kIpv4Bytes + wire::kUdpBytes) return false;
  message.is_v6 = wire::load8(ip) >> 4 == 6;
  std::size_t upper = wire::kIpv6Bytes;
  if (message.is_v6) {
    if (length < upper + wire::kUdpBytes || wire::load8(ip + 6) != wire::kProtocolUdp) return false;
    message.tos = static_cast<std::uint8_t>(wire::load16(ip) >> 4);
  } else {
    upper = (wire::load8(ip) & 15) * 4u;
    if (wire::load8(ip) >> 4 != 4 || upper < wire::kIpv4Bytes || length < upper + wire::kUdpBytes ||
        wire::load8(ip + 9) != wire::kProtocolUdp) {
      return false;
    }
    message.tos = wire::load8(ip + 1);
  }
  const std::byte* source = ip + (message.is_v6 ? 8 : 12);
  message.outer = ip;
  message.socket = find_socket(source, wire::load16(ip + upper), message.is_v6, sockets);
  if (message.socket == kNoSocket) return false;
  std::uint16_t peer_port = 0;
  std::memcpy(&peer_port, ip + upper + 2, 2);
  message.key = mix(message.socket | std::uint64_t{message.tos} << 16, std::uint64_t{peer_port});
  if (message.is_v6) {
    message.peer = {};
    message.peer.sin6_family = AF_INET6;
    message.peer.sin6_port = peer_port;
    std::memcpy(&message.peer.sin6_addr, ip + 24, 16);
    message.key = mix(mix(message.key, wire::load64(ip + 24)), wire::load64(ip + 32));
  } else {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = peer_port;
    std::memcpy(&peer.sin_addr, ip + 16, 4);
    message.peer = {};
    std::memcpy(&message.peer, &peer, sizeof peer);
    message.key = mix(message.key, wire::load32(ip + 16));
  }
  if (sockets[message.socket].is_wildcard) {
    message.key = mix(message.key, message.is_v6 ? wire::load64(source + 8) : wire::load32(source));
  }
  headers_[position] = static_cast<std::uint8_t>(upper + wire::kUdpBytes);
  message.bytes = static_cast<std::uint32_t>(length - headers_[position]);
  message.segment = static_cast<std::uint16_t>(message.bytes);
  message.first = message.last = position;
  message.count = 1;
  return true;
}

bool DatagramPlan::append(const Message& packet, std::uint8_t position,
                          std::uint16_t segment_max) noexcept {
  // Only the latest message to that peer may grow, else packets would overtake each other.
  for (unsigned i = used_; i-- > 0;) {
    Message& message = messages_[i];
    if (message.key != packet.key) continue;
    const std::size_t address_offset = packet.is_v6 ? 8 : 12;
    const std::size_t address_bytes = packet.is_v6 ? 32 : 8;
    const bool fits = message.open && packet.segment != 0 && packet.segment <= message.segment &&
                      message.segment <= segment_max && message.socket == packet.socket &&
                      message.tos == packet.tos && message.is_v6 == packet.is_v6 &&
                      std::memcmp(&message.peer, &packet.peer, sizeof packet.peer) == 0 &&
                      std::memcmp(message.outer + address_offset, packet.outer + address_offset,
                                  address_bytes) == 0 &&
                      message.bytes + packet.segment <= kMessageBytesMax;
    if (!fits) return false;
    next_[message.last] = position;
    message.last = position;
    message.bytes += packet.segment;
    ++message.count;
    message.open = packet.segment == message.segment;
    return true;
  }
  return false;
}

void DatagramPlan::build(std::span<Packet* const> packets, std::span<const LocalSocket> sockets,
                         std::uint16_t segment_max) noexcept {
  used_ = 0;
  refused_ = 0;
  const auto count = static_cast<std::uint8_t>(packets.size());  // a burst at most
  for (std::uint8_t i = 0; i < count; ++i) {
    Message& message = messages_[used_];
    next_[i] = kNone;
    if (!read_outer(*packets[i], sockets, i, message)) {
      refused_ |= std::uint64_t{1} << i;
      continue;
    }
    if (append(message, i, segment_max)) continue;
    message.open = true;
    ++used_;
  }
}

}  // namespace sluice
