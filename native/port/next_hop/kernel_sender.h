// The way through the kernel for a packet whose next hop a driver does not know: the kernel
// asks the neighbour (ARP, ND), sends the packet when it has an answer, and tells of it.
// Threads: made on the control thread, used by one worker.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include "base/types.h"

namespace sluice {

class KernelSender {
 public:
  /// Errors: no permission for raw sockets.
  static Result<std::unique_ptr<KernelSender>> open(const std::string& device);
  ~KernelSender();
  KernelSender(const KernelSender&) = delete;
  KernelSender& operator=(const KernelSender&) = delete;

  /// Sends a whole IP packet by the device. False: the kernel has no route by it or no room, the
  /// packet is longer than the device's MTU, or too many were sent lately: whoever sends to
  /// addresses that nobody has must not keep a worker busy.
  bool send(const std::byte* packet, std::size_t bytes, Nanoseconds now) noexcept;

 private:
  KernelSender() = default;

  int ipv4_ = -1;
  int ipv6_ = -1;  ///< -1: this kernel has no IPv6
  Nanoseconds window_ = 0;
  unsigned sent_ = 0;  ///< since the window began
};

}  // namespace sluice
