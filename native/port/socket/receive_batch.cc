#include "port/socket/receive_batch.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cstring>

#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {

ReceiveBatch::ReceiveBatch(std::uint8_t port, PoolCache& cache)
    : chunks_(cache),
      port_(port),
      staging_(std::make_unique_for_overwrite<std::byte[]>(kMessagesMax *
                                                           (kChunkBytes + kDatagramBytesMax))) {}

ReceiveBatch::~ReceiveBatch() {
  for (; first_ < used_; ++first_) {
    if (slots_[first_].chunk != nullptr) chunks_.give(slots_[first_].chunk);
  }
}

unsigned ReceiveBatch::prepare(const LocalSocket& socket, unsigned want) noexcept {
  is_v6_ = socket.address.is_v6;
  local_port_ = socket.port;
  const std::size_t ip_bytes = is_v6_ ? wire::kIpv6Bytes : wire::kIpv4Bytes;
  payload_offset_ = static_cast<std::uint16_t>(kAccessDataOffset + ip_bytes + wire::kUdpBytes);
  for (unsigned i = 0; i < want; ++i) {
    Slot& slot = slots_[i];
    slot.chunk = chunks_.take();
    if (slot.chunk == nullptr) {
      ++losses_.no_buffer;
      return i;
    }
    pieces_[i][0] = {reinterpret_cast<std::byte*>(slot.chunk) + payload_offset_, room()};
    pieces_[i][1] = {staging(i) + room(), kDatagramBytesMax};
    messages_[i].msg_hdr = {.msg_name = &slot.peer,
                            .msg_namelen = sizeof slot.peer,
                            .msg_iov = pieces_[i].data(),
                            .msg_iovlen = 2,
                            .msg_control = slot.control,
                            .msg_controllen = sizeof slot.control,
                            .msg_flags = 0};
  }
  return want;
}

void ReceiveBatch::accept(LocalSocket& socket, unsigned index) noexcept {
  Slot& slot = slots_[index];
  msghdr& header = messages_[index].msg_hdr;
  slot.length = messages_[index].msg_len;
  slot.segment = slot.length;
  slot.position = 0;
  slot.local = socket.address;
  slot.tos = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int segment = 0;
      std::memcpy(&segment, CMSG_DATA(c), sizeof segment);
      if (segment > 0) slot.segment = std::min(slot.length, static_cast<std::uint32_t>(segment));
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      std::uint32_t missed = 0;
      std::memcpy(&missed, CMSG_DATA(c), sizeof missed);
      losses_.missed += missed - socket.missed;
      socket.missed = missed;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      const auto* info = reinterpret_cast<const in_pktinfo*>(CMSG_DATA(c));
      std::memcpy(slot.local.bytes.data(), &info->ipi_addr, sizeof info->ipi_addr);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      const auto* info = reinterpret_cast<const in6_pktinfo*>(CMSG_DATA(c));
      std::memcpy(slot.local.bytes.data(), &info->ipi6_addr, sizeof info->ipi6_addr);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      slot.tos = static_cast<std::uint8_t>(*CMSG_DATA(c));
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int traffic_class = 0;
      std::memcpy(&traffic_class, CMSG_DATA(c), sizeof traffic_class);
      slot.tos = static_cast<std::uint8_t>(traffic_class);
    }
  }
}

unsigned ReceiveBatch::receive(LocalSocket& socket, Packet** out, unsigned max) noexcept {
  const unsigned want = prepare(socket, std::min(max, batch_));
  int got = 0;
  if (want != 0) got = ::recvmmsg(socket.fd, messages_.data(), want, MSG_DONTWAIT, nullptr);
  // An error is either "nothing there" or an ICMP message about an earlier send: both mean
  // that there is nothing to take now, and neither is a reason to stop.
  used_ = static_cast<unsigned>(std::max(got, 0));
  first_ = 0;
  for (unsigned i = used_; i < want; ++i) chunks_.give(slots_[i].chunk);
  unsigned datagrams = 0;
  for (unsigned i = 0; i < used_; ++i) {
    accept(socket, i);
    datagrams += slots_[i].length / std::max(slots_[i].segment, 1u);
  }
  // About two bursts of packets a call: more would grow cold before they are delivered.
  if (used_ != 0)
    batch_ = std::clamp(2 * kMessagesMax * used_ / std::max(datagrams, 1u), 1u, kMessagesMax);
  return deliver(out, max);
}

void ReceiveBatch::finish(Packet* packet, const Slot& slot, std::size_t payload) const noexcept {
  packet->offset = kAccessDataOffset;
  packet->length = static_cast<std::uint16_t>(payload_offset_ - kAccessDataOffset + payload);
  packet->port = port_;
  packet->flags = kPacketOuterChecksumGood;
  std::byte* ip = packet->data();
  const auto udp_bytes = static_cast<std::uint16_t>(payload + wire::kUdpBytes);
  if (is_v6_) {
    wire::write_ipv6(ip, {.source = reinterpret_cast<const std::byte*>(&slot.peer.sin6_addr),
                          .destination = reinterpret_cast<const std::byte*>(&slot.local.bytes),
                          .payload_length = udp_bytes,
                          .traffic_class = slot.tos});
    wire::write_udp(ip + wire::kIpv6Bytes, ntohs(slot.peer.sin6_port), local_port_, udp_bytes);
    return;
  }
  sockaddr_in peer;
  std::memcpy(&peer, &slot.peer, sizeof peer);
  const auto* local = reinterpret_cast<const std::byte*>(slot.local.bytes.data());
  wire::write_ipv4(ip, {.source = ntohl(peer.sin_addr.s_addr),
                        .destination = wire::load32(local),
                        .total_length = packet->length,
                        .tos = slot.tos});
  wire::write_udp(ip + wire::kIpv4Bytes, ntohs(peer.sin_port), local_port_, udp_bytes);
}

// The next datagram of a super-frame, or nullptr when the pool is empty.
Packet* ReceiveBatch::split(unsigned index) noexcept {
  Slot& slot = slots_[index];
  Packet* packet = slot.chunk;
  if (packet != nullptr) {
    // What the chunk holds goes before the rest, and the chunk takes the first datagram.
    const std::size_t held = std::min<std::size_t>(slot.length, room());
    std::memcpy(staging(index), pieces_[index][0].iov_base, held);
    slot.chunk = nullptr;
  } else {
    packet = chunks_.take();
    if (packet == nullptr) {
      ++losses_.no_buffer;
      return nullptr;
    }
  }
  const std::uint32_t payload = std::min(slot.segment, slot.length - slot.position);
  std::memcpy(reinterpret_cast<std::byte*>(packet) + payload_offset_,
              staging(index) + slot.position, payload);
  slot.position += payload;
  finish(packet, slot, payload);
  return packet;
}

unsigned ReceiveBatch::deliver(Packet** out, unsigned max) noexcept {
  unsigned delivered = 0;
  while (first_ < used_ && delivered < max) {
    Slot& slot = slots_[first_];
    if (slot.segment > room()) {
      ++losses_.errors;
      chunks_.give(slot.chunk);
      ++first_;
    } else if (slot.segment == slot.length) {
      finish(slot.chunk, slot, slot.length);
      out[delivered++] = slot.chunk;
      ++first_;
    } else {
      Packet* packet = split(first_);
      if (packet == nullptr) break;
      out[delivered++] = packet;
      if (slot.position == slot.length) ++first_;
    }
  }
  return delivered;
}

}  // namespace sluice
