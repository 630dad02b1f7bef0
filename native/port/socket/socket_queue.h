// One worker's end of a GTP-U port over kernel UDP: a set of sockets, one per local address
// and source port. Owner: the worker; start at rx() and tx().
#pragma once
#include <vector>

#include "port/port.h"
#include "port/socket/receive_batch.h"
#include "port/socket/send_batch.h"

namespace sluice {

class SocketQueue final : public PortQueue {
 public:
  SocketQueue(std::uint8_t port, PoolCache& cache) : cache_(cache), receive_(port, cache) {}
  ~SocketQueue() override;
  SocketQueue(const SocketQueue&) = delete;
  SocketQueue& operator=(const SocketQueue&) = delete;

  /// Takes over bound sockets, those of the GTP-U port (`main` many) first. Called once.
  /// @return 0 or an errno.
  int start(std::vector<LocalSocket> sockets, unsigned main, bool gso);

  unsigned rx(Packet** packets, unsigned max) noexcept override;
  unsigned tx(Packet* const* packets, unsigned count) noexcept override;
  int wait_fd() const noexcept override { return epoll_; }
  std::span<const LocalSocket> sockets() const noexcept { return sockets_; }

 private:
  // With at most so many main sockets each is read directly, which saves asking epoll.
  static constexpr unsigned kDirectMax = 2;
  // How many bursts the other sockets wait at most while the direct ones are busy.
  static constexpr unsigned kPollEvery = 64;

  unsigned rx_ready(Packet** packets, unsigned max) noexcept;
  unsigned tx_burst(std::span<Packet* const> packets) noexcept;

  PoolCache& cache_;
  std::vector<LocalSocket> sockets_;
  unsigned direct_ = 0;  // sockets [0, direct_) are read directly
  unsigned turn_ = 0;
  int epoll_ = -1;
  ReceiveBatch receive_;
  SendBatch send_;
};

}  // namespace sluice
