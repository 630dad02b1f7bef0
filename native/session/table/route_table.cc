#include "session/table/route_table.h"

namespace sluice {
namespace {

constexpr unsigned kAtOnce = 32;  ///< addresses that are looked for side by side

}  // namespace

/// The longest route that contains the address, where the way down leads to it.
SessionIndex RouteTable::look(unsigned tree, const AddressBits& address) const noexcept {
  Reference there = begin(tree, address);
  while (is_node(there)) there = follow(there, address);
  const Entry& entry = entry_[there];
  if (__builtin_expect(there != 0 && entry.contains(address), 1)) {
    return entry.session.load(std::memory_order_relaxed);
  }
  return look_again(tree, address);
}

/// The same by the nodes' own routes.
SessionIndex RouteTable::look_again(unsigned tree, const AddressBits& address) const noexcept {
  std::uint32_t best = 0;
  Reference there = roots_[tree].load(std::memory_order_acquire);
  for (; is_node(there); there = follow(there, address)) {
    std::uint32_t own = own_[index(there)].load(std::memory_order_acquire);
    while (own != 0 && !entry_[own].contains(address)) {
      own = entry_[own].shorter.load(std::memory_order_acquire);
    }
    if (own != 0) best = own;
  }
  if (there != 0 && entry_[there].contains(address)) best = there;
  return best == 0 ? kNoSession : entry_[best].session.load(std::memory_order_relaxed);
}

SessionIndex RouteTable::find(const AddressBits& address, bool is_v6,
                              std::uint8_t port) const noexcept {
  for (;;) {
    const std::uint64_t before = changes_.load(std::memory_order_acquire);
    const SessionIndex session = look(tree(is_v6, port), address);
    // Pairs with the fence in begin_change().
    std::atomic_thread_fence(std::memory_order_acquire);
    if (__builtin_expect(changes_.load(std::memory_order_relaxed) == before, 1)) return session;
  }
}

void RouteTable::find(RouteQuery* queries, unsigned count, std::uint8_t port) const noexcept {
  for (; count > kAtOnce; count -= kAtOnce, queries += kAtOnce) find(queries, kAtOnce, port);
  const std::uint64_t before = changes_.load(std::memory_order_acquire);
  Reference there[kAtOnce];
  Reference any = 0;
  for (unsigned i = 0; i < count; ++i) {
    there[i] = begin(tree(queries[i].is_v6, port), queries[i].address);
    any |= there[i];
  }
  while (is_node(any)) {
    any = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (is_node(there[i])) there[i] = follow(there[i], queries[i].address);
      any |= there[i];
    }
  }
  for (unsigned i = 0; i < count; ++i) {
    RouteQuery& query = queries[i];
    const Entry& entry = entry_[there[i]];
    query.session = __builtin_expect(there[i] != 0 && entry.contains(query.address), 1)
                        ? entry.session.load(std::memory_order_relaxed)
                        : look_again(tree(query.is_v6, port), query.address);
  }
  // Pairs with the fence in begin_change().
  std::atomic_thread_fence(std::memory_order_acquire);
  if (__builtin_expect(changes_.load(std::memory_order_relaxed) == before, 1)) return;
  // One by one, so that whoever changes much does not hold up a whole burst.
  for (unsigned i = 0; i < count; ++i) {
    queries[i].session = find(queries[i].address, queries[i].is_v6, port);
  }
}

}  // namespace sluice
