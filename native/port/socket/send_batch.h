// A burst of outer packets to the kernel: one sendmmsg for each source socket, with segments
// of one flow joined (UDP_SEGMENT). Owner: the queue's worker.
#pragma once
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>

#include "port/socket/datagram_plan.h"

namespace sluice {

class SendBatch {
 public:
  enum class Fate : std::uint8_t { Waiting, Sent, Refused };

  /// Sends at most kDatagramsMax packets and never waits.
  /// @return what became of each; Waiting: the socket is full.
  std::span<const Fate> send(std::span<Packet* const> packets,
                             std::span<const LocalSocket> sockets) noexcept;
  /// Whether the kernel may be given super-frames. As tested when the sockets were made.
  void set_gso(bool gso) noexcept { segment_max_ = gso ? 0xffff : 0; }

 private:
  using Message = DatagramPlan::Message;
  // The largest control data: an IPv6 source address, a traffic class, a segment size.
  static constexpr std::size_t kControlBytes =
      CMSG_SPACE(20) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(std::uint16_t));
  static constexpr std::uint16_t kDone = 0xffff;

  void send_socket(std::uint16_t socket) noexcept;
  void prepare(unsigned slot, Message& message) noexcept;
  std::size_t write_control(std::byte* control, const Message& message, bool is_gso) noexcept;
  bool send_one_by_one(Message& message) noexcept;
  void settle(const Message& message, Fate fate) noexcept;

  std::span<Packet* const> packets_;
  std::span<const LocalSocket> sockets_;
  std::uint16_t segment_max_ = 0xffff;
  DatagramPlan plan_;
  unsigned pieces_used_ = 0;
  std::array<Fate, kDatagramsMax> fates_;
  std::array<Message*, kDatagramsMax> pending_;
  std::array<mmsghdr, kDatagramsMax> headers_;
  std::array<iovec, kDatagramsMax> pieces_;
  alignas(cmsghdr) std::array<std::array<std::byte, kControlBytes>, kDatagramsMax> controls_;
};

}  // namespace sluice
