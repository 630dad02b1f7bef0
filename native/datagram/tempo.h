// How fast datagrams come and go. Owner: the datagram thread.
#pragma once
#include "base/types.h"

namespace sluice::datagram {

/// Whether datagrams come so fast that looking for them now and then costs less than being
/// woken for each. As interrupt moderation: a batch has more in it, and nobody rings.
class Tempo {
 public:
  static constexpr Nanoseconds kTick = 100'000;

  void count(std::uint64_t datagrams) noexcept { seen_ += datagrams; }
  bool is_fast(Nanoseconds now) noexcept {
    const Nanoseconds span = now - since_;
    if (span >= kWindow) {
      fast_ = seen_ * kWindow >= kDatagrams * span;
      since_ = now;
      seen_ = 0;
    }
    return fast_;
  }

 private:
  static constexpr Nanoseconds kWindow = 1'000'000;
  static constexpr std::uint64_t kDatagrams = 8;  // a window, in both directions together

  Nanoseconds since_ = 0;
  std::uint64_t seen_ = 0;
  bool fast_ = false;
};

}  // namespace sluice::datagram
