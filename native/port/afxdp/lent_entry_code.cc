#include "port/afxdp/lent_entry_code.h"

namespace sluice {

void LentEntryCode::find_entry() {
  code_.move(kR1, kLength);
  code_.emit(BPF_ALU | BPF_MUL | BPF_K, kR1, 0, 0, static_cast<int>(LentTable::kHashFactor));
  code_.emit(BPF_ALU | BPF_RSH | BPF_K, kR1, 0, 0, 32 - LentTable::kPlaceBits);
  code_.store(BPF_W, kStack, kKeyAt, kR1);
  look_up();
  code_.jump_wide(BPF_JEQ, kR0, 0, not_lent_);
  code_.move(kEntry, kR0);
  code_.load(BPF_W, kR1, kEntry, kAt.key);
  code_.jump_if(BPF_JNE, kR1, kLength, not_lent_);
  code_.load(BPF_DW, kR1, kEntry, kAt.word);
  const auto lent = code_.label();
  code_.jump(BPF_JSET, kR1, LentFlow::kLent, lent);
  code_.jump(hand_over_);
  code_.place(lent);
  code_.load(BPF_W, kR3, kContext, offsetof(xdp_md, data_end));
}

void LentEntryCode::claim() {
  code_.load(BPF_DW, kR0, kEntry, kAt.word);
  code_.move(kR2, kR0);
  code_.compute(BPF_AND, kR2, LentFlow::kLent | LentFlow::kClaimed);
  code_.jump_wide(BPF_JNE, kR2, LentFlow::kLent, hand_over_);
  code_.move(kR2, kR0);
  code_.move(kR1, kR0);
  code_.compute(BPF_OR, kR1, LentFlow::kClaimed);
  code_.emit(BPF_STX | BPF_DW | BPF_ATOMIC, kEntry, kR1, kAt.word, BPF_CMPXCHG);
  code_.jump_if(BPF_JNE, kR0, kR2, hand_over_);
}

void LentEntryCode::pay_tokens() {
  const auto done = code_.label(), forward = code_.label();
  code_.load(BPF_H, kR1, kEntry, kAt.polices);
  code_.jump(BPF_JEQ, kR1, 0, done);
  code_.call(BPF_FUNC_ktime_get_ns);
  code_.load(BPF_DW, kR2, kEntry, kAt.refilled_at);
  code_.move(kR1, kR0);
  code_.combine(BPF_SUB, kR1, kR2);
  // The worker's clock may have been a little ahead of the kernel's.
  code_.jump_wide(BPF_JSGE, kR1, 0, forward);
  code_.compute(BPF_MOV, kR1, 0);
  code_.move(kR0, kR2);
  code_.place(forward);
  code_.move(kR2, kR1);
  code_.compute(BPF_RSH, kR2, 32);
  code_.jump_wide(BPF_JNE, kR2, 0, give_back_);
  refill(0, kR2, kR3);
  refill(1, kR4, kR5);
  code_.store(BPF_DW, kEntry, kAt.refilled_at, kR0);
  code_.jump_if(BPF_JGT, kR3, kR2, lacks_tokens_);
  code_.jump_if(BPF_JGT, kR5, kR4, lacks_tokens_);
  code_.combine(BPF_SUB, kR2, kR3);
  code_.combine(BPF_SUB, kR4, kR5);
  code_.store(BPF_DW, kEntry, kAt.tokens, kR2);
  code_.store(BPF_DW, kEntry, kAt.tokens + 8, kR4);
  code_.place(done);
}

/// What a bucket holds after the time in R1, and what the packet costs it.
void LentEntryCode::refill(int bucket, unsigned held, unsigned cost) {
  const auto room = code_.label();
  code_.load(BPF_W, held, kEntry, kAt.rate_kbps + 4 * bucket);
  code_.combine(BPF_MUL, held, kR1);
  code_.load(BPF_DW, cost, kEntry, kAt.tokens + 8 * bucket);
  code_.combine(BPF_ADD, held, cost);
  code_.load(BPF_DW, cost, kEntry, kAt.depth + 8 * bucket);
  code_.jump_if(BPF_JLE, held, cost, room);
  code_.move(held, cost);
  code_.place(room);
  code_.load(BPF_W, cost, kEntry, kAt.byte_cost + 4 * bucket);
  code_.combine(BPF_MUL, cost, kLength);
}

void LentEntryCode::pay_credit() {
  code_.load(BPF_DW, kR1, kEntry, kAt.credit);
  code_.combine(BPF_SUB, kR1, kLength);
  code_.store(BPF_DW, kEntry, kAt.credit, kR1);
  code_.load(BPF_DW, kR1, kEntry, kAt.bytes);
  code_.combine(BPF_ADD, kR1, kLength);
  code_.store(BPF_DW, kEntry, kAt.bytes, kR1);
  add_one(kAt.packets);
}

void LentEntryCode::add_one(int counter) {
  code_.load(BPF_DW, kR1, kEntry, counter);
  code_.compute(BPF_ADD, kR1, 1);
  code_.store(BPF_DW, kEntry, counter, kR1);
}

void LentEntryCode::end_without_tokens() {
  code_.place(lacks_tokens_);
  code_.store(BPF_DW, kEntry, kAt.tokens, kR2);
  code_.store(BPF_DW, kEntry, kAt.tokens + 8, kR4);
  add_one(kAt.dropped);
  unclaim();
  code_.compute(BPF_MOV, kR0, XDP_DROP);
  code_.exit();
}

void LentEntryCode::end_handed_over() {
  code_.place(give_back_);
  take_away();
  unclaim();
  code_.place(hand_over_);
  const auto counted = code_.label();
  code_.compute(BPF_MOV, kR1, 1 << LentFlow::kHandedShift);
  code_.emit(BPF_STX | BPF_DW | BPF_ATOMIC, kEntry, kR1, kAt.word, BPF_ADD | BPF_FETCH);
  code_.move(kLength, kR1);
  code_.compute(BPF_RSH, kLength, LentFlow::kHandedShift);
  code_.compute(BPF_ADD, kLength, 1);
  code_.compute(BPF_AND, kR1, LentFlow::kLent);
  code_.jump_wide(BPF_JEQ, kR1, 0, counted);
  take_away();
  code_.place(counted);
  code_.move(kR1, kContext);
  code_.compute(BPF_MOV, kR2, -int{sizeof(HandedTag)});
  code_.call(BPF_FUNC_xdp_adjust_meta);
  code_.jump_wide(BPF_JNE, kR0, 0, redirect_);
  code_.load(BPF_W, kR2, kContext, offsetof(xdp_md, data_meta));
  code_.load(BPF_W, kR3, kContext, offsetof(xdp_md, data));
  code_.need(kR2, sizeof(HandedTag), kR3, kR4, redirect_);
  code_.load(BPF_W, kR1, kEntry, kAt.key);
  code_.emit(BPF_ALU | BPF_XOR | BPF_K, kR1, 0, 0, static_cast<int>(flows_.table().secret));
  code_.store(BPF_W, kR2, offsetof(HandedTag, mark), kR1);
  code_.store(BPF_W, kR2, offsetof(HandedTag, count), kLength);
  code_.jump(redirect_);
}

void LentEntryCode::unclaim() {
  code_.compute(BPF_MOV, kR1, -int{LentFlow::kClaimed});
  code_.emit(BPF_STX | BPF_DW | BPF_ATOMIC, kEntry, kR1, kAt.word, BPF_ADD | BPF_FETCH);
}
void LentEntryCode::take_away() {
  code_.compute(BPF_MOV, kR1, ~int{LentFlow::kLent});
  code_.emit(BPF_STX | BPF_DW | BPF_ATOMIC, kEntry, kR1, kAt.word, BPF_AND);
}

void LentEntryCode::look_up() {
  code_.constant(kR1, static_cast<std::uint32_t>(flows_.map()), BPF_PSEUDO_MAP_FD);
  code_.move(kR2, kStack);
  code_.compute(BPF_ADD, kR2, kKeyAt);
  code_.call(BPF_FUNC_map_lookup_elem);
}

}  // namespace sluice
