#include "pipeline/hold/hold_table.h"

#include <algorithm>
#include <bit>
#include <new>

namespace sluice {
namespace {

/// Age is kept in units of about a millisecond.
constexpr unsigned kAgeShift = 20;

std::uint32_t stamp(Nanoseconds now) noexcept {
  return static_cast<std::uint32_t>(now >> kAgeShift);
}

std::uint32_t chains_for(std::uint32_t packets_max) noexcept {
  return std::bit_ceil(std::max(packets_max, 8u));
}

}  // namespace

std::size_t HoldTable::bytes(std::uint32_t packets_max) noexcept {
  return std::size_t{packets_max} * sizeof(Hold) +
         std::size_t{chains_for(packets_max)} * sizeof(std::uint32_t) + 4 * kCacheLine;
}

std::unique_ptr<HoldTable> HoldTable::create(Region& region, PacketPool& pool,
                                             const Config& config) {
  std::unique_ptr<HoldTable> table(new (std::nothrow) HoldTable);
  if (!table) return nullptr;
  const std::uint32_t chains = chains_for(config.packets_max);
  table->config_ = config;
  table->base_ = region.base();
  table->chain_mask_ = chains - 1;
  table->holds_ = region.allocate_array<Hold>(std::max(config.packets_max, 1u));
  table->chains_ = region.allocate_array<std::uint32_t>(chains);
  if (table->holds_ == nullptr || table->chains_ == nullptr) return nullptr;
  // Reserved to the full, so that no push_back allocates later.
  table->spares_.reserve(config.packets_max);
  for (std::uint32_t i = config.packets_max; i > 0; --i) {
    table->spares_.push_back(pool.spare(config.first_spare + i - 1));
  }
  return table;
}

std::uint32_t HoldTable::slot_of(SessionIndex session, Direction direction) const noexcept {
  const std::uint32_t key = session << 1 | static_cast<std::uint32_t>(direction);
  return (key * 0x9e3779b1u >> 7) & chain_mask_;
}

Hold* HoldTable::find(SessionIndex session, Direction direction) noexcept {
  for (std::uint32_t i = chains_[slot_of(session, direction)]; i != 0; i = holds_[i - 1].next) {
    Hold& hold = holds_[i - 1];
    if (hold.session == session && hold.direction == direction) return &hold;
  }
  return nullptr;
}

Hold* HoldTable::open(SessionIndex session, Direction direction, Nanoseconds now) noexcept {
  std::uint32_t index = free_;
  if (index != 0) {
    free_ = holds_[index - 1].next;
  } else if (used_ < config_.packets_max) {
    index = ++used_;
  } else {
    return nullptr;
  }
  Hold& hold = holds_[index - 1];
  hold = Hold{};
  hold.session = session;
  hold.direction = direction;
  hold.started_at = now;
  hold.in_use = true;
  std::uint32_t& chain = chains_[slot_of(session, direction)];
  hold.next = chain;
  chain = index;
  return &hold;
}

void HoldTable::close(Hold& hold) noexcept {
  const std::uint32_t index = index_of(hold);
  std::uint32_t* link = &chains_[slot_of(hold.session, hold.direction)];
  while (*link != index) link = &holds_[*link - 1].next;
  *link = hold.next;
  if (hold.draining) leave_row(hold);
  hold.in_use = false;
  hold.next = free_;
  free_ = index;
}

Hold& HoldTable::give(Hold& hold, HoldTable& to) noexcept {
  Hold& there = *to.open(hold.session, hold.direction, hold.started_at);
  const std::uint32_t next = there.next;
  there = hold;
  there.next = next;
  count_ -= hold.count;
  to.count_ += hold.count;
  close(hold);
  return there;
}

void HoldTable::enter_row(Hold& hold) noexcept {
  const std::uint32_t index = index_of(hold);
  hold.next_draining = 0;
  hold.previous_draining = draining_.tail;
  (draining_.tail == 0 ? draining_.head : holds_[draining_.tail - 1].next_draining) = index;
  draining_.tail = index;
}

void HoldTable::leave_row(Hold& hold) noexcept {
  const std::uint32_t before = hold.previous_draining, after = hold.next_draining;
  (before == 0 ? draining_.head : holds_[before - 1].next_draining) = after;
  (after == 0 ? draining_.tail : holds_[after - 1].previous_draining) = before;
}

void HoldTable::finish_drain(Hold& hold) noexcept {
  hold.waiting = hold.kept;
  hold.kept = HeldList{};
  leave_row(hold);
  hold.draining = false;
}

void HoldTable::append(Hold& hold, Packet* packet, Nanoseconds now) noexcept {
  packet->tag = stamp(now);
  put(hold, hold.waiting, packet);
}

void HoldTable::put(Hold& hold, HeldList& list, Packet* packet) noexcept {
  const auto handle = static_cast<PacketHandle>(
      static_cast<std::size_t>(reinterpret_cast<std::byte*>(packet) - base_) / kCacheLine);
  packet->word = 0;
  if (list.head == 0) {
    list.head = handle;
  } else {
    at(list.tail)->word = handle;
  }
  list.tail = handle;
  ++hold.count;
  ++count_;
}

Packet* HoldTable::take_first(HeldList& list) noexcept {
  Packet* packet = at(list.head);
  if (packet == nullptr) return nullptr;
  list.head = packet->word;
  if (list.head == 0) list.tail = 0;
  return packet;
}

Packet* HoldTable::pop(Hold& hold) noexcept {
  Packet* packet = take_first(hold.waiting);
  if (packet == nullptr) return nullptr;
  --hold.count;
  count_ -= 1;
  return packet;
}

Nanoseconds HoldTable::until_expiry(const Hold& hold, Nanoseconds now) noexcept {
  // Ages are differences of 32 bits, so that the stamp may turn over.
  const std::uint32_t age = stamp(now) - oldest(hold)->tag;
  const Nanoseconds lived = Nanoseconds{age} << kAgeShift;
  return lived >= config_.held_max ? 0 : config_.held_max - lived;
}

void HoldTable::splice(HeldList& to, HeldList& from) noexcept {
  if (from.head == 0) return;
  if (to.head == 0) {
    to = from;
  } else {
    at(to.tail)->word = from.head;
    to.tail = from.tail;
  }
  from = HeldList{};
}

void HoldTable::drain(Hold& hold) noexcept {
  // What was kept is older than what still waits for its turn.
  splice(hold.kept, hold.waiting);
  hold.waiting = hold.kept;
  hold.kept = HeldList{};
  // What is to be reported is found out anew, from what is kept.
  if (!hold.notified) hold.wants_notification = false;
  if (!hold.draining) enter_row(hold);
  hold.draining = true;
}

Hold* HoldTable::next_draining() noexcept {
  if (draining_.head == 0) return nullptr;
  Hold& hold = holds_[draining_.head - 1];
  leave_row(hold);
  enter_row(hold);
  return &hold;
}

void HoldTable::doom(Hold& hold) noexcept {
  splice(hold.kept, hold.waiting);
  splice(doomed_, hold.kept);
  hold.count = 0;
}

Packet* HoldTable::pop_doomed() noexcept {
  Packet* packet = take_first(doomed_);
  if (packet != nullptr) count_ -= 1;
  return packet;
}

void HoldTable::settle(PoolCache& pool) noexcept {
  const std::uint32_t held = count_;
  for (; lent_ < held && !spares_.empty(); ++lent_) {
    Packet* spare = spares_.back();
    spares_.pop_back();
    pool.free(&spare, 1);
  }
  for (Packet* back; lent_ > held && pool.allocate(&back, 1) == 1; --lent_) {
    spares_.push_back(back);
  }
}

}  // namespace sluice
