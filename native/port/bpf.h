// Steering programs: they tell the kernel which worker's queue a packet goes to.
// A classic program picks the socket of a SO_REUSEPORT group by a TEID's top byte, an
// eBPF program the queue of a TUN device by the bucket octet of a UE address. Both are
// generated from the table bucket → worker and replaced whole when the table changes.
// instruction() and load_program() are for the programs of other folders, too.
// Threads: the control thread; pure but for load_program().
#pragma once
#include <linux/bpf.h>
#include <linux/filter.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/types.h"

namespace sluice {

using BucketOwners = std::array<std::uint8_t, 256>;

/// Decides by the TEID of the GTP-U datagram; a datagram too short for one goes to queue 0.
/// @return at most 770 instructions that return the owner's number.
std::vector<sock_filter> reuseport_program(const BucketOwners& owners);

/// Decides by the SPI of ESP in UDP, whose worker is the SPI modulo their number; a datagram too
/// short for one goes to queue 0.
std::vector<sock_filter> spi_program(unsigned workers);

/// Decides by the destination of the IP packet: the last octet of an IPv4 address, the last
/// octet of an IPv6 address's /64. Anything else goes to queue 0.
std::vector<bpf_insn> tun_program(const BucketOwners& owners);

/// One eBPF instruction: `code` as in linux/bpf.h, registers by number.
bpf_insn instruction(unsigned code, unsigned destination, unsigned source, int offset,
                     int value) noexcept;

/// Loads a program by bpf(2).
/// @return a descriptor that the caller closes, or -errno (-EPERM: not allowed).
int load_program(std::span<const bpf_insn> program,
                 bpf_prog_type type = BPF_PROG_TYPE_SOCKET_FILTER) noexcept;

}  // namespace sluice
