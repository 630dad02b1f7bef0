#include "port/bpf.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

// Consecutive buckets with one owner; ranges are in ascending order and end at 255.
struct Range {
  std::uint8_t last;
  std::uint8_t owner;
};

std::vector<Range> ranges_of(const BucketOwners& owners) {
  std::vector<Range> ranges;
  for (unsigned bucket = 0; bucket < owners.size(); ++bucket) {
    if (ranges.empty() || ranges.back().owner != owners[bucket])
      ranges.push_back({0, owners[bucket]});
    ranges.back().last = static_cast<std::uint8_t>(bucket);
  }
  return ranges;
}

// The n for which every owner is bucket % n, or 0. One owner for all is n = 1.
unsigned modulus_of(const BucketOwners& owners) {
  unsigned modulus = 1;
  while (modulus < owners.size() && owners[modulus] == modulus) ++modulus;
  for (unsigned bucket = 0; bucket < owners.size(); ++bucket) {
    if (owners[bucket] != bucket % modulus) return 0;
  }
  return modulus;
}

// A binary tree over the ranges. Conditional jumps of classic BPF reach 255 instructions,
// so the far branch is taken by an unconditional one.
void emit_tree(std::span<const Range> ranges, std::vector<sock_filter>& program) {
  if (ranges.size() == 1) {
    program.push_back(BPF_STMT(BPF_RET | BPF_K, ranges[0].owner));
    return;
  }
  const std::size_t half = ranges.size() / 2;
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, ranges[half - 1].last, 0, 1));
  const std::size_t jump = program.size();
  program.push_back(BPF_STMT(BPF_JMP | BPF_JA, 0));
  emit_tree(ranges.first(half), program);
  program[jump].k = static_cast<std::uint32_t>(program.size() - jump - 1);
  emit_tree(ranges.subspan(half), program);
}

void emit_tree(std::span<const Range> ranges, std::vector<bpf_insn>& program) {
  if (ranges.size() == 1) {
    program.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, ranges[0].owner));
    program.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    return;
  }
  const std::size_t half = ranges.size() / 2;
  const std::size_t jump = program.size();
  program.push_back(instruction(BPF_JMP | BPF_JGT | BPF_K, BPF_REG_0, 0, 0, ranges[half - 1].last));
  emit_tree(ranges.first(half), program);
  program[jump].off = static_cast<std::int16_t>(program.size() - jump - 1);
  emit_tree(ranges.subspan(half), program);
}

}  // namespace

bpf_insn instruction(unsigned code, unsigned destination, unsigned source, int offset,
                     int value) noexcept {
  bpf_insn insn{};
  insn.code = static_cast<std::uint8_t>(code);
  insn.dst_reg = destination & 15;
  insn.src_reg = source & 15;
  insn.off = static_cast<std::int16_t>(offset);
  insn.imm = value;
  return insn;
}

std::vector<sock_filter> reuseport_program(const BucketOwners& owners) {
  // The program sees the datagram from its UDP payload on; a GTP-U TEID is at octet 4.
  std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 4)};
  if (const unsigned modulus = modulus_of(owners); modulus != 0) {
    program.push_back(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, modulus));
    program.push_back(BPF_STMT(BPF_RET | BPF_A, 0));
  } else {
    emit_tree(ranges_of(owners), program);
  }
  return program;
}

std::vector<sock_filter> spi_program(unsigned workers) {
  return {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
          BPF_STMT(BPF_RET | BPF_A, 0)};
}

std::vector<bpf_insn> tun_program(const BucketOwners& owners) {
  constexpr unsigned kLoadByte = BPF_LD | BPF_ABS | BPF_B;  // into register 0, context in 6
  std::vector<bpf_insn> program{
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0),
      instruction(kLoadByte, 0, 0, 0, 0),
      instruction(BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_0, 0, 0, 4),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 3, 4),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 4, 6),
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
      instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
      instruction(kLoadByte, 0, 0, 0, 19),
      instruction(BPF_JMP | BPF_JA, 0, 0, 1, 0),
      instruction(kLoadByte, 0, 0, 0, 24 + 7),
  };
  if (const unsigned modulus = modulus_of(owners); modulus != 0) {
    program.push_back(
        instruction(BPF_ALU64 | BPF_MOD | BPF_K, BPF_REG_0, 0, 0, static_cast<int>(modulus)));
    program.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  } else {
    emit_tree(ranges_of(owners), program);
  }
  return program;
}

int load_program(std::span<const bpf_insn> program, bpf_prog_type type) noexcept {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  attr.prog_type = type;
  attr.insns = reinterpret_cast<std::uint64_t>(program.data());
  attr.insn_cnt = static_cast<std::uint32_t>(program.size());
  attr.license = reinterpret_cast<std::uint64_t>("Apache-2.0");
  const long fd = ::syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

}  // namespace sluice
