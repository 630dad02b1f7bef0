// The network of the rows that go all the way through, in a namespace of the calling thread's own:
// "n3" and "n6" are the node's devices, "ran" and "dn" those of the far ends.
#pragma once
#include <cstdint>

#include "port/port.h"

namespace bench {

enum class Ports : std::uint8_t { Afxdp, AfxdpBusy, Kernel };  ///< Kernel: socket and tun

struct ThroughCase {
  Ports ports;
  bool uplink;
  unsigned bytes;        ///< of the UE's packet
  bool io_only = false;  ///< in the node's place a loop that receives and sends, and asks nothing
};

/// Makes the namespace and its wires; everybody knows everybody. False: not here.
bool make_wires();

sluice::PortConfig afxdp_port(const char* device);
sluice::IpAddress ipv4(std::uint32_t address);

}  // namespace bench
