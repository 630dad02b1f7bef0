// One worker's end of an AF_XDP port: the sockets of its share of the device's queues, and
// link headers, which come off here and are put before what leaves.
// Owner: the worker; start at rx() and tx().
#pragma once
#include <memory>
#include <vector>

#include "port/afxdp/xdp_socket.h"
#include "port/next_hop/kernel_sender.h"
#include "port/next_hop/next_hop_watch.h"
#include "port/port.h"

namespace sluice {

inline constexpr std::uint32_t kLinkBytes = 14;  ///< of an Ethernet header
inline constexpr std::uint32_t kVlanBytes = 4;   ///< more, with a tag

class AfxdpQueue final : public PortQueue {
 public:
  /// Takes over a worker's sockets, at least one, and its box of the watch, which outlives it.
  AfxdpQueue(std::uint8_t port, PoolCache& cache, std::vector<std::unique_ptr<XdpSocket>> sockets,
             NextHopBox& hops, std::unique_ptr<KernelSender> kernel, unsigned interface) noexcept;
  ~AfxdpQueue() override;
  AfxdpQueue(const AfxdpQueue&) = delete;
  AfxdpQueue& operator=(const AfxdpQueue&) = delete;

  /// Readies what workers sleep on. @return 0 or an errno.
  int start() noexcept;
  unsigned rx(Packet** packets, unsigned max) noexcept override;
  unsigned tx(Packet* const* packets, unsigned count) noexcept override;
  void flush() noexcept override;
  int wait_fd() const noexcept override { return wait_; }
  bool way_to(std::uint32_t to, LinkWay& way) noexcept override;
  const void* ways() const noexcept override { return hops_; }
  bool has_sent() const noexcept override { return !sockets_[0]->has_unsent(); }
  const XdpSocket& socket(std::size_t i) const noexcept { return *sockets_[i]; }

 private:
  bool take_off_link_header(Packet& frame) const noexcept;
  std::uint16_t write_link_header(std::byte* before, bool is_v6,
                                  const LinkAddress& to) const noexcept;
  bool send_by_kernel(const Packet& packet, const HopAddress& to) noexcept;
  void count_dropped() noexcept;

  PoolCache& cache_;
  std::vector<std::unique_ptr<XdpSocket>> sockets_;
  NextHopBox& box_;
  const NextHops* hops_;
  std::unique_ptr<KernelSender> kernel_;
  std::vector<XdpFrame> leaving_;
  unsigned interface_;
  std::uint8_t port_;
  unsigned turn_ = 0;
  std::uint64_t dropped_ = 0;  ///< of what the sockets say, so many are counted
  int epoll_ = -1;
  int wait_ = -1;
};

}  // namespace sluice
