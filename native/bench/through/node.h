// What stands between N3 and N6 when a row goes all the way through: the packet path with a
// thousand sessions, or a loop over the same ports that does nothing but receive and send.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bench/path/packet_path.h"
#include "bench/through/wires.h"

namespace bench {

class Node {
 public:
  virtual ~Node() = default;
  /// Null, and a word on standard error: its ports don't open here.
  static std::unique_ptr<Node> open(const ThroughCase& wanted);

  /// One turn of its loop, by the one thread that has the node's core.
  virtual void turn() = 0;
  /// Packets that left by one of its ports so far. Threads: any.
  virtual std::uint64_t sent(bool to_core) const = 0;
  virtual void stop() = 0;
  /// Those whose packets reach it.
  std::span<const PacketPath::Key> keys() const noexcept {
    constexpr std::size_t kOwn = 2;  // the pool's own address, and that of a TUN device
    return std::span(keys_).subspan(kOwn);
  }

 protected:
  std::vector<PacketPath::Key> keys_;  ///< by address
};

}  // namespace bench
