#include "pipeline/path/path_prober.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr Nanoseconds kMillisecond = 1'000'000;
constexpr Nanoseconds kTick = 100 * kMillisecond;
constexpr std::uint32_t kLooksPerTick = 2048;

}  // namespace

void PathProber::set_state(Path& path, PathState state) noexcept {
  if (path.state.load() == state) return;
  path.state = state;
  ++path.transitions;
  ++transitions_;
}

std::uint16_t PathProber::expire(TimerNode& node, Nanoseconds now, EventSink& sink) noexcept {
  if (&node == &tick_) {
    look_around(now, sink);
    sink.schedule(tick_, now + kTick);
    return PeerTable::kNone;
  }
  auto& path = reinterpret_cast<Path&>(node);
  // Acquire: pairs with the release of the control thread, which wrote the peer's line before.
  if (path.use.load(std::memory_order_acquire) != Path::kUsed) return PeerTable::kNone;
  if (path.tries >= config_.tries) {
    set_state(path, PathState::Down);
    path.tries = 0;
    sink.schedule(path.timer, now + config_.interval);
    return PeerTable::kNone;
  }
  const auto peer = static_cast<std::uint16_t>(&path - paths_);
  ++path.tries;
  path.sequence = ++sequence_;
  path.sent_at = now;
  (*asked_)[path.sequence] = peer;
  sink.schedule(path.timer, now + config_.timeout);
  return peer;
}

std::uint16_t PathProber::asked(std::uint16_t sequence) const noexcept {
  const std::uint16_t peer = (*asked_)[sequence];
  const Path& path = paths_[peer];
  const bool waits = path.tries != 0 && path.sequence == sequence &&
                     path.use.load(std::memory_order_acquire) == Path::kUsed;
  return waits ? peer : PeerTable::kNone;
}

void PathProber::answered(std::uint16_t peer, Nanoseconds now, EventSink& sink) noexcept {
  Path& path = paths_[peer];
  path.tries = 0;
  path.round_trip_us = static_cast<std::uint32_t>((now - path.sent_at) / 1000);
  set_state(path, PathState::Up);
  sink.schedule(path.timer, now + config_.interval);
}

/// Finds peers that came into use, and lets go those that left, some at a time.
void PathProber::look_around(Nanoseconds now, EventSink& sink) noexcept {
  const std::uint32_t count = peers_.entries();
  for (std::uint32_t n = std::min(count, kLooksPerTick); n != 0; --n) {
    if (next_look_ >= count) next_look_ = 0;
    const std::uint32_t index = next_look_++;
    Path& path = paths_[index];
    const std::uint32_t use = path.use.load(std::memory_order_acquire);
    if (use == Path::kUsed && !path.timer.waiting()) {
      // Spread, so that many peers of one moment are not asked in one.
      sink.schedule(path.timer, now + index % 64 * 16 * kMillisecond);
    } else if (use == Path::kLeft) {
      sink.cancel(path.timer);
      path.tries = 0;
      path.state = PathState::Unknown;
      path.round_trip_us = 0;
      path.transitions = 0;
      // Release: pairs with the acquire in PeerTable, which may rewrite the line from now on.
      path.use.store(Path::kFree, std::memory_order_release);
    }
  }
}

}  // namespace sluice
