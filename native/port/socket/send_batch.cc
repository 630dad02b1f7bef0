#include "port/socket/send_batch.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

bool is_full(int error) noexcept { return error == EAGAIN || error == ENOBUFS || error == ENOMEM; }

// Whether the call should simply be made again: a signal, or an ICMP error about an earlier
// datagram, which the kernel reports once and instead of sending.
bool is_passing(int error) noexcept { return error == EINTR || error == ECONNREFUSED; }

template <typename T>
void put_control(std::byte*& tail, int level, int type, const T& value) noexcept {
  auto* header = reinterpret_cast<cmsghdr*>(tail);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
  tail += CMSG_SPACE(sizeof value);
}

}  // namespace

std::size_t SendBatch::write_control(std::byte* control, const Message& message,
                                     bool is_gso) noexcept {
  std::byte* tail = control;
  if (message.tos != 0) {
    const int tos = message.tos;
    put_control(tail, message.is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
                message.is_v6 ? IPV6_TCLASS : IP_TOS, tos);
  }
  if (sockets_[message.socket].is_wildcard && message.is_v6) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, message.outer + 8, sizeof info.ipi6_addr);
    put_control(tail, IPPROTO_IPV6, IPV6_PKTINFO, info);
  } else if (sockets_[message.socket].is_wildcard) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, message.outer + 12, sizeof info.ipi_spec_dst);
    put_control(tail, IPPROTO_IP, IP_PKTINFO, info);
  }
  if (is_gso) put_control(tail, SOL_UDP, UDP_SEGMENT, message.segment);
  return static_cast<std::size_t>(tail - control);
}

void SendBatch::prepare(unsigned slot, Message& message) noexcept {
  iovec* first_piece = &pieces_[pieces_used_];
  for (std::uint8_t i = message.first; i != DatagramPlan::kNone; i = plan_.next(i)) {
    const std::span<std::byte> payload = plan_.payload(*packets_[i], i);
    pieces_[pieces_used_++] = {payload.data(), payload.size()};
  }
  std::byte* control = controls_[slot].data();
  const std::size_t control_bytes = write_control(control, message, message.count > 1);
  headers_[slot].msg_hdr = {.msg_name = &message.peer,
                            .msg_namelen = static_cast<socklen_t>(
                                message.is_v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in)),
                            .msg_iov = first_piece,
                            .msg_iovlen = message.count,
                            .msg_control = control_bytes == 0 ? nullptr : control,
                            .msg_controllen = control_bytes,
                            .msg_flags = 0};
  pending_[slot] = &message;
}

void SendBatch::settle(const Message& message, Fate fate) noexcept {
  for (std::uint8_t i = message.first; i != DatagramPlan::kNone; i = plan_.next(i))
    fates_[i] = fate;
}

// The kernel did not take a super-frame, most often because its segments exceed the path's
// MTU: each packet goes by itself then (and is fragmented), and no such large one is joined
// again. Returns false when the socket is full.
bool SendBatch::send_one_by_one(Message& message) noexcept {
  segment_max_ = static_cast<std::uint16_t>(message.segment - 1);
  const int fd = sockets_[message.socket].fd;
  alignas(cmsghdr) std::byte control[kControlBytes];
  const std::size_t control_bytes = write_control(control, message, false);
  for (std::uint8_t i = message.first; i != DatagramPlan::kNone; i = plan_.next(i)) {
    const std::span<std::byte> payload = plan_.payload(*packets_[i], i);
    iovec piece{payload.data(), payload.size()};
    msghdr header{};
    header.msg_name = &message.peer;
    header.msg_namelen = message.is_v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control_bytes == 0 ? nullptr : control;
    header.msg_controllen = control_bytes;
    ssize_t sent = ::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && is_passing(errno)) sent = ::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && is_full(errno)) return false;
    fates_[i] = sent < 0 ? Fate::Refused : Fate::Sent;
  }
  return true;
}

void SendBatch::send_socket(std::uint16_t socket) noexcept {
  unsigned count = 0;
  pieces_used_ = 0;
  for (Message& message : plan_.messages()) {
    if (message.socket == socket) prepare(count++, message);
  }
  const int fd = sockets_[socket].fd;
  unsigned passing = 0;
  for (unsigned done = 0; done < count;) {
    const int sent = ::sendmmsg(fd, &headers_[done], count - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i) settle(*pending_[done++], Fate::Sent);
      continue;
    }
    if (is_passing(errno) && passing++ <= count) continue;
    if (is_full(errno)) break;
    Message& message = *pending_[done++];
    if (message.count == 1) {
      settle(message, Fate::Refused);
    } else if (!send_one_by_one(message)) {
      break;
    }
  }
  for (unsigned i = 0; i < count; ++i) pending_[i]->socket = kDone;
}

std::span<const SendBatch::Fate> SendBatch::send(std::span<Packet* const> packets,
                                                 std::span<const LocalSocket> sockets) noexcept {
  packets_ = packets;
  sockets_ = sockets;
  plan_.build(packets, sockets, segment_max_);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    fates_[i] = (plan_.refused() >> i & 1) != 0 ? Fate::Refused : Fate::Waiting;
  }
  for (const Message& message : plan_.messages()) {
    if (message.socket != kDone) send_socket(message.socket);
  }
  return {fates_.data(), packets.size()};
}

}  // namespace sluice
