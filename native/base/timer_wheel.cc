#include "base/timer_wheel.h"

#include <algorithm>

namespace sluice {

bool TimerWheel::cascade(unsigned max, unsigned& steps) noexcept {
  for (unsigned level = kLevels - 1; level > 0; --level) {
    const unsigned now = digit(tick_, level);
    if ((occupied_[level] >> now & 1) == 0) continue;
    // New timers never come into this slot (they differ from the current tick in this digit or
    // belong below), so what a limit leaves here is found again by the next call.
    const unsigned slot = level * kSlots + now;
    while (heads_[slot] != 0) {
      if (steps >= max) return false;
      TimerNode& node = *at(heads_[slot]);
      if (node.next != 0) __builtin_prefetch(at(node.next), 1);
      unlink(node);
      insert(node);
      ++steps;
    }
  }
  return steps < max;
}

std::uint64_t TimerWheel::next_tick() const noexcept {
  for (unsigned level = 0; level < kLevels; ++level) {
    const unsigned now = digit(tick_, level);
    if (now == kSlots - 1) continue;
    const std::uint64_t later = occupied_[level] >> (now + 1) << (now + 1);
    if (later == 0) continue;
    // Slots of a lower level come before all later slots of an upper one.
    const unsigned shift = level * kDigitBits;
    const std::uint64_t above = (tick_ >> shift) - now;
    return (above + static_cast<unsigned>(std::countr_zero(later))) << shift;
  }
  return UINT64_MAX;
}

Nanoseconds TimerWheel::next_deadline(Nanoseconds limit) const noexcept {
  if (waiting_ == 0) return limit;
  for (unsigned level = 0; level < kLevels; ++level) {
    if ((occupied_[level] >> digit(tick_, level) & 1) != 0) {
      return std::min(limit, tick_ << kTickShift);
    }
  }
  const std::uint64_t next = next_tick();
  return next > (UINT64_MAX >> kTickShift) ? limit : std::min(limit, next << kTickShift);
}

}  // namespace sluice
