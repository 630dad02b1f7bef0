#include "port/dpdk/dpdk_queue.h"

#include <net/ethernet.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "wire/bytes.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace sluice {
namespace {

constexpr unsigned kLinkBytes = ETH_HLEN;
static_assert(kLinkBytes <= kAccessDataOffset, "no room before a packet");
/// The clock is read for questions once in so many turns, the device's counts more seldom.
constexpr unsigned kTurnsAQuestion = 64;
constexpr unsigned kTurnsACount = 4096;

}  // namespace

/// An IP packet to this port. False: not ours, or not whole. What the link has added behind a
/// packet goes.
bool DpdkQueue::take(Packet& frame) noexcept {
  const std::byte* const start = frame.data();
  if (frame.length < kLinkBytes + wire::kIpv4Bytes) return false;
  if (std::memcmp(start, device_.facts().link_address.data(), ETH_ALEN) != 0) return false;
  const unsigned type = wire::load16(start + 2 * ETH_ALEN);
  const std::byte* const ip = start + kLinkBytes;
  const unsigned version = static_cast<unsigned>(ip[0]) >> 4;
  if (type == ETH_P_IP ? version != 4 : type != ETH_P_IPV6 || version != 6) return false;
  frame.offset = static_cast<std::uint16_t>(frame.offset + kLinkBytes);
  frame.length = static_cast<std::uint16_t>(frame.length - kLinkBytes);
  if (version == 6 && frame.length < wire::kIpv6Bytes) return false;
  const unsigned whole =
      version == 6 ? wire::kIpv6Bytes + wire::load16(ip + 4) : wire::load16(ip + 2);
  if (whole < frame.length) frame.length = static_cast<std::uint16_t>(whole);
  frame.port = port_;
  return true;
}

/// ARP and ND: ends the frame. Refused ones are counted.
void DpdkQueue::hear(Packet* frame) noexcept {
  std::uint16_t bytes = frame->length;
  switch (gateways_.hear(frame->data(), bytes, Clock::machine().now())) {
    case LinkHeard::Answer:
      return send_frame(frame, bytes);
    case LinkHeard::Taken:
      break;
    default:
      count(counters_.rx_ignored, 1);
      break;
  }
  cache_.free(&frame, 1);
}

void DpdkQueue::send_frame(Packet* packet, std::uint16_t bytes) noexcept {
  const std::uint16_t offset = packet->offset;
  if (device_.send(queue_, &packet, &offset, &bytes, 1) == 0) cache_.free(&packet, 1);
}

void DpdkQueue::ask() noexcept {
  Packet* packet = nullptr;
  if (cache_.allocate(&packet, 1) == 0) return;
  *packet = Packet{};
  packet->offset = kCoreDataOffset;
  const std::uint16_t bytes = gateways_.ask(packet->data(), Clock::machine().now());
  if (bytes != 0) {
    send_frame(packet, bytes);
  } else {
    cache_.free(&packet, 1);
  }
}

unsigned DpdkQueue::rx(Packet** packets, unsigned max) noexcept {
  if (queue_ == 0 && turn_ % kTurnsAQuestion == 0) ask();
  if (queue_ == 0 && turn_ % kTurnsACount == 0) count_missed();
  ++turn_;
  if (waiting_.count != 0) flush();
  const unsigned received = device_.receive(queue_, packets, max);
  unsigned kept = 0;
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < received; ++i) {
    Packet* const packet = packets[i];
    if (Gateways::concerns(packet->data(), packet->length)) [[unlikely]] {
      hear(packet);
    } else if (take(*packet)) [[likely]] {
      bytes += packet->length;
      packets[kept++] = packet;
    } else {
      count(counters_.rx_ignored, 1);
      cache_.free(&packet, 1);
    }
  }
  count(counters_.rx_packets, kept);
  count(counters_.rx_bytes, bytes);
  return kept;
}

unsigned DpdkQueue::tx(Packet* const* packets, unsigned total) noexcept {
  const unsigned taken = std::min(total, kWaitingMax - waiting_.count);
  std::array<LinkAddress, 2> next;
  const bool known[] = {gateways_.find(false, next[0]), gateways_.find(true, next[1])};
  const LinkAddress& own = device_.facts().link_address;
  const unsigned mtu = device_.facts().mtu;
  unsigned& ready = waiting_.count;
  std::uint64_t bytes = 0;
  unsigned refused = 0;
  for (unsigned i = 0; i < taken; ++i) {
    Packet* const packet = packets[i];
    std::byte* const ip = packet->data();
    const unsigned is_v4 = static_cast<unsigned>(ip[0]) >> 4 == 4 ? 1 : 0;
    const std::uint16_t offset = packet->offset, length = packet->length;
    if (!known[is_v4] || length > mtu) [[unlikely]] {
      ++refused;
      cache_.free(&packet, 1);
      continue;
    }
    // Over the packet's metadata, which nobody needs any more.
    std::memcpy(ip - kLinkBytes, next[is_v4].data(), ETH_ALEN);
    std::memcpy(ip - kLinkBytes + ETH_ALEN, own.data(), ETH_ALEN);
    wire::store16(ip - 2, is_v4 != 0 ? ETH_P_IP : ETH_P_IPV6);
    waiting_.frames[ready] = packet;
    waiting_.offsets[ready] = static_cast<std::uint16_t>(offset - kLinkBytes);
    waiting_.lengths[ready] = static_cast<std::uint16_t>(length + kLinkBytes);
    ++ready;
    bytes += length;
  }
  flush();
  count(counters_.tx_packets, taken - refused);
  count(counters_.tx_bytes, bytes);
  count(counters_.tx_errors, refused);
  count(counters_.tx_full, total - taken);
  return taken;
}

/// Gives the device what it has room for; the rest keeps its order.
void DpdkQueue::flush() noexcept {
  Waiting& w = waiting_;
  unsigned sent = 0;
  while (sent < w.count) {
    const unsigned n = device_.send(queue_, w.frames.data() + sent, w.offsets.data() + sent,
                                    w.lengths.data() + sent, w.count - sent);
    if (n == 0) break;
    sent += n;
  }
  if (sent == 0) return;
  w.count -= sent;
  std::copy_n(w.frames.begin() + sent, w.count, w.frames.begin());
  std::copy_n(w.offsets.begin() + sent, w.count, w.offsets.begin());
  std::copy_n(w.lengths.begin() + sent, w.count, w.lengths.begin());
}

void DpdkQueue::count_missed() noexcept {
  const std::uint64_t missed = device_.missed();
  count(counters_.rx_missed, missed - std::min(missed, missed_));
  missed_ = missed;
}

}  // namespace sluice
