#include "port/afxdp/xdp_socket.h"

#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

namespace sluice {
namespace {

constexpr unsigned kBurst = 64;
constexpr unsigned kFramesACall = 32;  ///< that a copying sendto() takes
// Since Linux 5.11; younger than the C library's headers of the oldest supported systems.
constexpr int kPreferBusyPoll = 69;
constexpr int kBusyPollBudget = 70;
constexpr std::uintptr_t kPageBytes = 4096;
constexpr std::uint32_t kMask = XdpSocket::kRing - 1;

// Acquire and release: each pairs with the kernel's at the other end of the ring.
std::uint32_t read(std::uint32_t* word) noexcept {
  return std::atomic_ref(*word).load(std::memory_order_acquire);
}
void write(std::uint32_t* word, std::uint32_t value) noexcept {
  std::atomic_ref(*word).store(value, std::memory_order_release);
}

bool set_option(int fd, int name, const void* value, socklen_t bytes) noexcept {
  return ::setsockopt(fd, SOL_XDP, name, value, bytes) == 0;
}

template <class Entry>
bool map_ring(int fd, const xdp_ring_offset& offsets, std::uint64_t page, XdpRing<Entry>& ring) {
  const std::size_t bytes = offsets.desc + XdpSocket::kRing * sizeof(Entry);
  void* const mapping = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                               fd, static_cast<off_t>(page));
  if (mapping == MAP_FAILED) return false;
  auto* const start = static_cast<std::byte*>(mapping);
  ring.producer = reinterpret_cast<std::uint32_t*>(start + offsets.producer);
  ring.consumer = reinterpret_cast<std::uint32_t*>(start + offsets.consumer);
  ring.flags = reinterpret_cast<std::uint32_t*>(start + offsets.flags);
  ring.entries = reinterpret_cast<Entry*>(start + offsets.desc);
  ring.mapping = mapping;
  ring.mapping_bytes = bytes;
  return true;
}

template <class Entry>
void unmap_ring(const XdpRing<Entry>& ring) noexcept {
  if (ring.mapping != nullptr) ::munmap(ring.mapping, ring.mapping_bytes);
}

Error open_error(unsigned interface, unsigned queue, int error) {
  char name[IF_NAMESIZE] = "?";
  ::if_indextoname(interface, name);
  const std::string where = "queue " + std::to_string(queue) + " of " + name;
  switch (error) {
    case EAFNOSUPPORT:
      return {"this kernel has no AF_XDP (CONFIG_XDP_SOCKETS); use another driver", "driver"};
    case EPERM:
    case EACCES:
      return {
          "no permission for AF_XDP; run as root, or give the program CAP_NET_RAW, CAP_BPF "
          "and CAP_NET_ADMIN",
          "driver"};
    case ENOBUFS:
      return {"the packet pool may not be locked in memory; raise the limit (ulimit -l unlimited)",
              "driver"};
    case EBUSY:
      return {where + " has an AF_XDP socket already; stop the program that has it", "device"};
    default:
      return {where + " gives no AF_XDP socket: " + std::strerror(error), "device"};
  }
}

}  // namespace

XdpSocket::XdpSocket(PoolCache& cache) noexcept
    : chunks_(cache.chunks()),
      memory_(chunks_.data() - reinterpret_cast<std::uintptr_t>(chunks_.data()) % kPageBytes),
      cache_(cache),
      lent_(chunks_.size() / kChunkBytes) {}

Status XdpSocket::available() {
  const int fd = ::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return open_error(0, 0, errno);
  ::close(fd);
  return Ok{};
}

Result<std::unique_ptr<XdpSocket>> XdpSocket::open(PoolCache& cache, unsigned interface,
                                                   unsigned queue, bool busy_poll) {
  std::unique_ptr<XdpSocket> made(new XdpSocket(cache));
  made->fd_ = ::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (made->fd_ < 0 || !made->register_memory() || !made->map_rings() ||
      !made->bind(interface, queue)) {
    return open_error(interface, queue, errno);
  }
  if (busy_poll) made->poll_busily();
  made->fill();
  return made;
}

