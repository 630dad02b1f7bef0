// Which sessions are busy, by looking at one packet of every burst while somebody asks: the
// packet stands for its burst. Owner: the worker; the control thread switches it on and off
// and empties its ring. Not asked, it costs one test a burst (decision 0013).
#pragma once
#include <atomic>
#include <cstdint>

#include "memory/ring.h"
#include "pipeline/burst.h"

namespace sluice {

/// One packet that stands for others. Words as in SampleWord of src/datapath/datapath.ts.
struct TrafficSample {
  std::uint32_t session;  ///< 24-bit index | kSample…
  std::uint32_t incarnation;
  std::uint32_t bytes;    ///< inner octets of this packet
  std::uint32_t packets;  ///< how many packets it stands for
};
inline constexpr std::uint32_t kSampleDownlink = 1u << 24;
inline constexpr std::uint32_t kSampleDropped = 1u << 25;
inline constexpr std::uint32_t kSampleRing = 8192;
inline constexpr unsigned kNoSample = kBurstMax;

class TrafficSampler {
 public:
  using Ring = SpscRing<TrafficSample>;
  /// @param ring  of kSampleRing entries, in memory that outlives this.
  explicit TrafficSampler(Ring* ring) noexcept : ring_(ring) {}

  // ---- control thread ----
  // Relaxed: orders nothing; pairs with the load in wanted(), which may see it a burst later.
  void want(bool on) noexcept { wanted_.store(on, std::memory_order_relaxed); }
  unsigned take(TrafficSample* out, unsigned max) noexcept {
    return ring_->dequeue_burst(out, max);
  }

  // ---- the worker ----
  bool wanted() const noexcept { return wanted_.load(std::memory_order_relaxed); }
  /// A packet of the burst drawn at random, between lookup and match, or kNoSample where the
  /// one drawn has no session. Packets without a session are nobody's, so that is no bias.
  unsigned draw(const Burst& burst) noexcept;
  /// Notes what became of it, behind forward. A full ring makes the next one stand for more.
  void note(const Burst& burst, unsigned i) noexcept;

 private:
  Ring* const ring_;
  std::uint32_t random_ = 0x9e3779b9;
  std::uint32_t owed_ = 0;  ///< packets whose sample found the ring full
  std::atomic<bool> wanted_{false};
};

}  // namespace sluice
