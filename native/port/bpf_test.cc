#include "port/bpf.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>

namespace sluice {
namespace {

// Runs a classic program over a datagram's payload, as the kernel's interpreter would.
unsigned run(const std::vector<sock_filter>& program, const std::vector<std::uint8_t>& bytes) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& insn = program[pc];
    switch (insn.code) {
      case BPF_LD | BPF_B | BPF_ABS:
        if (insn.k >= bytes.size()) return 0;
        a = bytes[insn.k];
        break;
      case BPF_ALU | BPF_MOD | BPF_K:
        a %= insn.k;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        pc += a > insn.k ? insn.jt : insn.jf;
        break;
      case BPF_JMP | BPF_JA:
        pc += insn.k;
        break;
      case BPF_RET | BPF_K:
        return insn.k;
      case BPF_RET | BPF_A:
        return a;
      default:
        ADD_FAILURE() << "instruction " << insn.code;
        return ~0U;
    }
  }
  ADD_FAILURE() << "no return";
  return ~0U;
}

BucketOwners table(auto owner) {
  BucketOwners owners;
  for (unsigned i = 0; i < 256; ++i) owners[i] = static_cast<std::uint8_t>(owner(i));
  return owners;
}

struct Case {
  const char* name;
  BucketOwners owners;
  std::size_t classic_max;
};

std::vector<Case> cases() {
  std::mt19937 random(7);
  return {
      {"one", table([](unsigned) { return 0; }), 3},
      {"all to the second", table([](unsigned) { return 1; }), 2},
      {"modulo 3", table([](unsigned i) { return i % 3; }), 3},
      {"ranges", table([](unsigned i) { return i / 64; }), 11},
      {"modulo but one", table([](unsigned i) { return i == 200 ? 0 : i % 5; }), 770},
      {"alternating 1 0", table([](unsigned i) { return 1 - i % 2; }), 770},
      {"random", table([&](unsigned) { return random() % 16; }), 770},
      {"each its own", table([](unsigned i) { return i; }), 3},
      {"backwards", table([](unsigned i) { return 255 - i; }), 770},
  };
}

TEST(ReuseportProgram, FollowsAnyTable) {
  for (const Case& c : cases()) {
    const auto program = reuseport_program(c.owners);
    EXPECT_LE(program.size(), c.classic_max) << c.name;
    for (unsigned bucket = 0; bucket < 256; ++bucket) {
      const auto octet = static_cast<std::uint8_t>(bucket);
      EXPECT_EQ(run(program, {0x30, 255, 0, 0, octet, 1, 2, 3}), c.owners[bucket]) << c.name;
    }
    EXPECT_EQ(run(program, {0x30, 255, 0, 0}), 0U) << "too short for a TEID";
  }
}

// The kernel's own verdict on a packet; data starts at the IP header.
unsigned run_in_kernel(int program, const std::vector<std::uint8_t>& ip) {
  std::vector<std::uint8_t> frame(14);
  frame[12] = ip[0] >> 4 == 6 ? 0x86 : 0x08;
  frame[13] = ip[0] >> 4 == 6 ? 0xdd : 0x00;
  frame.insert(frame.end(), ip.begin(), ip.end());
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  attr.test.prog_fd = static_cast<std::uint32_t>(program);
  attr.test.data_in = reinterpret_cast<std::uint64_t>(frame.data());
  attr.test.data_size_in = static_cast<std::uint32_t>(frame.size());
  attr.test.repeat = 1;
  EXPECT_EQ(::syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr), 0) << std::strerror(errno);
  return attr.test.retval;
}

TEST(TunProgram, TheKernelAcceptsItAndFollowsAnyTable) {
  for (const Case& c : cases()) {
    const int program = load_program(tun_program(c.owners));
    if (program < 0) {
      EXPECT_TRUE(program == -EPERM || program == -ENOSYS) << std::strerror(-program);
      EXPECT_NE(::geteuid(), 0U) << "root may load programs unless the kernel has no bpf(2)";
      return;
    }
    for (unsigned bucket = 0; bucket < 256; ++bucket) {
      std::vector<std::uint8_t> v4(28, 0xee);
      v4[0] = 0x45;
      v4[19] = static_cast<std::uint8_t>(bucket);
      EXPECT_EQ(run_in_kernel(program, v4), c.owners[bucket]) << c.name;
      std::vector<std::uint8_t> v6(48, 0xee);
      v6[0] = 0x60;
      v6[24 + 7] = static_cast<std::uint8_t>(bucket);
      EXPECT_EQ(run_in_kernel(program, v6), c.owners[bucket]) << c.name;
    }
    std::vector<std::uint8_t> other(48, 0x55);
    EXPECT_EQ(run_in_kernel(program, other), 0U) << "neither IPv4 nor IPv6";
    ::close(program);
  }
}

TEST(LoadProgram, SaysWhyNot) {
  const bpf_insn nonsense[1] = {};
  EXPECT_LT(load_program(nonsense), 0);
}

}  // namespace
}  // namespace sluice
