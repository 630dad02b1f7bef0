#include "memory/lent_flow.h"

#include <sched.h>

#include "base/clock.h"

namespace sluice {
namespace {

constexpr unsigned kSpinsAYield = 1024;  // of a claim that is held: a packet takes far less

}  // namespace

void LentFlow::end_lending() noexcept {
  auto shared = shared_word();
  shared.fetch_and(~std::uint64_t{kLent}, std::memory_order_acq_rel);
  // The program claims it for a packet at most: it does not sleep, and takes no lock.
  for (unsigned spins = 1; (shared.load(std::memory_order_acquire) & kClaimed) != 0; ++spins) {
    spin_pause();
    if (spins % kSpinsAYield == 0) sched_yield();
  }
}

}  // namespace sluice
