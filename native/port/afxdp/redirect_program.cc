#include "port/afxdp/redirect_program.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "port/bpf.h"
#include "wire/udp.h"

namespace sluice {
namespace {

// What the registers hold throughout.
constexpr unsigned kData = BPF_REG_2;  // start of the frame; of the UDP header later
constexpr unsigned kEnd = BPF_REG_3;
constexpr unsigned kScratch = BPF_REG_5;
constexpr unsigned kContext = BPF_REG_6;
constexpr unsigned kDestination = BPF_REG_7;     // IPv4, or the first half of IPv6
constexpr unsigned kDestinationLow = BPF_REG_8;  // the second half

constexpr int kIp = ETH_HLEN;
constexpr int kIpv4Bytes = 20;
constexpr int kIpv6Bytes = 40;
constexpr int kFragmentBytes = 8;
constexpr int kTagBytes = 4;

enum class Label : std::uint8_t { Ipv6, AccessIpv4, AccessIpv6, Udp, Redirect, Pass };
constexpr std::size_t kLabels = 6;

/// Instructions with jumps to labels that are placed later.
class Assembly {
 public:
  void emit(unsigned code, unsigned destination, unsigned source, int offset, int value) {
    program_.push_back(instruction(code, destination, source, offset, value));
  }
  void load(unsigned size, unsigned destination, unsigned base, int offset) {
    emit(BPF_LDX | BPF_MEM | size, destination, base, offset, 0);
  }
  void move(unsigned destination, unsigned source) {
    emit(BPF_ALU64 | BPF_MOV | BPF_X, destination, source, 0, 0);
  }
  void compute(unsigned operation, unsigned destination, int value) {
    emit(BPF_ALU64 | operation | BPF_K, destination, 0, 0, value);
  }
  void constant(unsigned destination, std::uint64_t value, unsigned kind = 0) {
    emit(BPF_LD | BPF_DW | BPF_IMM, destination, kind, 0, static_cast<int>(value));
    emit(0, 0, 0, 0, static_cast<int>(value >> 32));
  }
  /// Compares 32 bits; BPF_JA for `comparison` jumps always.
  void jump(unsigned comparison, unsigned left, std::uint32_t right, Label to) {
    jumps_.emplace_back(program_.size(), to);
    const unsigned kind = comparison == BPF_JA ? BPF_JMP : BPF_JMP32;
    emit(kind | comparison | BPF_K, left, 0, 0, static_cast<int>(right));
  }
  void jump_if_equal(unsigned left, unsigned right, Label to) {
    jumps_.emplace_back(program_.size(), to);
    emit(BPF_JMP | BPF_JEQ | BPF_X, left, right, 0, 0);
  }
  /// Passes the frame on unless it has so many octets from kData on; the verifier wants it so.
  void need(int octets) {
    move(BPF_REG_4, kData);
    compute(BPF_ADD, BPF_REG_4, octets);
    jumps_.emplace_back(program_.size(), Label::Pass);
    emit(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_4, kEnd, 0, 0);
  }
  void place(Label label) { places_[static_cast<std::size_t>(label)] = program_.size(); }

  std::vector<bpf_insn> finish() && {
    for (const auto& [at, label] : jumps_) {
      const std::size_t to = places_[static_cast<std::size_t>(label)];
      program_[at].off = static_cast<std::int16_t>(to - at - 1);
    }
    return std::move(program_);
  }

