// A far end as a host's own stack is: sixteen flows, whose packets of 1400 bytes come by the
// super-frame, as segmentation offload makes them. TCP inside; uplink each flow is a gNB's tunnel
// whose datagrams are joined. Whoever receives them is the kernel, which drops them: nobody has the
// address. Owner: the thread that has the far ends' core, in the rows' namespace.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/through/node.h"

namespace bench {

class SuperFrames {
 public:
  static constexpr unsigned kStep = 32;  ///< packets in a frame

  SuperFrames(const ThroughCase& wanted, const Node& node);
  ~SuperFrames();
  SuperFrames(const SuperFrames&) = delete;
  SuperFrames& operator=(const SuperFrames&) = delete;

  bool open();
  /// Sends the next flow's frame.
  void send();
  /// Looks at what has left the node. @return packets since the last look.
  std::uint64_t receive();
  std::uint64_t on_the_way() const { return sent_ - received_; }
  void forget_lost() { sent_ = received_; }
  std::uint64_t received() const { return received_; }
  /// Bytes that the receiving device has seen.
  std::uint64_t arrived_bytes() const;

 private:
  using Frame = std::vector<std::byte>;  ///< behind its FrameHeader
  Frame uplink_frame(unsigned flow) const;
  Frame downlink_frame(unsigned flow) const;

  ThroughCase case_;
  const Node& node_;
  std::vector<Frame> frames_;
  std::size_t next_ = 0;
  int socket_ = -1;
  std::uint64_t sent_ = 0, received_ = 0;
};

}  // namespace bench
