// Putting together what goes to the kernel: consecutive segments of one TCP connection, or
// datagrams of one UDP flow, become one super-frame that costs one write. What cannot be
// taken apart again into the very same packets is left alone. No allocation; the packets
// are only read. Owner: the queue's worker.
#pragma once
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/packet.h"
#include "port/tun/segment.h"

namespace sluice {

inline constexpr unsigned kJoinPacketsMax = 64;

/// Which super-frames the kernel takes.
struct JoinOffloads {
  bool tcp = false;
  bool udp = false;
};

/// The frames that up to 64 packets make, in the order in which they must be written.
class JoinPlan {
 public:
  /// A frame holds at most 64 KB; packets of one flow keep their order within and across
  /// frames. The packets must stay untouched while the plan is used.
  void build(std::span<Packet* const> packets, JoinOffloads offloads) noexcept;
  unsigned frames() const noexcept { return frames_used_; }

  /// The pieces of one frame: its header, then IP bytes; at most kJoinPacketsMax + 2 of them.
  /// @return how many pieces were written.
  unsigned pieces(unsigned frame, iovec* out) noexcept;
  /// Walks the positions of the packets that a frame consists of.
  template <typename Visit>
  void for_each(unsigned frame, Visit visit) const noexcept {
    for (std::uint8_t i = frames_[frame].first; i != kNone; i = next_[i]) visit(i);
  }

 private:
  static constexpr std::uint8_t kNone = 0xff;
  static constexpr std::size_t kHeadersMax = 40 + 60;

  /// What a packet is to the plan; key 0: belongs to no flow that could be joined.
  struct Flow {
    std::uint64_t key = 0;
    std::uint16_t upper = 0;    // where TCP or UDP starts
    std::uint16_t headers = 0;  // bytes of all headers
    std::uint16_t payload = 0;  // bytes after them
    std::uint8_t protocol = 0;
    bool is_v6 = false;
    bool joinable = false;  // nothing in its headers speaks against it
    bool closes = false;    // nothing may follow it in its frame
  };
  struct Frame {
    Flow flow;
    std::uint32_t bytes = 0;
    std::uint8_t first = kNone;
    std::uint8_t last = kNone;
    std::uint8_t count = 0;
    bool open = false;
    bool verified = false;  // the first packet's checksum was found right
    FrameHeader header;
    std::array<std::byte, kHeadersMax> head;
  };

  static Flow classify(const Packet& packet, JoinOffloads offloads) noexcept;
  static void classify_tcp(const std::byte* ip, Flow& flow) noexcept;
  static bool checksum_good(const Packet& packet, const Flow& flow) noexcept;
  bool append(Frame& frame, const Flow& flow, unsigned position) noexcept;
  bool continues(const Frame& frame, const Flow& flow, const Packet& packet) const noexcept;
  void write_head(Frame& frame) noexcept;

  std::span<Packet* const> packets_;
  unsigned frames_used_ = 0;
  std::array<std::uint8_t, kJoinPacketsMax> next_;
  std::array<Frame, kJoinPacketsMax> frames_;
};

}  // namespace sluice
