// Fetching lines ahead, in two steps. A core keeps few lines at a time on their way into its
// first-level cache (24 on a Zen 4, 12 to 16 on an Intel one), and a Zen seems to forget what it is
// asked for beyond that: of a burst's lines asked for at once, most would have to be waited for
// after all. So what a whole burst is going to read is fetched into the second level, and on into
// the first a few packets before its turn. No address is wrong here: one that is nobody's costs a
// little time.
#pragma once
#include <cstdint>

namespace sluice {

/// Packets whose two lines may be fetched for at once, without the first step.
inline constexpr unsigned kNearAtOnce = 8;
/// Packets between the second step and the reading of its lines.
inline constexpr unsigned kNearAhead = 4;

/// The first step: a line that the burst reads in a later stage.
[[gnu::always_inline]] inline void fetch_far(const void* line) noexcept {
  __builtin_prefetch(line, 0, 2);
}
/// The second step: a line that is read within kNearAhead packets.
[[gnu::always_inline]] inline void fetch_near(const void* line) noexcept {
  __builtin_prefetch(line, 0, 3);
}

// The same for two lines, the second behind the first. Numbers, since of nobody's address no other
// may be made.
[[gnu::always_inline]] inline void fetch_far_pair(const void* first) noexcept {
  fetch_far(first);
  fetch_far(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(first) + 64));
}
[[gnu::always_inline]] inline void fetch_near_pair(const void* first) noexcept {
  fetch_near(first);
  fetch_near(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(first) + 64));
}

}  // namespace sluice
