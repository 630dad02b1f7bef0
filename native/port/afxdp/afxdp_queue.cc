#include "port/afxdp/afxdp_queue.h"

#include <net/ethernet.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "base/clock.h"
#include "wire/bytes.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace sluice {
namespace {

static_assert(kLinkBytes + kVlanBytes <= kAccessDataOffset, "no room before a packet");
/// Asking for the kernel's own counts is a system call: once in so many turns.
constexpr unsigned kTurnsACount = 4096;

}  // namespace

AfxdpQueue::AfxdpQueue(std::uint8_t port, PoolCache& cache,
                       std::vector<std::unique_ptr<XdpSocket>> sockets, NextHopBox& hops,
                       std::unique_ptr<KernelSender> kernel, unsigned interface) noexcept
    : cache_(cache),
      sockets_(std::move(sockets)),
      box_(hops),
      hops_(&hops.newest()),
      kernel_(std::move(kernel)),
      interface_(interface),
      port_(port) {
  leaving_.reserve(XdpSocket::kRing);
}

AfxdpQueue::~AfxdpQueue() {
  if (epoll_ >= 0) ::close(epoll_);
}

int AfxdpQueue::start() noexcept {
  if (sockets_.size() == 1) {
    wait_ = sockets_[0]->fd();
    return 0;
  }
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return errno;
  for (const auto& socket : sockets_) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket->fd(), &event) != 0) return errno;
  }
  wait_ = epoll_;
  return 0;
}

/// False: not for this device, or not whole. What the link has added behind a packet goes too.
bool AfxdpQueue::take_off_link_header(Packet& frame) const noexcept {
  const std::byte* const start = frame.data();
  const unsigned header = kLinkBytes + (hops_->link.vlan != 0 ? kVlanBytes : 0);
  if (frame.length < header + wire::kIpv4Bytes) return false;
  // Somebody else's on a link that is shared, or one that a switch floods.
  if (std::memcmp(start, hops_->link.address.data(), ETH_ALEN) != 0) return false;
  frame.offset = static_cast<std::uint16_t>(frame.offset + header);
  frame.length = static_cast<std::uint16_t>(frame.length - header);
  const std::byte* const ip = frame.data();
  const bool is_v6 = static_cast<unsigned>(ip[0]) >> 4 == 6;
  if (is_v6 && frame.length < wire::kIpv6Bytes) return false;
  const unsigned whole = is_v6 ? wire::kIpv6Bytes + wire::load16(ip + 4) : wire::load16(ip + 2);
  if (whole < frame.length) frame.length = static_cast<std::uint16_t>(whole);
  frame.port = port_;
  return true;
}

unsigned AfxdpQueue::rx(Packet** packets, unsigned max) noexcept {
  hops_ = &box_.newest();
  unsigned received = 0;
  if (++turn_ % kTurnsACount == 0) count_dropped();
  sockets_[0]->flush();  // what the kernel had no room for
  for (std::size_t i = 0; i < sockets_.size() && received < max; ++i) {
    XdpSocket& socket = *sockets_[(turn_ + i) % sockets_.size()];
    received += socket.receive(packets + received, max - received);
  }
  unsigned kept = 0;
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < received; ++i) {
    Packet* const packet = packets[i];
    if (take_off_link_header(*packet)) {
      bytes += packet->length;
      packets[kept++] = packet;
    } else {
      cache_.free(&packet, 1);
    }
  }
  count(counters_.rx_packets, kept);
  count(counters_.rx_bytes, bytes);
  count(counters_.rx_ignored, received - kept);
  return kept;
}

/// Writes the header that ends at `before`. @return its octets.
std::uint16_t AfxdpQueue::write_link_header(std::byte* before, bool is_v6,
                                            const LinkAddress& to) const noexcept {
  wire::store16(before - 2, is_v6 ? ETH_P_IPV6 : ETH_P_IP);
  std::uint16_t bytes = kLinkBytes;
  if (hops_->link.vlan != 0) {
    wire::store16(before - 4, hops_->link.vlan);
    wire::store16(before - 6, ETH_P_8021Q);
    bytes += kVlanBytes;
  }
  std::memcpy(before - bytes, to.data(), ETH_ALEN);
  std::memcpy(before - bytes + ETH_ALEN, hops_->link.address.data(), ETH_ALEN);
  return bytes;
}

