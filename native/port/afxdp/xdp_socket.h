// An AF_XDP socket on one queue of a device, whose memory is the packet pool itself: what the
// kernel receives is a packet of the pool at once, and what is sent goes out of its chunk.
// Packets here are whole Ethernet frames; link headers are the port's affair.
// Threads: open() and the destructor on the control thread, the rest on the queue's worker.
#pragma once
#include <linux/if_xdp.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/types.h"
#include "memory/packet_pool.h"

namespace sluice {

/// One ring that is shared with the kernel. Owner: the socket's worker.
template <class Entry>
struct XdpRing {
  std::uint32_t* producer = nullptr;
  std::uint32_t* consumer = nullptr;
  std::uint32_t* flags = nullptr;
  Entry* entries = nullptr;
  void* mapping = nullptr;
  std::size_t mapping_bytes = 0;
};

/// A frame in a packet's chunk. It may begin anywhere in it, in the packet's metadata too.
struct XdpFrame {
  Packet* packet;
  std::uint16_t offset;
  std::uint16_t length;
};

/// What a process had that was killed is the kernel's for a moment longer: tries until a device is
/// not busy any more, two seconds at most. @param attempt  returns 0 or an errno, as this does
template <class Attempt>
int while_busy(Attempt&& attempt) {
  constexpr auto kPause = std::chrono::milliseconds(20);
  for (unsigned left = 100;; --left) {
    const int error = attempt();
    if ((error != EBUSY && error != EEXIST) || left == 0) return error;
    std::this_thread::sleep_for(kPause);
  }
}

class XdpSocket {
 public:
  /// Entries of each ring, and packets at most that wait in the kernel for frames.
  static constexpr std::uint32_t kRing = 1024;

  /// Whether there can be any: the kernel has them and this process may. Errors as of open().
  static Status available();
  /// Binds to a device's queue: without copies where its driver can, with them otherwise.
  /// @param busy_poll  receive() itself has the device's driver look for frames, so that no
  ///                   interrupt is in the way; for workers that never sleep.
  /// Errors: no AF_XDP here, no permission, no such queue, the queue has a socket already.
  static Result<std::unique_ptr<XdpSocket>> open(PoolCache& cache, unsigned interface,
                                                 unsigned queue, bool busy_poll);
  /// Gives back to the cache what the kernel still had. No worker runs.
  ~XdpSocket();
  XdpSocket(const XdpSocket&) = delete;
  XdpSocket& operator=(const XdpSocket&) = delete;

  /// Takes up to max frames, and gives the kernel packets for as many others.
  unsigned receive(Packet** frames, unsigned max) noexcept;
  /// How many frames send() takes now.
  unsigned room() noexcept;
  /// Takes frames, at most as many as there is room for; they return to the pool when they are out.
  void send(const XdpFrame* frames, unsigned count) noexcept;
  /// Wakes the kernel if it wants that, and frees what is out.
  void flush() noexcept;
  /// Some of what send() took is not out yet.
  bool has_unsent() const noexcept { return unsent_ != 0; }
  /// Frames the kernel had to drop, for want of packets or of room in the ring.
  std::uint64_t dropped() const noexcept;
  bool is_zero_copy() const noexcept { return is_zero_copy_; }
  /// Whether the kernel lets receive() drive the device, as open() was asked to.
  bool polls_busily() const noexcept { return polls_busily_; }
  /// Octets of a frame that the kernel can put into a chunk.
  static constexpr std::uint32_t kFrameBytesMax = kChunkBytes - 256;
  /// Readable when receive() has something; what goes into the map of the XDP program.
  int fd() const noexcept { return fd_; }

 private:
  explicit XdpSocket(PoolCache& cache) noexcept;
  bool register_memory() noexcept;
  bool map_rings() noexcept;
  bool bind(unsigned interface, unsigned queue) noexcept;
  void poll_busily() noexcept;
  void fill() noexcept;
  void complete() noexcept;
  std::uint64_t lend(Packet* packet) noexcept;
  Packet* take_back(std::uint64_t address) noexcept;

  std::span<std::byte> chunks_;
  std::byte* memory_;  ///< start of the page where the chunks begin; addresses count from here
  PoolCache& cache_;
  int fd_ = -1;
  bool is_zero_copy_ = false;
  bool polls_busily_ = false;
  bool wants_kick_ = false;
  std::uint64_t unsent_ = 0;  ///< frames
  XdpRing<xdp_desc> rx_;
  XdpRing<xdp_desc> tx_;
  XdpRing<std::uint64_t> fill_;
  XdpRing<std::uint64_t> completion_;
  std::vector<bool> lent_;  ///< by number of chunk: the kernel has it
};

}  // namespace sluice
