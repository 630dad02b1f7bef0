// Which system calls a burst of outer packets becomes: packets of one size to one peer from
// one source port share a message that the kernel (UDP_SEGMENT) takes apart again.
// Pure but for its own arrays; owner: the queue's worker.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <span>

#include "memory/packet.h"
#include "port/port.h"

namespace sluice {

/// One bound UDP socket of a queue.
struct LocalSocket {
  int fd = -1;
  IpAddress address;
  std::uint16_t port = 0;
  bool is_wildcard = false;  ///< bound to any address: each datagram names its own
  std::uint32_t missed = 0;  ///< datagrams that found no room in it, as the kernel said last
};

inline constexpr unsigned kDatagramsMax = 64;

class DatagramPlan {
 public:
  static constexpr std::uint8_t kNone = 0xff;

  /// Consecutive packets, in sending order by their next() chain.
  struct Message {
    std::uint64_t key;
    sockaddr_in6 peer;       ///< or a sockaddr_in, by its family
    const std::byte* outer;  ///< the first packet's outer IP header
    std::uint32_t bytes;     ///< of all payloads
    std::uint16_t socket;
    std::uint16_t segment;  ///< payload of every packet but the last
    std::uint8_t tos;
    std::uint8_t first, last, count;
    bool open;
    bool is_v6;
  };

  /// Plans at most kDatagramsMax packets. Packets to one peer by one socket keep their order
  /// if the messages of each socket are sent in theirs.
  /// @param segment_max  largest payload that may be segmented by the kernel; 0: none.
  void build(std::span<Packet* const> packets, std::span<const LocalSocket> sockets,
             std::uint16_t segment_max) noexcept;
  std::span<Message> messages() noexcept { return {messages_.data(), used_}; }
  std::uint8_t next(std::uint8_t position) const noexcept { return next_[position]; }
  /// The UDP payload of a packet that is part of a message.
  std::span<std::byte> payload(Packet& packet, std::uint8_t position) const noexcept {
    return {packet.data() + headers_[position],
            static_cast<std::size_t>(packet.length - headers_[position])};
  }
  /// Packets that are no UDP over IP, or that no socket could send: part of no message.
  std::uint64_t refused() const noexcept { return refused_; }

 private:
  bool read_outer(const Packet& packet, std::span<const LocalSocket> sockets, std::uint8_t position,
                  Message& message) noexcept;
  std::uint16_t find_socket(const std::byte* address, std::uint16_t port, bool is_v6,
                            std::span<const LocalSocket> sockets) noexcept;
  bool append(const Message& packet, std::uint8_t position, std::uint16_t segment_max) noexcept;

  unsigned used_ = 0;
  std::uint16_t last_socket_ = 0;
  std::uint64_t refused_ = 0;  // one bit a position
  std::array<std::uint8_t, kDatagramsMax> next_;
  std::array<std::uint8_t, kDatagramsMax> headers_;
  std::array<Message, kDatagramsMax> messages_;
};

}  // namespace sluice
