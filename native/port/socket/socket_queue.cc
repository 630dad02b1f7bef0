#include "port/socket/socket_queue.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sluice {

SocketQueue::~SocketQueue() {
  for (const LocalSocket& socket : sockets_) ::close(socket.fd);
  if (epoll_ >= 0) ::close(epoll_);
}

int SocketQueue::start(std::vector<LocalSocket> sockets, unsigned main, bool gso) {
  sockets_ = std::move(sockets);
  direct_ = main <= kDirectMax ? main : 0;
  send_.set_gso(gso);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return errno;
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(i);
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, sockets_[i].fd, &event) != 0) return errno;
  }
  return 0;
}

unsigned SocketQueue::rx_ready(Packet** packets, unsigned max) noexcept {
  epoll_event events[64];
  const int ready = ::epoll_wait(epoll_, events, static_cast<int>(std::size(events)), 0);
  unsigned received = 0;
  for (int i = 0; i < ready && received < max && receive_.empty(); ++i) {
    const std::uint32_t socket = events[i].data.u32;
    if (socket < direct_) continue;
    received += receive_.receive(sockets_[socket], packets + received, max - received);
  }
  return received;
}

unsigned SocketQueue::rx(Packet** packets, unsigned max) noexcept {
  unsigned received = receive_.deliver(packets, max);
  ++turn_;
  for (unsigned i = 0; i < direct_ && received < max && receive_.empty(); ++i) {
    LocalSocket& socket = sockets_[(turn_ + i) % direct_];
    received += receive_.receive(socket, packets + received, max - received);
  }
  const bool asks = received == 0 || direct_ == 0 || turn_ % kPollEvery == 0;
  if (asks && direct_ < sockets_.size() && received < max && receive_.empty()) {
    received += rx_ready(packets + received, max - received);
  }
  receive_.release();
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < received; ++i) bytes += packets[i]->length;
  count(counters_.rx_packets, received);
  count(counters_.rx_bytes, bytes);
  const ReceiveBatch::Losses losses = receive_.take_losses();
  count(counters_.rx_errors, losses.errors);
  count(counters_.rx_no_buffer, losses.no_buffer);
  count(counters_.rx_missed, losses.missed);
  return received;
}

unsigned SocketQueue::tx_burst(std::span<Packet* const> packets) noexcept {
  const std::span<const SendBatch::Fate> fates = send_.send(packets, sockets_);
  // The caller keeps what waits at the end. What waits before a packet that is gone cannot
  // be given back, and is lost like any tail of a full queue.
  unsigned end = 0;
  unsigned sent = 0;
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < packets.size(); ++i) {
    if (fates[i] == SendBatch::Fate::Waiting) continue;
    end = i + 1;
    if (fates[i] == SendBatch::Fate::Refused) continue;
    ++sent;
    bytes += packets[i]->length;
  }
  count(counters_.tx_packets, sent);
  count(counters_.tx_bytes, bytes);
  count(counters_.tx_errors, end - sent);
  cache_.free(packets.data(), end);
  return end;
}

unsigned SocketQueue::tx(Packet* const* packets, unsigned count) noexcept {
  unsigned taken = 0;
  while (taken < count) {
    const unsigned burst = std::min(count - taken, kDatagramsMax);
    const unsigned n = tx_burst({packets + taken, burst});
    taken += n;
    if (n < burst) break;
  }
  PortQueue::count(counters_.tx_full, count - taken);
  return taken;
}

}  // namespace sluice
