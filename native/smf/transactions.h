// Requests that wait for their response: by sequence number, and by when they are to be sent
// again. One thread.
#pragma once
#include <cstdint>
#include <deque>
#include <vector>

#include "base/types.h"

namespace sluice::smf {

struct Transaction {
  std::uint32_t sequence = 0;  ///< 0: there is none in this place
  std::uint32_t session = 0;
  std::uint32_t tries = 0;
  Nanoseconds due = 0;   ///< when it should have been sent first
  Nanoseconds sent = 0;  ///< when it was sent last
};

class Transactions {
 public:
  static constexpr std::uint32_t kSequenceMax = 0xff'ffff;
  /// @param places  a power of two; as many can be under way
  explicit Transactions(std::size_t places) : places_(places) {}

  /// The next sequence number's place, or null while an older one still has it.
  Transaction* begin(std::uint32_t session, Nanoseconds due) noexcept {
    const std::uint32_t sequence = last_ == kSequenceMax ? 1 : last_ + 1;
    Transaction& place = at(sequence);
    if (place.sequence != 0) return nullptr;
    last_ = sequence;
    place = {.sequence = sequence, .session = session, .tries = 0, .due = due, .sent = 0};
    ++under_way_;
    return &place;
  }
  /// It was sent (again) now.
  void sent(Transaction& transaction, Nanoseconds now) {
    transaction.sent = now;
    ++transaction.tries;
    timers_.push_back({transaction.sequence, now});
  }
  /// The one with this number, or null: unknown, or answered before.
  Transaction* find(std::uint32_t sequence) noexcept {
    Transaction& place = at(sequence);
    return sequence != 0 && place.sequence == sequence ? &place : nullptr;
  }
  void end(Transaction& transaction) noexcept {
    transaction.sequence = 0;
    --under_way_;
  }
  /// The next one that was sent last before `before` and has no answer; null: there is none.
  Transaction* expired(Nanoseconds before) noexcept {
    while (!timers_.empty() && timers_.front().sent < before) {
      const Timer timer = timers_.front();
      timers_.pop_front();
      Transaction* const found = find(timer.sequence);
      if (found != nullptr && found->sent == timer.sent) return found;
    }
    return nullptr;
  }
  std::size_t under_way() const noexcept { return under_way_; }
  /// Forgets all of them; numbers go on.
  void clear() noexcept {
    for (Transaction& place : places_) place.sequence = 0;
    timers_.clear();
    under_way_ = 0;
  }

 private:
  struct Timer {
    std::uint32_t sequence;
    Nanoseconds sent;
  };
  Transaction& at(std::uint32_t sequence) noexcept {
    return places_[sequence & (places_.size() - 1)];
  }
  std::vector<Transaction> places_;
  std::deque<Timer> timers_;  // all wait equally long, so they are in order
  std::uint32_t last_ = 0;
  std::size_t under_way_ = 0;
};

}  // namespace sluice::smf