 private:
  std::vector<bpf_insn> program_;
  std::vector<std::pair<std::size_t, Label>> jumps_;
  std::array<std::size_t, kLabels> places_{};
};

/// The bits of an address of a family that a prefix of this length compares.
IpAddress mask_of(unsigned length) noexcept {
  IpAddress mask;
  for (unsigned bit = 0; bit < length; ++bit) {
    mask.bytes[bit / 8] = static_cast<std::uint8_t>(mask.bytes[bit / 8] | (0x80U >> (bit % 8)));
  }
  return mask;
}

// As the program's own loads see the octets, whatever the machine's order.
template <class T>
T loaded(const IpAddress& address, std::size_t at = 0) noexcept {
  T value;
  std::memcpy(&value, address.bytes.data() + at, sizeof value);
  return value;
}

void match_ipv4(Assembly& code, const IpPrefix& prefix, Label to) {
  const auto mask = loaded<std::uint32_t>(mask_of(prefix.length));
  code.move(kScratch, kDestination);
  code.emit(BPF_ALU | BPF_AND | BPF_K, kScratch, 0, 0, static_cast<int>(mask));
  code.jump(BPF_JEQ, kScratch, loaded<std::uint32_t>(prefix.address) & mask, to);
}

void match_ipv6(Assembly& code, const IpPrefix& prefix, Label to) {
  // The halves' differences under the mask, joined: no bit is left where the prefix matches.
  const IpAddress mask = mask_of(prefix.length);
  const auto difference = [&](unsigned result, unsigned half, std::size_t at) {
    code.constant(result, loaded<std::uint64_t>(prefix.address, at));
    code.emit(BPF_ALU64 | BPF_XOR | BPF_X, result, half, 0, 0);
    code.constant(BPF_REG_4, loaded<std::uint64_t>(mask, at));
    code.emit(BPF_ALU64 | BPF_AND | BPF_X, result, BPF_REG_4, 0, 0);
  };
  difference(kScratch, kDestination, 0);
  difference(BPF_REG_0, kDestinationLow, 8);
  code.emit(BPF_ALU64 | BPF_OR | BPF_X, kScratch, BPF_REG_0, 0, 0);
  code.compute(BPF_MOV, BPF_REG_0, 0);
  code.jump_if_equal(kScratch, BPF_REG_0, to);
}

/// Jumps where the destination is the port's; falls through to Pass.
void match_destinations(Assembly& code, const PortConfig& config, bool is_v6) {
  const auto match = is_v6 ? match_ipv6 : match_ipv4;
  if (config.role == PortRole::Access) {
    const auto whole = static_cast<std::uint8_t>(is_v6 ? 128 : 32);
    for (const IpAddress& address : config.addresses) {
      if (address.is_v6 != is_v6) continue;
      match(code, {address, whole}, is_v6 ? Label::AccessIpv6 : Label::AccessIpv4);
    }
  } else {
    for (const IpPrefix& pool : config.ue_pools) {
      if (pool.address.is_v6 == is_v6) match(code, pool, Label::Redirect);
    }
  }
  code.jump(BPF_JA, 0, 0, Label::Pass);
}

void find_udp_ipv4(Assembly& code, bool esp) {
  constexpr std::uint16_t kOffsetBits = 0x1fff;
  code.place(Label::AccessIpv4);
  code.load(BPF_B, kScratch, kData, kIp + 9);
  if (esp) code.jump(BPF_JEQ, kScratch, IPPROTO_ESP, Label::Redirect);
  code.jump(BPF_JNE, kScratch, IPPROTO_UDP, Label::Pass);
  code.load(BPF_H, kScratch, kData, kIp + 6);
  code.jump(BPF_JSET, kScratch, htons(kOffsetBits), Label::Redirect);
  code.load(BPF_B, kScratch, kData, kIp);
  code.compute(BPF_AND, kScratch, 15);
  code.jump(BPF_JLT, kScratch, kIpv4Bytes / 4, Label::Pass);
  code.compute(BPF_LSH, kScratch, 2);
  code.compute(BPF_ADD, kData, kIp);
  code.emit(BPF_ALU64 | BPF_ADD | BPF_X, kData, kScratch, 0, 0);
  code.jump(BPF_JA, 0, 0, Label::Udp);
}

void find_udp_ipv6(Assembly& code, bool esp) {
  constexpr std::uint16_t kOffsetBits = 0xfff8;
  code.place(Label::AccessIpv6);
  code.load(BPF_B, kScratch, kData, kIp + 6);
  if (esp) code.jump(BPF_JEQ, kScratch, IPPROTO_ESP, Label::Redirect);
  code.compute(BPF_ADD, kData, kIp + kIpv6Bytes);
  code.jump(BPF_JEQ, kScratch, IPPROTO_UDP, Label::Udp);
  code.jump(BPF_JNE, kScratch, IPPROTO_FRAGMENT, Label::Pass);
  code.need(kFragmentBytes);
  code.load(BPF_B, kScratch, kData, 0);
  code.jump(BPF_JNE, kScratch, IPPROTO_UDP, Label::Pass);
  code.load(BPF_H, kScratch, kData, 2);
  code.jump(BPF_JSET, kScratch, htons(kOffsetBits), Label::Redirect);
  code.compute(BPF_ADD, kData, kFragmentBytes);
}

/// Passes on what has not this VLAN's tag, and steps over it.
void step_over_tag(Assembly& code, unsigned vlan) {
  constexpr std::uint16_t kIdBits = 0x0fff;
  code.need(ETH_HLEN + kTagBytes);
  code.load(BPF_H, kScratch, kData, 12);
  code.jump(BPF_JNE, kScratch, htons(ETH_P_8021Q), Label::Pass);
  code.load(BPF_H, kScratch, kData, 14);
  code.compute(BPF_AND, kScratch, htons(kIdBits));
  code.jump(BPF_JNE, kScratch, htons(static_cast<std::uint16_t>(vlan)), Label::Pass);
  code.compute(BPF_ADD, kData, kTagBytes);
}

void end_program(Assembly& code, int sockets) {
  code.place(Label::Redirect);
  code.load(BPF_W, BPF_REG_2, kContext, offsetof(xdp_md, rx_queue_index));
  code.constant(BPF_REG_1, static_cast<std::uint32_t>(sockets), BPF_PSEUDO_MAP_FD);
  code.compute(BPF_MOV, BPF_REG_3, XDP_PASS);  // where the queue has no socket
  code.emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map);
  code.emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  code.place(Label::Pass);
  code.compute(BPF_MOV, BPF_REG_0, XDP_PASS);
  code.emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

}  // namespace

std::vector<bpf_insn> redirect_program(const PortConfig& config, unsigned vlan, int sockets) {
  Assembly code;
  code.move(kContext, BPF_REG_1);
  code.load(BPF_W, kData, kContext, offsetof(xdp_md, data));
  code.load(BPF_W, kEnd, kContext, offsetof(xdp_md, data_end));
  if (vlan != 0) step_over_tag(code, vlan);
  code.need(kIp + kIpv4Bytes);
  code.load(BPF_H, kScratch, kData, 12);
  code.jump(BPF_JEQ, kScratch, htons(ETH_P_IPV6), Label::Ipv6);
  code.jump(BPF_JNE, kScratch, htons(ETH_P_IP), Label::Pass);
  code.load(BPF_W, kDestination, kData, kIp + 16);
  match_destinations(code, config, false);
  code.place(Label::Ipv6);
  code.need(kIp + kIpv6Bytes);
  code.load(BPF_DW, kDestination, kData, kIp + 24);
  code.load(BPF_DW, kDestinationLow, kData, kIp + 32);
  match_destinations(code, config, true);
  if (config.role == PortRole::Access) {
    // The verifier refuses code that nothing reaches: each family's only where it has addresses.
    const auto is_v6 = [](const IpAddress& address) { return address.is_v6; };
    const bool has_v6 = std::ranges::any_of(config.addresses, is_v6);
    const bool has_v4 = !std::ranges::all_of(config.addresses, is_v6);
    if (has_v4) find_udp_ipv4(code, config.esp);
    if (has_v6) find_udp_ipv6(code, config.esp);
    if (has_v4 || has_v6) {
      code.place(Label::Udp);
      code.need(4);
      code.load(BPF_H, kScratch, kData, 2);
      if (config.esp) {
        code.jump(BPF_JEQ, kScratch, htons(wire::kEspUdpPort), Label::Redirect);
      }
      code.jump(BPF_JNE, kScratch, htons(config.udp_port), Label::Pass);
    }
  }
  end_program(code, sockets);
  return std::move(code).finish();
}

int attach_program(int program, unsigned interface, unsigned flags) noexcept {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  attr.link_create.prog_fd = static_cast<std::uint32_t>(program);
  attr.link_create.target_ifindex = interface;
  attr.link_create.attach_type = BPF_XDP;
  attr.link_create.flags = flags;
  const long fd = ::syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

}  // namespace sluice
