// The first step down a tree of a RouteTable, in place of its uppermost nodes: a wide node at the
// root's position, whose places lead to what a walk would come to behind their bits. The control
// thread makes them anew behind each change, where the route that has changed covers them.
#include "session/table/route_table.h"

namespace sluice {

/// What addresses that begin so, up to a position, come to: a node behind it, or a route.
RouteTable::Reference RouteTable::shortcut(Reference root, const AddressBits& address,
                                           unsigned end) const noexcept {
  std::uint32_t best = 0;
  Reference there = root;
  for (; is_node(there) && position(there) < end; there = follow(there, address)) {
    std::uint32_t own = own_[index(there)].load(std::memory_order_relaxed);
    while (own != 0 && !entry_[own].contains(address)) {
      own = entry_[own].shorter.load(std::memory_order_relaxed);
    }
    if (own != 0) best = own;
  }
  if (there == 0) return best;
  // Only what agrees with the bits that were skipped: then a change of it is one of this place.
  const Entry& below = some_route(there, address);
  const std::uint32_t length = below.length.load(std::memory_order_relaxed);
  return below.bits().common(address) >= std::min(length, end) ? there : best;
}

void RouteTable::fill(Reference wide, Reference root, unsigned first, unsigned count) noexcept {
  const unsigned at = position(wide);
  // Behind the end of a half there are no bits, and only places with zeros there are asked for.
  const unsigned end = std::min(at + kWideBits, at < 64 ? 64u : 128u);
  const unsigned step = 1u << (at + kWideBits - end);
  const AddressBits base = some_route(root, {0, 0}).bits();
  for (unsigned i = first; i < first + count; i += step) {
    publish(wide_[index(wide)].places[i], shortcut(root, base.with<kWideBits>(at, i), end));
  }
}

/// After each change of a tree.
void RouteTable::shorten(unsigned tree, const Route& route) noexcept {
  const Reference root = roots_[tree].load(std::memory_order_relaxed);
  const Reference before = begin_[tree].load(std::memory_order_relaxed);
  constexpr unsigned kAll = 1u << kWideBits;
  if (!is_node(root)) {
    publish(begin_[tree], root);
  } else if (is_node(before) && position(before) == position(root)) {
    const unsigned covered = route.length <= position(root) ? 0 : route.length - position(root);
    const unsigned count = covered >= kWideBits ? 1 : kAll >> covered;
    const unsigned first = covered == 0 ? 0 : route.bits().at<kWideBits>(position(root));
    fill(before, root, first, count);
    return;
  } else {
    const Reference wide = kIsNode | position(root) << kPositionShift | wides_.take();
    fill(wide, root, 0, kAll);
    publish(begin_[tree], wide);
  }
  if (is_node(before)) wides_.give_back(index(before));
}

}  // namespace sluice
