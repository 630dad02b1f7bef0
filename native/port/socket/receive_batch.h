// Datagrams from the kernel into packets: one recvmmsg for up to 32 messages, each of which
// may be a super-frame (UDP_GRO) of many datagrams that is split into packets here.
// Owner: the queue's worker.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "port/chunk_stack.h"
#include "port/socket/datagram_plan.h"

namespace sluice {

class ReceiveBatch {
 public:
  ReceiveBatch(std::uint8_t port, PoolCache& cache);
  ~ReceiveBatch();

  /// Nothing that was received still waits for deliver().
  bool empty() const noexcept { return first_ == used_; }
  /// One system call on a socket, then deliver(). Precondition: empty().
  unsigned receive(LocalSocket& socket, Packet** out, unsigned max) noexcept;
  /// Makes packets of what was received: outer IP and UDP headers as the sender wrote them
  /// stand before each payload, so that the packet path sees one form.
  unsigned deliver(Packet** out, unsigned max) noexcept;

  /// Gives chunks that no datagram came for back to the pool.
  void release() noexcept { chunks_.release(); }

  /// What went wrong since the last call: datagrams too big for a packet, times without a chunk,
  /// datagrams that found no room in a socket.
  struct Losses {
    unsigned errors = 0;
    unsigned no_buffer = 0;
    std::uint32_t missed = 0;
  };
  Losses take_losses() noexcept { return std::exchange(losses_, {}); }

 private:
  static constexpr unsigned kMessagesMax = 32;
  static constexpr std::size_t kDatagramBytesMax = 65535;

  /// One message: its chunk holds the first bytes, staging what did not fit.
  struct Slot {
    Packet* chunk;
    sockaddr_in6 peer;
    IpAddress local;
    std::uint8_t tos;  // of sockets that are told: those of ESP; else 0
    std::uint32_t length;
    std::uint32_t position;  // of the next datagram, once it is split
    std::uint32_t segment;   // payload of each datagram but the last
    alignas(cmsghdr) std::byte control[128];
  };

  unsigned prepare(const LocalSocket& socket, unsigned want) noexcept;
  void accept(LocalSocket& socket, unsigned slot) noexcept;
  Packet* split(unsigned slot) noexcept;
  void finish(Packet* packet, const Slot& slot, std::size_t payload) const noexcept;
  std::byte* staging(unsigned slot) noexcept {
    return staging_.get() + slot * (kChunkBytes + kDatagramBytesMax);
  }
  std::size_t room() const noexcept { return kChunkBytes - payload_offset_; }

  ChunkStack chunks_;
  std::uint8_t port_;
  bool is_v6_ = false;  // of the socket received from last
  std::uint16_t local_port_ = 0;
  std::uint16_t payload_offset_ = 0;
  unsigned batch_ = kMessagesMax;  // messages a call; fewer when they are super-frames
  unsigned first_ = 0;             // slots [first_, used_) are still to be delivered
  unsigned used_ = 0;
  Losses losses_;
  std::array<mmsghdr, kMessagesMax> messages_;
  std::array<std::array<iovec, 2>, kMessagesMax> pieces_;
  std::array<Slot, kMessagesMax> slots_;
  std::unique_ptr<std::byte[]> staging_;  // touched only by super-frames
};

}  // namespace sluice
