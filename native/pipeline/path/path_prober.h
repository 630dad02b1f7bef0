// Path management (TS 29.281 clause 7.2): which Echo Requests are due, and what the answers or
// their lack say. It makes no packets: the pipeline sends. Thread: worker 0,
// which bucket 0 belongs to at first: Echo messages have TEID 0 and are steered by it.
#pragma once
#include <array>
#include <memory>

#include "session/table/path.h"
#include "session/table/peer_table.h"
#include "session/usage/usage.h"

namespace sluice {

struct EchoConfig {
  Nanoseconds interval = 0;  ///< from one round to the next; 0: no requests
  Nanoseconds timeout = 3'000'000'000;
  unsigned tries = 3;  ///< requests without an answer, then the path is down
};

class PathProber {
 public:
  /// @param tick  a timer of the region for the prober itself.
  PathProber(Path* paths, const PeerTable& peers, const EchoConfig& config, TimerNode& tick)
      : paths_(paths), peers_(peers), config_(config), tick_(tick) {}
  bool wanted() const noexcept { return config_.interval != 0; }
  void start(Nanoseconds now, EventSink& sink) noexcept { sink.schedule(tick_, now); }

  bool owns(const TimerNode& node) const noexcept {
    const auto* path = reinterpret_cast<const Path*>(&node);
    return &node == &tick_ || (path >= paths_ && path < paths_ + PeerTable::kNone);
  }
  /// Does what a timer says. @return the peer to send a request to, or PeerTable::kNone.
  std::uint16_t expire(TimerNode& node, Nanoseconds now, EventSink& sink) noexcept;
  std::uint16_t sequence_of(std::uint16_t peer) const noexcept { return paths_[peer].sequence; }
  /// The peer whose request has this number, or kNone.
  std::uint16_t asked(std::uint16_t sequence) const noexcept;
  /// Changes of state of all paths. Threads: any.
  std::uint32_t transitions() const noexcept { return transitions_; }
  void answered(std::uint16_t peer, Nanoseconds now, EventSink& sink) noexcept;

 private:
  void look_around(Nanoseconds now, EventSink& sink) noexcept;
  void set_state(Path& path, PathState state) noexcept;

  Path* const paths_;
  const PeerTable& peers_;
  const EchoConfig config_;
  TimerNode& tick_;
  std::uint32_t next_look_ = 0;
  std::uint16_t sequence_ = 0;
  Figure<std::uint32_t> transitions_;
  /// Who was asked last by each number.
  std::unique_ptr<std::array<std::uint16_t, 65536>> asked_ =
      std::make_unique<std::array<std::uint16_t, 65536>>();
};

}  // namespace sluice
