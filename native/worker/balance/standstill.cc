#include "worker/balance/standstill.h"

#include <sched.h>

#include "base/clock.h"

namespace sluice {
namespace {

/// Packets go from worker to worker a few times at most (a hairpin, then the other UE's owner).
constexpr unsigned kRoundsMax = 64;
constexpr unsigned kOrderBits = 3;

/// Threads may share a processor here.
class Wait {
 public:
  void turn() noexcept {
    if (++turns_ % 64 == 0) sched_yield();
  }

 private:
  unsigned turns_ = 0;
};

}  // namespace

class Standstill::Rest final : public Errand {
 public:
  explicit Rest(Nanoseconds given) noexcept : given_(given) {}

  void run(Worker& worker, Nanoseconds) noexcept override {
    Wait wait;
    for (std::uint32_t seen = 0;;) {
      // Acquire: pairs with tell(); what the control thread did while all rested is seen behind it.
      const std::uint32_t wanted = wanted_.load(std::memory_order_acquire);
      if (wanted == seen) {
        wait.turn();
        continue;
      }
      seen = wanted;
      const auto order = static_cast<Order>(wanted & ((1u << kOrderBits) - 1));
      if (order == Order::Go) return;
      obey(worker, order, wanted);
    }
  }
  void obey(Worker& worker, Order order, std::uint32_t wanted) noexcept {
    const Nanoseconds now = given_ != 0 ? given_ : Clock::machine().now();
    said_ = 0;
    if (order == Order::Take) said_ = worker.settle(now);
    if (order == Order::Hand) worker.hand_over();
    // Release: pairs with has_answered(); what the worker did is seen by the control thread.
    answered_.store(wanted, std::memory_order_release);
  }
  void tell(std::uint32_t wanted) noexcept { wanted_.store(wanted, std::memory_order_release); }
  bool has_answered(std::uint32_t wanted) const noexcept {
    return answered_.load(std::memory_order_acquire) == wanted;
  }
  unsigned said() const noexcept { return said_; }

 private:
  const Nanoseconds given_;
  unsigned said_ = 0;
  std::atomic<std::uint32_t> wanted_{0}, answered_{0};
};

Standstill::Standstill(std::span<const std::unique_ptr<Worker>> workers, bool threads,
                       Nanoseconds now)
    : workers_(workers), threads_(threads) {
  for (std::size_t w = 0; w < workers.size(); ++w)
    rests_.push_back(std::make_unique<Rest>(threads ? 0 : now));
}

std::unique_ptr<Standstill> Standstill::begin(std::span<const std::unique_ptr<Worker>> workers,
                                              bool threads, Nanoseconds now) {
  std::unique_ptr<Standstill> standstill(new Standstill(workers, threads, now));
  if (!threads) return standstill;
  for (std::size_t w = 0; w < workers.size(); ++w) {
    if (workers[w]->post(*standstill->rests_[w])) continue;
    standstill->rests_.resize(w);  // those that were asked go on
    return nullptr;
  }
  standstill->ask(Order::Arrive);
  return standstill;
}

Standstill::~Standstill() {
  if (!threads_) return;
  for (const auto& rest : rests_) rest->tell(static_cast<std::uint32_t>(Order::Go));
  for (const auto& rest : rests_) {
    for (Wait wait; !rest->done();) wait.turn();
  }
}

/// Gives all an order and waits until they have done it. @return the sum of what they say.
unsigned Standstill::ask(Order order) noexcept {
  const std::uint32_t wanted = ++number_ << kOrderBits | static_cast<std::uint32_t>(order);
  for (std::size_t w = 0; w < rests_.size(); ++w) {
    if (threads_)
      rests_[w]->tell(wanted);
    else
      rests_[w]->obey(*workers_[w], order, wanted);
  }
  unsigned said = 0;
  for (const auto& rest : rests_) {
    for (Wait wait; !rest->has_answered(wanted);) wait.turn();
    said += rest->said();
  }
  return said;
}

bool Standstill::settle() {
  for (unsigned round = 0; round < kRoundsMax; ++round) {
    // First all take, then all hand: a ring that is empty has room for what one has.
    const unsigned moved = ask(Order::Take);
    ask(Order::Hand);
    if (moved == 0) return true;
  }
  return false;
}

}  // namespace sluice
