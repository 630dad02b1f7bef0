#include "port/afxdp/forward_program.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <cstddef>
#include <utility>

#include "base/flow_hash.h"
#include "port/afxdp/lent_entry_code.h"
#include "wire/gtpu.h"

namespace sluice {
namespace {

// Where things are in a frame.
constexpr int kUdp = kIpAt + 20, kGtpu = kUdp + 8;
constexpr int kIpv4 = 20, kPorts = 4;
constexpr int kOuter = kIpv4 + 8 + 16;  // with a container that has a QFI
constexpr std::uint16_t kFragmentBits = 0x3fff;

class ForwardPart : LentEntryCode {
 public:
  ForwardPart(Assembly& code, const PortConfig& config, const LentFlows& flows,
              Assembly::Label redirect)
      : LentEntryCode(code, flows, redirect),
        udp_port_(config.udp_port),
        is_access_(config.role == PortRole::Access) {}

  void emit() {
    code_.load(BPF_W, kData, kContext, offsetof(xdp_md, data));
    code_.load(BPF_W, kR3, kContext, offsetof(xdp_md, data_end));
    is_access_ ? find_tunnel() : find_ue();
    find_entry();
    is_access_ ? check_access() : check_core();
    check_look();
    if (!is_access_) put_source_port();
    claim();
    check_claimed();
    pay_tokens();
    pay_credit();
    is_access_ ? take_off_header() : put_on_header();
    send();
    end_without_tokens();
    end_handed_over();
    code_.place(not_lent_);
  }

 private:
  /// A G-PDU over plain IPv4 to the port: its TEID.
  void find_tunnel() {
    code_.need(kData, kGtpu + 8, kR3, kR4, not_lent_);
    expect(BPF_H, 12, htons(ETH_P_IP), not_lent_);
    expect(BPF_B, kIpAt, 0x45, not_lent_);
    code_.load(BPF_H, kR5, kData, kIpAt + 6);
    code_.jump(BPF_JSET, kR5, htons(kFragmentBits), not_lent_);
    expect(BPF_B, kIpAt + 9, IPPROTO_UDP, not_lent_);
    expect(BPF_H, kUdp + 2, htons(udp_port_), not_lent_);
    expect(BPF_B, kGtpu + 1, wire::kGtpuGpdu, not_lent_);
    code_.load(BPF_W, kLength, kData, kGtpu + 4);
  }

  void find_ue() {
    code_.need(kData, kIpAt + kIpv4, kR3, kR4, not_lent_);
    expect(BPF_H, 12, htons(ETH_P_IP), not_lent_);
    code_.load(BPF_W, kLength, kData, kIpAt + 16);
  }

  /// Nothing but a container before the UE's packet, and lengths that agree; as parse asks.
  void check_access() {
    constexpr int kInner = kIpAt + kOuter;
    code_.need(kData, kInner + kIpv4 + kPorts, kR3, kR4, hand_over_);
    code_.load(BPF_H, kLength, kData, kInner + 2);
    code_.swap(16, kLength);
    expect_length(kIpAt + 2, kOuter);
    expect_length(kUdp + 4, kOuter - kIpv4);
    expect_length(kGtpu + 2, 8);
    code_.move(kR4, kData);
    code_.combine(BPF_ADD, kR4, kLength);
    code_.compute(BPF_ADD, kR4, kInner);
    code_.jump_if(BPF_JGT, kR4, kR3, hand_over_);
    expect(BPF_H, kUdp + 6, 0);
    expect(BPF_B, kGtpu, 0x34);
    expect(BPF_B, kGtpu + 11, wire::kExtensionPduSession);
    expect(BPF_B, kGtpu + 12, 1);
    expect(BPF_B, kGtpu + 15, 0);
    check_inner(kInner);
    check_sum();
  }

  void check_core() {
    code_.need(kData, kIpAt + kIpv4 + kPorts, kR3, kR4, hand_over_);
    code_.load(BPF_H, kLength, kData, kIpAt + 2);
    code_.swap(16, kLength);
    code_.move(kR4, kData);
    code_.combine(BPF_ADD, kR4, kLength);
    code_.compute(BPF_ADD, kR4, kIpAt);
    code_.jump_if(BPF_JGT, kR4, kR3, hand_over_);
    check_inner(kIpAt);
  }

  /// No options, not a fragment, hops left.
  void check_inner(int at) {
    code_.jump(BPF_JLT, kLength, kIpv4 + kPorts, hand_over_);
    expect(BPF_B, at, 0x45);
    code_.load(BPF_H, kR5, kData, at + 6);
    code_.jump(BPF_JSET, kR5, htons(kFragmentBits), hand_over_);
    code_.load(BPF_B, kR5, kData, at + 8);
    code_.jump(BPF_JEQ, kR5, 0, hand_over_);
  }

