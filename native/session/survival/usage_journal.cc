#include <cstring>

#include "session/survival/usage_directory.h"

namespace sluice {

void UsageJournal::open(const SessionView& before, std::uint64_t events) noexcept {
  session = before.index;
  incarnation = before.flows[0]->rules.incarnation;
  account_bytes = 0;
  if (before.account != nullptr && before.account->bytes <= kAccountBytesMax) {
    account_bytes = before.account->bytes;
    std::memcpy(account, before.account, account_bytes);
    for (unsigned d = 0; d < kDirections; ++d) {
      usage_left[d] = before.flows[d]->state.usage_left;
      usage_packets[d] = before.flows[d]->state.usage_packets;
    }
  }
  // Release: pairs with the acquire in visible(). A reader after the process's end needs no
  // more than the order of the stores.
  open_from.store(events, std::memory_order_release);
  // No store of the step may come before this one. The compiler alone has to be told: what a
  // thread has stored when its process is killed is in memory, in the order of the program.
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace sluice
