// One bound UDP socket, and room for a batch in each direction. Sockets never block.
// Owner: whoever made it; one thread at a time.
#pragma once
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <memory>
#include <span>

#include "datagram/datagram.h"

namespace sluice::datagram {

inline constexpr unsigned kBatch = 64;

/// What recvmmsg fills; memory is touched as far as datagrams are long.
class ReceiveBatch {
 public:
  ReceiveBatch();
  /// One call. @return how many came
  unsigned receive(int fd) noexcept;
  std::span<const std::byte> bytes(unsigned i) const noexcept {
    return {bytes_.get() + i * kRoom, messages_[i].msg_len};
  }
  const sockaddr_storage& from(unsigned i) const noexcept { return from_[i]; }

 private:
  static constexpr std::size_t kRoom = 65'536;
  std::unique_ptr<std::byte[]> bytes_;
  std::array<mmsghdr, kBatch> messages_{};
  std::array<iovec, kBatch> pieces_{};
  std::array<sockaddr_storage, kBatch> from_{};
};

/// What sendmmsg is given. The payloads stay the caller's and are only pointed to.
class SendBatch {
 public:
  SendBatch();
  unsigned count() const noexcept { return count_; }
  bool full() const noexcept { return count_ == kBatch; }
  void add(const SocketAddress& to, const std::byte* bytes, std::size_t length) noexcept;
  struct Outcome {
    unsigned sent = 0;
    unsigned failed = 0;  ///< refused by the system, not to be tried again
    unsigned left = 0;    ///< the last ones, which the socket has no room for now
    std::uint64_t sent_bytes = 0;
  };
  /// Sends what was added, in order, and is empty again.
  Outcome send(int fd) noexcept;

 private:
  std::array<mmsghdr, kBatch> messages_{};
  std::array<iovec, kBatch> pieces_{};
  std::array<SocketAddress, kBatch> to_{};
  unsigned count_ = 0;
};

class UdpSocket {
 public:
  /// An error's message begins with the name of its code, such as EADDRINUSE.
  /// @param shared  one of several of this name, all of which say so
  static Result<UdpSocket> open(const Address& address, std::uint16_t port, bool shared = false);
  /// One more at the address and port of `listening`, which shares its name meanwhile; it gets
  /// what comes from there alone.
  static Result<UdpSocket> connect(const UdpSocket& listening, const Address& peer,
                                   std::uint16_t port);
  /// Whether a socket that says so, too, may be bound to this one's name.
  void share_name(bool yes) const noexcept;
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;
  ~UdpSocket();

  int fd() const noexcept { return fd_; }
  std::uint16_t port() const noexcept { return port_; }
  std::uint32_t family() const noexcept { return family_; }
  /// Datagrams that the system dropped because the buffer was full. Threads: any.
  std::uint64_t dropped() const noexcept;

 private:
  /// Without a name yet; an error of the system says why there is none.
  static Result<UdpSocket> make(std::uint32_t family, int buffer_bytes);
  UdpSocket(int fd, std::uint32_t family) noexcept : fd_(fd), family_(family) {}
  int fd_;
  std::uint32_t family_;
  std::uint16_t port_ = 0;
};

}  // namespace sluice::datagram
