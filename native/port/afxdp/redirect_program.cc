#include "port/afxdp/redirect_program.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "port/afxdp/assembly.h"
#include "port/afxdp/forward_program.h"
#include "wire/udp.h"

namespace sluice {
namespace {

// What the registers hold throughout.
constexpr unsigned kData = BPF_REG_2;  // start of the frame; of the UDP header later
constexpr unsigned kEnd = BPF_REG_3;
constexpr unsigned kScratch = BPF_REG_5;
constexpr unsigned kContext = kContextRegister;
constexpr unsigned kDestination = BPF_REG_7;     // IPv4, or the first half of IPv6
constexpr unsigned kDestinationLow = BPF_REG_8;  // the second half

constexpr int kIpv4Bytes = 20;
constexpr int kIpv6Bytes = 40;
constexpr int kFragmentBytes = 8;
constexpr int kTagBytes = 4;

/// Where the parts of the program go on.
struct Labels {
  explicit Labels(Assembly& code)
      : ipv6(code.label()),
        access_ipv4(code.label()),
        access_ipv6(code.label()),
        udp(code.label()),
        redirect(code.label()),
        pass(code.label()) {}
  Assembly::Label ipv6, access_ipv4, access_ipv6, udp, redirect, pass;
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

void match_ipv4(Assembly& code, const IpPrefix& prefix, Assembly::Label to) {
  const auto mask = loaded<std::uint32_t>(mask_of(prefix.length));
  code.move(kScratch, kDestination);
  code.emit(BPF_ALU | BPF_AND | BPF_K, kScratch, 0, 0, static_cast<int>(mask));
  code.jump(BPF_JEQ, kScratch, loaded<std::uint32_t>(prefix.address) & mask, to);
}

void match_ipv6(Assembly& code, const IpPrefix& prefix, Assembly::Label to) {
  // The halves' differences under the mask, joined: no bit is left where the prefix matches.
  const IpAddress mask = mask_of(prefix.length);
  const auto difference = [&](unsigned result, unsigned half, std::size_t at) {
    code.constant(result, loaded<std::uint64_t>(prefix.address, at));
    code.combine(BPF_XOR, result, half);
    code.constant(BPF_REG_4, loaded<std::uint64_t>(mask, at));
    code.combine(BPF_AND, result, BPF_REG_4);
  };
  difference(kScratch, kDestination, 0);
  difference(BPF_REG_0, kDestinationLow, 8);
  code.combine(BPF_OR, kScratch, BPF_REG_0);
  code.compute(BPF_MOV, BPF_REG_0, 0);
  code.jump_if(BPF_JEQ, kScratch, BPF_REG_0, to);
}

/// Jumps where the destination is the port's; falls through to Pass.
void match_destinations(Assembly& code, const Labels& to, const PortConfig& config, bool is_v6) {
  const auto match = is_v6 ? match_ipv6 : match_ipv4;
  if (config.role == PortRole::Access) {
    const auto whole = static_cast<std::uint8_t>(is_v6 ? 128 : 32);
    for (const IpAddress& address : config.addresses) {
      if (address.is_v6 != is_v6) continue;
      match(code, {address, whole}, is_v6 ? to.access_ipv6 : to.access_ipv4);
    }
  } else {
    for (const IpPrefix& pool : config.ue_pools) {
      if (pool.address.is_v6 == is_v6) match(code, pool, to.redirect);
    }
  }
  code.jump(to.pass);
}

void find_udp_ipv4(Assembly& code, const Labels& to, bool esp) {
  constexpr std::uint16_t kOffsetBits = 0x1fff;
  code.place(to.access_ipv4);
  code.load(BPF_B, kScratch, kData, kIpAt + 9);
  if (esp) code.jump(BPF_JEQ, kScratch, IPPROTO_ESP, to.redirect);
  code.jump(BPF_JNE, kScratch, IPPROTO_UDP, to.pass);
  code.load(BPF_H, kScratch, kData, kIpAt + 6);
  code.jump(BPF_JSET, kScratch, htons(kOffsetBits), to.redirect);
  code.load(BPF_B, kScratch, kData, kIpAt);
  code.compute(BPF_AND, kScratch, 15);
  code.jump(BPF_JLT, kScratch, kIpv4Bytes / 4, to.pass);
  code.compute(BPF_LSH, kScratch, 2);
  code.compute(BPF_ADD, kData, kIpAt);
  code.combine(BPF_ADD, kData, kScratch);
  code.jump(to.udp);
}

void find_udp_ipv6(Assembly& code, const Labels& to, bool esp) {
  constexpr std::uint16_t kOffsetBits = 0xfff8;
  code.place(to.access_ipv6);
  code.load(BPF_B, kScratch, kData, kIpAt + 6);
  if (esp) code.jump(BPF_JEQ, kScratch, IPPROTO_ESP, to.redirect);
  code.compute(BPF_ADD, kData, kIpAt + kIpv6Bytes);
  code.jump(BPF_JEQ, kScratch, IPPROTO_UDP, to.udp);
  code.jump(BPF_JNE, kScratch, IPPROTO_FRAGMENT, to.pass);
  code.need(kData, kFragmentBytes, kEnd, BPF_REG_4, to.pass);
  code.load(BPF_B, kScratch, kData, 0);
  code.jump(BPF_JNE, kScratch, IPPROTO_UDP, to.pass);
  code.load(BPF_H, kScratch, kData, 2);
  code.jump(BPF_JSET, kScratch, htons(kOffsetBits), to.redirect);
  code.compute(BPF_ADD, kData, kFragmentBytes);
}

/// Passes on what has not this VLAN's tag, and steps over it.
void step_over_tag(Assembly& code, const Labels& to, unsigned vlan) {
  constexpr std::uint16_t kIdBits = 0x0fff;
  code.need(kData, ETH_HLEN + kTagBytes, kEnd, BPF_REG_4, to.pass);
  code.load(BPF_H, kScratch, kData, 12);
  code.jump(BPF_JNE, kScratch, htons(ETH_P_8021Q), to.pass);
  code.load(BPF_H, kScratch, kData, 14);
  code.compute(BPF_AND, kScratch, htons(kIdBits));
  code.jump(BPF_JNE, kScratch, htons(static_cast<std::uint16_t>(vlan)), to.pass);
  code.compute(BPF_ADD, kData, kTagBytes);
}

void end_program(Assembly& code, const Labels& to, int sockets) {
  code.place(to.redirect);
  code.load(BPF_W, BPF_REG_2, kContext, offsetof(xdp_md, rx_queue_index));
  code.constant(BPF_REG_1, static_cast<std::uint32_t>(sockets), BPF_PSEUDO_MAP_FD);
  code.compute(BPF_MOV, BPF_REG_3, XDP_PASS);  // where the queue has no socket
  code.call(BPF_FUNC_redirect_map);
  code.exit();
  code.place(to.pass);
  code.compute(BPF_MOV, BPF_REG_0, XDP_PASS);
  code.exit();
}

}  // namespace

std::vector<bpf_insn> redirect_program(const PortConfig& config, unsigned vlan, int sockets,
                                       const LentFlows* lent) {
  Assembly code;
  const Labels to(code);
  code.move(kContext, BPF_REG_1);
  if (lent != nullptr) emit_forward_part(code, config, *lent, to.redirect);
  code.load(BPF_W, kData, kContext, offsetof(xdp_md, data));
  code.load(BPF_W, kEnd, kContext, offsetof(xdp_md, data_end));
  if (vlan != 0) step_over_tag(code, to, vlan);
  code.need(kData, kIpAt + kIpv4Bytes, kEnd, BPF_REG_4, to.pass);
  code.load(BPF_H, kScratch, kData, 12);
  code.jump(BPF_JEQ, kScratch, htons(ETH_P_IPV6), to.ipv6);
  code.jump(BPF_JNE, kScratch, htons(ETH_P_IP), to.pass);
  code.load(BPF_W, kDestination, kData, kIpAt + 16);
  match_destinations(code, to, config, false);
  code.place(to.ipv6);
  code.need(kData, kIpAt + kIpv6Bytes, kEnd, BPF_REG_4, to.pass);
  code.load(BPF_DW, kDestination, kData, kIpAt + 24);
  code.load(BPF_DW, kDestinationLow, kData, kIpAt + 32);
  match_destinations(code, to, config, true);
  if (config.role == PortRole::Access) {
    // The verifier refuses code that nothing reaches: each family's only where it has addresses.
    const auto is_v6 = [](const IpAddress& address) { return address.is_v6; };
    const bool has_v6 = std::ranges::any_of(config.addresses, is_v6);
    const bool has_v4 = !std::ranges::all_of(config.addresses, is_v6);
    if (has_v4) find_udp_ipv4(code, to, config.esp);
    if (has_v6) find_udp_ipv6(code, to, config.esp);
    if (has_v4 || has_v6) {
      code.place(to.udp);
      code.need(kData, 4, kEnd, BPF_REG_4, to.pass);
      code.load(BPF_H, kScratch, kData, 2);
      if (config.esp) {
        code.jump(BPF_JEQ, kScratch, htons(wire::kEspUdpPort), to.redirect);
      }
      code.jump(BPF_JNE, kScratch, htons(config.udp_port), to.pass);
    }
  }
  end_program(code, to, sockets);
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
