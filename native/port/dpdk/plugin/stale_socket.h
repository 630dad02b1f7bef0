// The socket file that a memif server leaves behind when it is killed, and that would keep the next
// one from starting. Threads: control.
#pragma once
#include <string>

namespace sluice::dpdk {

/// Removes the file that a memif server with these arguments makes, if nobody listens at it.
void remove_stale_socket(const std::string& arguments);

}  // namespace sluice::dpdk