  /// The outer header's checksum. Which half of a word is the first does not matter to the sum.
  void check_sum() {
    code_.load(BPF_W, kR1, kData, kIpAt);
    for (int at = 4; at < kIpv4; at += 4) {
      code_.load(BPF_W, kR2, kData, kIpAt + at);
      code_.combine(BPF_ADD, kR1, kR2);
    }
    code_.move(kR2, kR1);
    code_.compute(BPF_RSH, kR2, 32);
    code_.emit(BPF_ALU | BPF_MOV | BPF_X, kR1, kR1, 0, 0);
    code_.combine(BPF_ADD, kR1, kR2);
    for (unsigned fold = 0; fold < 3; ++fold) fold_sum(kR1, kR2);
    code_.jump(BPF_JNE, kR1, 0xffff, hand_over_);
  }

  void fold_sum(unsigned sum, unsigned scratch) {
    code_.move(scratch, sum);
    code_.compute(BPF_RSH, scratch, 16);
    code_.compute(BPF_AND, sum, 0xffff);
    code_.combine(BPF_ADD, sum, scratch);
  }

  /// An address of the UPF or of another UE, perhaps.
  void check_look() {
    const int octet = is_access_ ? kIpAt + kOuter + 16 : kIpAt + 12;
    code_.store_constant(BPF_W, kStack, kKeyAt, LentTable::kLookPlace);
    look_up();
    code_.jump_wide(BPF_JEQ, kR0, 0, hand_over_);
    code_.load(BPF_B, kR1, kData, octet);
    code_.combine(BPF_ADD, kR0, kR1);
    code_.load(BPF_B, kR1, kR0, 0);
    code_.jump(BPF_JSET, kR1, is_access_ ? 1 : 2, hand_over_);
  }

  /// The same flow's packets have the same source port, whoever sends them: flow_hash().
  void put_source_port() {
    const auto has_ports = code_.label();
    code_.load(BPF_B, kR3, kData, kIpAt + 9);
    code_.jump(BPF_JEQ, kR3, IPPROTO_TCP, has_ports);
    code_.jump(BPF_JNE, kR3, IPPROTO_UDP, hand_over_);
    code_.place(has_ports);
    // Addresses by halves, the higher first, then protocol, ports and no QFI.
    const auto rotated = [&](unsigned to, int at) {
      code_.load(BPF_W, to, kData, at);
      code_.swap(32, to);
      code_.move(kR5, to);
      code_.compute(BPF_LSH, kR5, 16);
      code_.compute(BPF_RSH, to, 16);
      code_.combine(BPF_OR, to, kR5);
      code_.emit(BPF_ALU | BPF_MOV | BPF_X, to, to, 0, 0);
    };
    rotated(kR1, kIpAt + 12);
    rotated(kR2, kIpAt + 16);
    code_.compute(BPF_LSH, kR2, 32);
    code_.combine(BPF_OR, kR1, kR2);
    for (const auto& [at, shift] : {std::pair{kIpAt + kIpv4, 16}, {kIpAt + kIpv4 + 2, 32}}) {
      code_.load(BPF_H, kR2, kData, at);
      code_.swap(16, kR2);
      code_.compute(BPF_LSH, kR2, shift);
      code_.combine(BPF_OR, kR3, kR2);
    }
    code_.constant(kR2, std::uint64_t{kNoQfiLane} << 48);
    code_.combine(BPF_OR, kR3, kR2);
    code_.combine(BPF_XOR, kR1, kR3);
    code_.constant(kR2, kFlowFactor);
    code_.combine(BPF_MUL, kR1, kR2);
    code_.compute(BPF_RSH, kR1, kFlowShift);
    code_.compute(BPF_LSH, kR1, 1);
    code_.move(kR2, kEntry);
    code_.combine(BPF_ADD, kR2, kR1);
    code_.load(BPF_H, kR1, kR2, kAt.source_ports);
    code_.store(BPF_H, kStack, kSourcePortAt, kR1);
  }

  /// The place may be another flow's since it was looked at.
  void check_claimed() {
    code_.load(BPF_W, kR1, kEntry, kAt.key);
    code_.load(BPF_W, kR2, kData, is_access_ ? kGtpu + 4 : kIpAt + 16);
    code_.jump_if(BPF_JNE, kR1, kR2, give_back_);
    if (is_access_) {
      same(kAt.local, kIpAt + 16);
      same(kAt.ue, kIpAt + kOuter + 12);
      const auto any = code_.label();
      code_.load(BPF_H, kR1, kEntry, kAt.qfi);
      code_.jump(BPF_JEQ, kR1, LentFlow::kAnyQfi, any);
      code_.load(BPF_B, kR2, kData, kGtpu + 14);
      code_.compute(BPF_AND, kR2, 0x3f);
      code_.jump_if(BPF_JNE, kR1, kR2, give_back_);
      code_.place(any);
      check_reach();
    }
    code_.load(BPF_W, kR1, kEntry, kAt.bytes_max);
    code_.jump_if(BPF_JGT, kLength, kR1, give_back_);
    code_.load(BPF_DW, kR1, kEntry, kAt.credit);
    code_.jump_if(BPF_JSLT, kR1, kLength, give_back_);
  }