XdpSocket::~XdpSocket() {
  if (fd_ >= 0) ::close(fd_);
  unmap_ring(rx_);
  unmap_ring(tx_);
  unmap_ring(fill_);
  unmap_ring(completion_);
  for (std::size_t i = 0; i < lent_.size(); ++i) {
    if (!lent_[i]) continue;
    auto* const packet = reinterpret_cast<Packet*>(chunks_.data() + i * kChunkBytes);
    cache_.free(&packet, 1);
  }
}

bool XdpSocket::register_memory() noexcept {
  xdp_umem_reg memory{};
  memory.addr = reinterpret_cast<std::uint64_t>(memory_);
  memory.len = static_cast<std::uint64_t>(chunks_.data() + chunks_.size() - memory_);
  memory.chunk_size = kChunkBytes;
  // Chunks are no power of two, and do not begin at a multiple of their size.
  memory.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG;
  const std::uint32_t entries = kRing;
  return set_option(fd_, XDP_UMEM_REG, &memory, sizeof memory) &&
         set_option(fd_, XDP_UMEM_FILL_RING, &entries, sizeof entries) &&
         set_option(fd_, XDP_UMEM_COMPLETION_RING, &entries, sizeof entries) &&
         set_option(fd_, XDP_RX_RING, &entries, sizeof entries) &&
         set_option(fd_, XDP_TX_RING, &entries, sizeof entries);
}

bool XdpSocket::map_rings() noexcept {
  xdp_mmap_offsets offsets{};
  socklen_t length = sizeof offsets;
  return ::getsockopt(fd_, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) == 0 &&
         map_ring(fd_, offsets.rx, XDP_PGOFF_RX_RING, rx_) &&
         map_ring(fd_, offsets.tx, XDP_PGOFF_TX_RING, tx_) &&
         map_ring(fd_, offsets.fr, XDP_UMEM_PGOFF_FILL_RING, fill_) &&
         map_ring(fd_, offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, completion_);
}

bool XdpSocket::bind(unsigned interface, unsigned queue) noexcept {
  sockaddr_xdp name{};
  name.sxdp_family = AF_XDP;
  name.sxdp_flags = XDP_USE_NEED_WAKEUP;  // neither copies nor none: what the driver can
  name.sxdp_ifindex = interface;
  name.sxdp_queue_id = queue;
  errno = while_busy([&] {
    return ::bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
  });
  if (errno != 0) return false;
  xdp_options options{};
  socklen_t length = sizeof options;
  is_zero_copy_ = ::getsockopt(fd_, SOL_XDP, XDP_OPTIONS, &options, &length) == 0 &&
                  (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
  return true;
}

/// Interrupts stay off while receive() comes often enough, if the device's napi_defer_hard_irqs
/// and gro_flush_timeout say so.
void XdpSocket::poll_busily() noexcept {
  const int on = 1, microseconds = 20, budget = kBurst;
  polls_busily_ =
      ::setsockopt(fd_, SOL_SOCKET, kPreferBusyPoll, &on, sizeof on) == 0 &&
      ::setsockopt(fd_, SOL_SOCKET, SO_BUSY_POLL, &microseconds, sizeof microseconds) == 0 &&
      ::setsockopt(fd_, SOL_SOCKET, kBusyPollBudget, &budget, sizeof budget) == 0;
}

std::uint64_t XdpSocket::lend(Packet* packet) noexcept {
  const auto at = static_cast<std::size_t>(reinterpret_cast<std::byte*>(packet) - chunks_.data());
  lent_[at / kChunkBytes] = true;
  return static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(packet) - memory_);
}

