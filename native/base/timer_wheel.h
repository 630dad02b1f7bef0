// Timers without allocation: a hierarchical wheel whose links lie inside the objects that
// wait, as 32-bit handles, so that they can live in the region. Thread: the owner's only.
//
// Eight levels of 64 slots, one bitmap a level. A timer sits on the level of the highest
// 6-bit digit in which its tick differs from the current one; when time enters a slot of an
// upper level, its timers move down. All work is counted against a limit per call, moving
// down too, so that a million timers due together never stall the loop.
#pragma once
#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "base/types.h"

namespace sluice {

/// What an object embeds to wait for a time, at an address that is a multiple of 8 from the
/// wheel's base. All zero: not waiting. Owner: the wheel while it waits.
struct TimerNode {
  std::uint32_t next = 0;
  std::uint32_t prev = 0;
  Nanoseconds deadline = 0;
  bool waiting() const noexcept { return prev != 0; }
};

class TimerWheel {
 public:
  /// A timer fires at most this much after its deadline (and the next call), never before it.
  static constexpr Nanoseconds kTick = Nanoseconds{1} << 18;  // 262 µs

  /// `base`: what handles count from, in units of 8 bytes; no node lies at base itself, and
  /// none beyond kReachBytes.
  TimerWheel(std::byte* base, Nanoseconds now) noexcept : base_(base), tick_(now >> kTickShift) {}
  static constexpr std::size_t kReachBytes = std::size_t{0xffff'fe00} * 8;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Makes a node fire at `deadline`, whether or not it waits already. O(1).
  void schedule(TimerNode& node, Nanoseconds deadline) noexcept {
    cancel(node);
    node.deadline = deadline;
    insert(node);
    ++waiting_;
  }
  /// Makes a node not fire; false when it did not wait. O(1).
  bool cancel(TimerNode& node) noexcept {
    if (!node.waiting()) return false;
    unlink(node);
    --waiting_;
    return true;
  }
  /// Calls f(TimerNode&) for timers due at `now`, in order of their ticks, with the node not
  /// waiting any more: f may schedule and cancel any, this one included. Stops after `max`
  /// steps, a step being a timer fired or moved down a level; the rest follows in the next
  /// call. Returns how many fired.
  template <class F>
  unsigned expire(Nanoseconds now, unsigned max, F&& f) {
    const std::uint64_t target = now >> kTickShift;
    unsigned fired = 0;
    unsigned steps = 0;
    while (cascade(max, steps)) {
      const unsigned slot = digit(tick_, 0);
      while (heads_[slot] != 0 && steps < max) {
        TimerNode& node = *at(heads_[slot]);
        unlink(node);
        --waiting_;
        ++steps;
        ++fired;
        f(node);
      }
      if (heads_[slot] != 0 || tick_ >= target) break;
      const std::uint64_t next = next_tick();
      tick_ = next < target ? next : target;
    }
    return fired;
  }
  /// When to call expire() next: `limit` or earlier, in the past when work is left over. May
  /// be too early for any timer to fire, when one has to move down a level first.
  Nanoseconds next_deadline(Nanoseconds limit) const noexcept;
  /// Nodes that wait.
  std::size_t waiting() const noexcept { return waiting_; }

 private:
  static constexpr unsigned kTickShift = 18;
  static constexpr unsigned kDigitBits = 6;
  static constexpr unsigned kSlots = 1U << kDigitBits;
  static constexpr unsigned kLevels = 8;  // 48 bits of ticks: all of Nanoseconds
  // A prev of this and above names a slot: the node is the first of that list.
  static constexpr std::uint32_t kHead = 0xffff'fe00;
  static_assert(kHead + kLevels * kSlots - 1 <= UINT32_MAX);
  static_assert(kLevels * kDigitBits + kTickShift >= 64);

  static unsigned digit(std::uint64_t tick, unsigned level) noexcept {
    return static_cast<unsigned>(tick >> (level * kDigitBits)) & (kSlots - 1);
  }
  TimerNode* at(std::uint32_t handle) noexcept {
    return reinterpret_cast<TimerNode*>(base_ + std::size_t{handle} * 8);
  }
  std::uint32_t handle(const TimerNode& node) const noexcept {
    const auto distance =
        static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&node) - base_);
    assert(distance % 8 == 0 && distance != 0 && distance < kReachBytes);
    return static_cast<std::uint32_t>(distance / 8);
  }

  void insert(TimerNode& node) noexcept {
    // Rounded up, so that it never fires early; what is past fires at the current tick.
    std::uint64_t tick = (node.deadline >> kTickShift) + ((node.deadline & (kTick - 1)) != 0);
    if (tick < tick_) tick = tick_;
    const std::uint64_t differing = tick ^ tick_;
    const unsigned level =
        differing == 0 ? 0 : (static_cast<unsigned>(std::bit_width(differing)) - 1) / kDigitBits;
    const unsigned slot_of_level = digit(tick, level);
    const unsigned slot = level * kSlots + slot_of_level;
    node.next = heads_[slot];
    node.prev = kHead + slot;
    heads_[slot] = handle(node);
    if (node.next != 0) at(node.next)->prev = heads_[slot];
    occupied_[level] |= std::uint64_t{1} << slot_of_level;
  }
  void unlink(TimerNode& node) noexcept {
    if (node.prev >= kHead) {
      const unsigned slot = node.prev - kHead;
      heads_[slot] = node.next;
      if (node.next == 0) occupied_[slot / kSlots] &= ~(std::uint64_t{1} << (slot % kSlots));
    } else {
      at(node.prev)->next = node.next;
    }
    if (node.next != 0) at(node.next)->prev = node.prev;
    node.next = 0;
    node.prev = 0;
  }
  // Moves down what lies in the current slots of the upper levels; false when max is reached.
  bool cascade(unsigned max, unsigned& steps) noexcept;
  // The first tick after the current one at which a slot is entered that is not empty.
  std::uint64_t next_tick() const noexcept;

  std::byte* base_;
  std::uint64_t tick_;  // up to here all is done, but for what a limit left over
  std::size_t waiting_ = 0;
  std::array<std::uint64_t, kLevels> occupied_{};
  std::array<std::uint32_t, kLevels * kSlots> heads_{};
};

}  // namespace sluice
