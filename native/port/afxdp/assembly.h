// BPF instructions with jumps to labels that are placed later, as the programs of this folder are
// put together. Threads: the control thread.
#pragma once
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "port/bpf.h"

namespace sluice {

/// Where a frame without a tag has its IP header.
inline constexpr int kIpAt = ETH_HLEN;

class Assembly {
 public:
  enum class Label : std::uint16_t {};

  Label label() {
    places_.push_back(0);
    return static_cast<Label>(places_.size() - 1);
  }
  void place(Label label) { places_[static_cast<std::size_t>(label)] = program_.size(); }

  void emit(unsigned code, unsigned destination, unsigned source, int offset, int value) {
    program_.push_back(instruction(code, destination, source, offset, value));
  }
  void load(unsigned size, unsigned destination, unsigned base, int offset) {
    emit(BPF_LDX | BPF_MEM | size, destination, base, offset, 0);
  }
  void store(unsigned size, unsigned base, int offset, unsigned source) {
    emit(BPF_STX | BPF_MEM | size, base, source, offset, 0);
  }
  void store_constant(unsigned size, unsigned base, int offset, int value) {
    emit(BPF_ST | BPF_MEM | size, base, 0, offset, value);
  }
  void move(unsigned destination, unsigned source) {
    emit(BPF_ALU64 | BPF_MOV | BPF_X, destination, source, 0, 0);
  }
  void compute(unsigned operation, unsigned destination, int value) {
    emit(BPF_ALU64 | operation | BPF_K, destination, 0, 0, value);
  }
  void combine(unsigned operation, unsigned destination, unsigned source) {
    emit(BPF_ALU64 | operation | BPF_X, destination, source, 0, 0);
  }
  /// From network to host order, or back.
  void swap(unsigned bits, unsigned destination) {
    emit(BPF_ALU | BPF_END | BPF_TO_BE, destination, 0, 0, static_cast<int>(bits));
  }
  void constant(unsigned destination, std::uint64_t value, unsigned kind = 0) {
    emit(BPF_LD | BPF_DW | BPF_IMM, destination, kind, 0, static_cast<int>(value));
    emit(0, 0, 0, 0, static_cast<int>(value >> 32));
  }
  void call(int helper) { emit(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  void exit() { emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

  void jump(Label to) { jump_by(BPF_JMP | BPF_JA, 0, 0, 0, to); }
  /// Compares 32 bits.
  void jump(unsigned comparison, unsigned left, std::uint32_t right, Label to) {
    jump_by(BPF_JMP32 | comparison | BPF_K, left, 0, static_cast<int>(right), to);
  }
  /// Compares 64 bits, with a constant that is extended by its sign.
  void jump_wide(unsigned comparison, unsigned left, int right, Label to) {
    jump_by(BPF_JMP | comparison | BPF_K, left, 0, right, to);
  }
  void jump_if(unsigned comparison, unsigned left, unsigned right, Label to) {
    jump_by(BPF_JMP | comparison | BPF_X, left, right, 0, to);
  }
  /// Jumps unless a frame has so many octets from `data` on; the verifier wants it so.
  void need(unsigned data, int octets, unsigned end, unsigned scratch, Label otherwise) {
    move(scratch, data);
    compute(BPF_ADD, scratch, octets);
    jump_if(BPF_JGT, scratch, end, otherwise);
  }

  std::vector<bpf_insn> finish() && {
    for (const auto& [at, label] : jumps_) {
      const std::size_t to = places_[static_cast<std::size_t>(label)];
      program_[at].off = static_cast<std::int16_t>(to - at - 1);
    }
    return std::move(program_);
  }

 private:
  void jump_by(unsigned code, unsigned left, unsigned right, int value, Label to) {
    jumps_.emplace_back(program_.size(), to);
    emit(code, left, right, 0, value);
  }

  std::vector<bpf_insn> program_;
  std::vector<std::pair<std::size_t, Label>> jumps_;
  std::vector<std::size_t> places_;
};

}  // namespace sluice