Packet* XdpSocket::take_back(std::uint64_t address) noexcept {
  std::byte* const chunk = memory_ + (address & XSK_UNALIGNED_BUF_ADDR_MASK);
  lent_[static_cast<std::size_t>(chunk - chunks_.data()) / kChunkBytes] = false;
  return reinterpret_cast<Packet*>(chunk);
}

void XdpSocket::fill() noexcept {
  std::uint32_t at = *fill_.producer;
  std::uint32_t room = kRing - (at - read(fill_.consumer));
  while (room != 0) {
    Packet* packets[kBurst];
    const unsigned n = cache_.allocate(packets, std::min(room, kBurst));
    if (n == 0) break;
    for (unsigned i = 0; i < n; ++i) fill_.entries[at++ & kMask] = lend(packets[i]);
    room -= n;
  }
  write(fill_.producer, at);
}

unsigned XdpSocket::receive(Packet** frames, unsigned max) noexcept {
  std::uint32_t at = *rx_.consumer;
  unsigned n = std::min(read(rx_.producer) - at, max);
  if (n == 0 && polls_busily_) {
    ::recvfrom(fd_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
    n = std::min(read(rx_.producer) - at, max);
  }
  for (unsigned i = 0; i < n; ++i) {
    const xdp_desc& frame = rx_.entries[at++ & kMask];
    Packet* const packet = frames[i] = take_back(frame.addr);
    *packet = Packet{};
    packet->offset = static_cast<std::uint16_t>(frame.addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
    packet->length = static_cast<std::uint16_t>(frame.len);
  }
  write(rx_.consumer, at);
  fill();
  // A driver that found no packet to receive into waits until it is told of new ones.
  if ((read(fill_.flags) & XDP_RING_NEED_WAKEUP) != 0) {
    ::recvfrom(fd_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
  }
  return n;
}

unsigned XdpSocket::room() noexcept {
  complete();
  return kRing - (*tx_.producer - read(tx_.consumer));
}

void XdpSocket::send(const XdpFrame* frames, unsigned count) noexcept {
  std::uint32_t at = *tx_.producer;
  for (unsigned i = 0; i < count; ++i) {
    xdp_desc& frame = tx_.entries[at++ & kMask];
    frame.len = frames[i].length;
    frame.options = 0;
    frame.addr = lend(frames[i].packet) | std::uint64_t{frames[i].offset}
                                              << XSK_UNALIGNED_BUF_OFFSET_SHIFT;
  }
  write(tx_.producer, at);
  unsent_ += count;
  wants_kick_ = wants_kick_ || count != 0;
}

void XdpSocket::flush() noexcept {
  // Where the kernel copies, it takes some 32 frames a call; what it had no room for waits.
  const unsigned calls = is_zero_copy_ ? 1 : kRing / kFramesACall;
  for (unsigned i = 0; i < calls && wants_kick_; ++i) {
    if ((read(tx_.flags) & XDP_RING_NEED_WAKEUP) == 0) break;
    const ssize_t sent = ::sendto(fd_, nullptr, 0, MSG_DONTWAIT, nullptr, 0);
    wants_kick_ = *tx_.producer != read(tx_.consumer);
    if (sent < 0 && errno != EAGAIN) break;
  }
  wants_kick_ = *tx_.producer != read(tx_.consumer);
  complete();
}

void XdpSocket::complete() noexcept {
  std::uint32_t at = *completion_.consumer;
  const std::uint32_t end = read(completion_.producer);
  unsent_ -= end - at;
  for (; at != end; ++at) {
    Packet* const packet = take_back(completion_.entries[at & kMask]);
    cache_.free(&packet, 1);
  }
  write(completion_.consumer, at);
}

std::uint64_t XdpSocket::dropped() const noexcept {
  xdp_statistics statistics{};
  socklen_t length = sizeof statistics;
  if (::getsockopt(fd_, SOL_XDP, XDP_STATISTICS, &statistics, &length) != 0) return 0;
  return statistics.rx_dropped + statistics.rx_ring_full;
}

}  // namespace sluice