  /// Of the destinations that the flow's next hop is for.
  void check_reach() {
    code_.load(BPF_W, kR1, kData, kIpAt + kOuter + 16);
    for (const int range : {0, 1, 2}) {
      const int at = kAt.reach + range * int{sizeof(LentFlow::Range)};
      code_.load(BPF_W, kR2, kEntry, at + int{offsetof(LentFlow::Range, mask)});
      code_.combine(BPF_AND, kR2, kR1);
      code_.load(BPF_W, kR3, kEntry, at + int{offsetof(LentFlow::Range, prefix)});
      code_.jump_if(range == 0 ? BPF_JNE : BPF_JEQ, kR2, kR3, give_back_);
    }
  }

  /// The frame begins so much later, and has so many octets; else it is lost, as in a full ring.
  void move_start(int octets, int least) {
    const auto moved = code_.label(), lost = code_.label(), there = code_.label();
    code_.move(kR1, kContext);
    code_.compute(BPF_MOV, kR2, octets);
    code_.call(BPF_FUNC_xdp_adjust_head);
    code_.jump_wide(BPF_JEQ, kR0, 0, moved);
    code_.place(lost);
    unclaim();
    code_.compute(BPF_MOV, kR0, XDP_ABORTED);
    code_.exit();
    code_.place(moved);
    code_.load(BPF_W, kData, kContext, offsetof(xdp_md, data));
    code_.load(BPF_W, kR3, kContext, offsetof(xdp_md, data_end));
    code_.need(kData, least, kR3, kR4, lost);
    code_.place(there);
  }

  void take_off_header() {
    move_start(kOuter, ETH_HLEN + kIpv4);
    copy_header(ETH_HLEN);
  }

  void copy_header(int octets) {
    const std::pair<unsigned, int> kSizes[] = {{BPF_DW, 8}, {BPF_W, 4}, {BPF_H, 2}};
    int at = 0;
    for (const auto& [size, bytes] : kSizes) {
      for (; at + bytes <= octets; at += bytes) {
        code_.load(size, kR1, kEntry, kAt.header + at);
        code_.store(size, kData, at, kR1);
      }
    }
  }

  void put_on_header() {
    move_start(-kOuter, ETH_HLEN + kOuter);
    copy_header(ETH_HLEN + kOuter);
    code_.load(BPF_W, kR2, kEntry, kAt.checksum_seed);
    code_.combine(BPF_ADD, kR2, kLength);
    code_.compute(BPF_ADD, kR2, kOuter);
    for (unsigned fold = 0; fold < 2; ++fold) fold_sum(kR2, kR1);
    code_.compute(BPF_XOR, kR2, 0xffff);
    put_number(kIpAt + 10, kR2);
    for (const auto& [at, more] : {std::pair{kIpAt + 2, kOuter}, {kUdp + 4, 24}, {kGtpu + 2, 8}}) {
      code_.move(kR2, kLength);
      code_.compute(BPF_ADD, kR2, more);
      put_number(at, kR2);
    }
    code_.load(BPF_H, kR1, kStack, kSourcePortAt);
    code_.store(BPF_H, kData, kUdp, kR1);
  }

  void put_number(int at, unsigned value) {
    code_.swap(16, value);
    code_.store(BPF_H, kData, at, value);
  }

  void send() {
    code_.load(BPF_W, kLength, kEntry, kAt.interface);
    unclaim();
    code_.move(kR1, kLength);
    code_.compute(BPF_MOV, kR2, 0);
    code_.call(BPF_FUNC_redirect);
    code_.exit();
  }

  void expect(unsigned size, int at, std::uint32_t value, Assembly::Label otherwise) {
    code_.load(size, kR5, kData, at);
    code_.jump(BPF_JNE, kR5, value, otherwise);
  }
  void expect(unsigned size, int at, std::uint32_t value) { expect(size, at, value, hand_over_); }
  /// A length field that says so many octets more than the UE's packet has.
  void expect_length(int at, int more) {
    code_.load(BPF_H, kR5, kData, at);
    code_.swap(16, kR5);
    code_.compute(BPF_SUB, kR5, more);
    code_.jump_if(BPF_JNE, kR5, kLength, hand_over_);
  }
  void same(int member, int at) {
    code_.load(BPF_W, kR1, kEntry, member);
    code_.load(BPF_W, kR2, kData, at);
    code_.jump_if(BPF_JNE, kR1, kR2, give_back_);
  }

  const std::uint16_t udp_port_;
  const bool is_access_;
};

}  // namespace

void emit_forward_part(Assembly& code, const PortConfig& config, const LentFlows& flows,
                       Assembly::Label redirect) {
  ForwardPart(code, config, flows, redirect).emit();
}

}  // namespace sluice
