// Where a packet's cycles go: looks at the clock when a stage is through with a burst, without
// following its packets.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/clock.h"
#include "bench/bench.h"
#include "pipeline/burst.h"
#include "pipeline/observe/observer.h"

namespace bench {

class StageClock final : public sluice::BurstObserver {
 public:
  StageClock() {
    // What looking costs is taken off again.
    constexpr unsigned kTimes = 10'000;
    sluice::Burst burst;
    BurstObserver* self = this;
    keep(self);
    for (unsigned i = 0; i < kTimes; ++i) {
      self->after(sluice::Stage::Receive, burst);
      own_ = std::min(own_, std::exchange(of(sluice::Stage::Receive), 0));
    }
    looks_ = {};
  }
  /// Cycles a packet, of the time until a stage was through since another was.
  double cycles(sluice::Stage stage, std::uint64_t packets) const {
    const auto at = static_cast<std::size_t>(stage);
    return static_cast<double>(spent_[at] - own_ * looks_[at]) / static_cast<double>(packets);
  }

  bool follows_packets() const noexcept override { return false; }
  void after(sluice::Stage stage, sluice::Burst&) noexcept override {
    const std::uint64_t now = sluice::tsc();
    of(stage) += now - last_;
    ++looks_[static_cast<std::size_t>(stage)];
    last_ = now;
  }
  void decided(sluice::Stage, const sluice::Burst&, unsigned, const sluice::Hit&,
               sluice::DropReason) noexcept override {}
  void sending(std::uint8_t, sluice::Packet* const*, unsigned,
               sluice::Nanoseconds) noexcept override {}
  void sent(unsigned) noexcept override {}
  void lost(sluice::Packet* const*, unsigned, sluice::DropReason,
            sluice::Nanoseconds) noexcept override {}

 private:
  std::uint64_t& of(sluice::Stage stage) { return spent_[static_cast<std::size_t>(stage)]; }
  static constexpr auto kStages = static_cast<std::size_t>(sluice::Stage::Finish) + 1;
  std::array<std::uint64_t, kStages> spent_{}, looks_{};
  std::uint64_t last_ = sluice::tsc();
  std::uint64_t own_ = ~std::uint64_t{0};
};

}  // namespace bench
