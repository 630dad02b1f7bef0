// The XDP program of an AF_XDP port: what belongs to the port goes to the socket of the
// queue it came by, everything else to the kernel, as if there were no port.
// An access port has GTP-U to its addresses (every UDP fragment to them that has no port
// number, too; ESP, if it is told to), a core port has what goes to its UE pools. A port on a
// VLAN has frames with its tag alone, any other frames without a tag.
// The program is assembled here; no compiler for BPF is needed.
// Threads: the control thread.
#pragma once
#include <linux/bpf.h>

#include <vector>

#include "port/afxdp/lent_flows.h"
#include "port/port.h"

namespace sluice {

/// The program for a port's role, addresses, UDP port and UE pools.
/// @param vlan     number of the VLAN that the port is on, 0: none.
/// @param sockets  descriptor of the BPF_MAP_TYPE_XSKMAP, by number of the device's queue; a
///                 queue without a socket leaves its packets to the kernel.
/// @param lent     flows that it forwards itself, null: none; not on a VLAN.
std::vector<bpf_insn> redirect_program(const PortConfig& config, unsigned vlan, int sockets,
                                       const LentFlows* lent = nullptr);

/// Puts a loaded program before a device of this network namespace. It stays as long as the
/// link's descriptor is open: a process that is killed leaves no program behind.
/// @param flags  XDP_FLAGS_… of linux/if_link.h
/// @return the link's descriptor, which the caller closes, or -errno (-EBUSY: the device has one).
int attach_program(int program, unsigned interface, unsigned flags) noexcept;

}  // namespace sluice
