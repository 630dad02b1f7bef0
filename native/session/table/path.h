// The path to one tunnel peer: whether its Echo Responses come. Beside the peer's line, by the
// same index. The control thread says who is in use, one worker asks, anyone reads.
#pragma once
#include <atomic>

#include "base/counter.h"
#include "base/timer_wheel.h"

namespace sluice {

enum class PathState : std::uint32_t { Unknown = 0, Up = 1, Down = 2 };

struct alignas(kCacheLine) Path {
  /// Free → Used → Left by the control thread, Left → Free by the worker, which looks at a
  /// peer's line only while it is Used; so the line is never rewritten under its eyes.
  enum Use : std::uint32_t { kFree = 0, kUsed = 1, kLeft = 2 };

  TimerNode timer;  ///< first member; the worker's, as what follows
  Nanoseconds sent_at;
  std::uint16_t sequence;  ///< of the request under way
  std::uint8_t tries;      ///< requests sent without an answer; 0: none under way
  std::atomic<std::uint32_t> use;
  Figure<PathState> state;
  Figure<std::uint32_t> round_trip_us;
  Figure<std::uint32_t> transitions;  ///< changes of state
};
static_assert(sizeof(Path) == kCacheLine);

}  // namespace sluice
