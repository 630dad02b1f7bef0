// The network of the rows that go all the way through, in a namespace of the calling thread's own:
// "n3" and "n6" are the node's devices, "ran" and "dn" those of the far ends.
#pragma once
#include <cstdint>

#include "port/port.h"

namespace bench {

/// Kernel: socket and tun. Driver: afxdp, with forwardInDriver.
enum class Ports : std::uint8_t { Afxdp, AfxdpBusy, Driver, Kernel };

struct ThroughCase {
  Ports ports;
  bool uplink;
  unsigned bytes;        ///< of the UE's packet
  bool io_only = false;  ///< in the node's place a loop that receives and sends, and asks nothing
  bool in_threads = false;  ///< poll_in_threads()
  bool is_simple = false;   ///< one PDR a direction, without filters
};

/// Makes the namespace and its wires; everybody knows everybody. False: not here.
bool make_wires();
/// Once programs are before all devices: their drivers poll in threads, the node's on one core and
/// the far ends' on another, as interrupts of NICs would be spread. A veth is else polled by
/// whoever sends to it. False: not here.
bool poll_in_threads(unsigned node_core, unsigned far_core);

sluice::PortConfig afxdp_port(const char* device);
sluice::IpAddress ipv4(std::uint32_t address);

}  // namespace bench
