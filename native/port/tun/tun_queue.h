// One worker's end of a TUN device: a descriptor of the multi-queue device with a
// virtio-net header before each frame. Owner: the worker; start at rx() and tx().
#pragma once
#include <memory>

#include "memory/packet_pool.h"
#include "port/chunk_stack.h"
#include "port/port.h"
#include "port/tun/join.h"
#include "port/tun/segment.h"

namespace sluice {

class TunQueue final : public PortQueue {
 public:
  /// Takes over a non-blocking descriptor with IFF_VNET_HDR.
  TunQueue(int fd, std::uint8_t port, PoolCache& cache, JoinOffloads offloads);
  ~TunQueue() override;
  TunQueue(const TunQueue&) = delete;
  TunQueue& operator=(const TunQueue&) = delete;

  unsigned rx(Packet** packets, unsigned max) noexcept override;
  unsigned tx(Packet* const* packets, unsigned count) noexcept override;
  int wait_fd() const noexcept override { return fd_; }
  int fd() const noexcept { return fd_; }

 private:
  enum class Frame : std::uint8_t { Packet, Segments, Refused, None };

  Frame read_frame(Packet* packet) noexcept;
  void finish(Packet* packet, std::uint16_t length) noexcept;
  unsigned tx_burst(std::span<Packet* const> packets) noexcept;
  int write_frame(unsigned frame) noexcept;

  int fd_;
  std::uint8_t port_;
  JoinOffloads offloads_;
  PoolCache& cache_;
  ChunkStack chunks_;
  Segmenter segmenter_;
  JoinPlan plan_;
  // A frame is read into a packet and, what does not fit, behind a copy's place in here: a
  // plain packet is never copied, and a super-frame lies in one piece after one small copy.
  std::unique_ptr<std::byte[]> staging_;
};

}  // namespace sluice