/// What waits in the ring goes first, so that no packet overtakes another.
bool AfxdpQueue::send_by_kernel(const Packet& packet, const HopAddress& to) noexcept {
  // Told a device, the kernel takes an address that it has no route to for one on the link.
  if (packet.length > hops_->link.mtu || !hops_->table.has_route(to)) return false;
  sockets_[0]->send(leaving_.data(), static_cast<unsigned>(leaving_.size()));
  leaving_.clear();
  sockets_[0]->flush();
  return kernel_->send(packet.data(), packet.length, Clock::machine().now());
}

unsigned AfxdpQueue::tx(Packet* const* packets, unsigned count) noexcept {
  hops_ = &box_.newest();
  const unsigned taken = std::min(count, sockets_[0]->room());
  const Neighbour* neighbour = nullptr;
  HopAddress last;
  std::uint64_t bytes = 0;
  unsigned refused = 0;
  for (unsigned i = 0; i < taken; ++i) {
    Packet* const packet = packets[i];
    std::byte* const ip = packet->data();
    const std::uint16_t length = packet->length;
    const HopAddress to = HopAddress::destination_of(ip);
    if (neighbour == nullptr || to != last) neighbour = hops_->table.find(last = to);
    if (neighbour != nullptr && length <= hops_->link.mtu) [[likely]] {
      const std::uint16_t offset = packet->offset;
      const std::uint16_t header = write_link_header(ip, !to.is_v4(), neighbour->link);
      leaving_.push_back({packet, static_cast<std::uint16_t>(offset - header),
                          static_cast<std::uint16_t>(length + header)});
      bytes += length;
    } else {
      if (send_by_kernel(*packet, to)) {
        bytes += length;
      } else {
        ++refused;
      }
      cache_.free(&packet, 1);
    }
  }
  sockets_[0]->send(leaving_.data(), static_cast<unsigned>(leaving_.size()));
  leaving_.clear();
  PortQueue::count(counters_.tx_packets, taken - refused);
  PortQueue::count(counters_.tx_bytes, bytes);
  PortQueue::count(counters_.tx_errors, refused);
  PortQueue::count(counters_.tx_full, count - taken);
  return taken;
}

bool AfxdpQueue::way_to(std::uint32_t to, LinkWay& way) noexcept {
  if (hops_->link.vlan != 0 || hops_->link.redirects != Redirects::Taken) return false;
  const HopAddress address = HopAddress::of(&to, false);
  const Neighbour* const neighbour = hops_->table.find(address);
  if (neighbour == nullptr) return false;
  NextHopTable::Reach reach{};
  if (!hops_->table.reach_of(address, reach)) {
    reach = {.whole = {__builtin_bswap32(to), ~std::uint32_t{0}}, .excepted = {}, .exceptions = 0};
  }
  way.interface = interface_;
  std::array<std::byte, kLinkBytes> header;
  write_link_header(header.data() + header.size(), false, neighbour->link);
  std::memcpy(way.header.data(), header.data(), header.size());
  const auto range = [](const NextHopTable::Reach::Range& of) {
    return LentFlow::Range{__builtin_bswap32(of.prefix), __builtin_bswap32(of.mask)};
  };
  way.reach[0] = range(reach.whole);
  for (unsigned i = 0; i < std::size(reach.excepted); ++i) {
    way.reach[1 + i] = i < reach.exceptions ? range(reach.excepted[i]) : LentFlow::kNowhere;
  }
  return true;
}

void AfxdpQueue::flush() noexcept { sockets_[0]->flush(); }

void AfxdpQueue::count_dropped() noexcept {
  std::uint64_t dropped = 0;
  for (const auto& socket : sockets_) dropped += socket->dropped();
  count(counters_.rx_missed, dropped - dropped_);
  dropped_ = dropped;
}

}  // namespace sluice
