// How the control thread changes the trees of a RouteTable.
#include "session/table/route_table.h"

namespace sluice {
namespace {

constexpr std::size_t round_up(std::size_t bytes) {
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

}  // namespace

std::size_t RouteTable::bytes(std::uint32_t routes) noexcept {
  const std::size_t places = std::size_t{routes} + 1;
  return places * sizeof(Node) + (kTrees + 2) * sizeof(WideNode) +
         round_up(places * sizeof(Entry)) + 3 * round_up(places * sizeof(std::uint32_t)) +
         round_up((kTrees + 2) * sizeof(std::uint32_t));
}

RouteTable::RouteTable(void* memory, std::uint32_t routes) noexcept {
  auto* at = static_cast<std::byte*>(memory);
  const std::size_t places = std::size_t{routes} + 1;
  const auto take = [&](std::size_t bytes) {
    void* const taken = at;
    at += round_up(bytes);
    return taken;
  };
  node_ = static_cast<Node*>(take(places * sizeof(Node)));
  wide_ = static_cast<WideNode*>(take((kTrees + 2) * sizeof(WideNode)));
  entry_ = static_cast<Entry*>(take(places * sizeof(Entry)));
  own_ = static_cast<std::atomic<std::uint32_t>*>(take(places * sizeof(std::uint32_t)));
  const auto list = [&](Spare& spare, std::uint32_t count) {
    spare.next = static_cast<std::uint32_t*>(take((count + 1) * sizeof(std::uint32_t)));
    spare.end = count + 1;
  };
  list(entries_, routes);
  list(nodes_, routes);
  list(wides_, kTrees + 1);  // one for each tree, and the one that a change makes
}

/// 0: all are in use.
std::uint32_t RouteTable::Spare::take() noexcept {
  std::uint32_t place = given_back;
  if (place != 0) {
    given_back = next[place];
  } else {
    if (fresh == end) return 0;
    place = fresh++;
  }
  ++taken;
  return place;
}

void RouteTable::Spare::give_back(std::uint32_t place) noexcept {
  next[place] = given_back;
  given_back = place;
  --taken;
}

/// Before anything is written: what the change before has given back may be written to from now
/// on, and a reader that was in it finds that it was overtaken.
void RouteTable::begin_change() noexcept {
  changes_.store(changes_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  // Pairs with the fences in find().
  std::atomic_thread_fence(std::memory_order_release);
}

/// Whether a place of the node leads to one of the node's own routes.
bool RouteTable::is_own(Reference node, Reference there) const noexcept {
  return !is_node(there) && there != 0 &&
         position_for(entry_[there].length.load(std::memory_order_relaxed)) == position(node);
}

bool RouteTable::is_route(Reference there, const Route& route) const noexcept {
  const Entry& entry = entry_[there];
  return !is_node(there) && there != 0 &&
         entry.length.load(std::memory_order_relaxed) == route.length &&
         entry.bits().common(route.bits()) == 128;
}

/// One of the routes below, with as many bits of an address as any has.
const RouteTable::Entry& RouteTable::some_route(Reference there,
                                                const AddressBits& near) const noexcept {
  while (is_node(there)) {
    const Node& node = node_[index(there)];
    there = follow(there, near);
    for (unsigned i = 0; there == 0; ++i) there = node.places[i].load(std::memory_order_relaxed);
  }
  return entry_[there];
}

std::uint32_t RouteTable::make_entry(const Route& route, SessionIndex session) noexcept {
  const std::uint32_t made = entries_.take();
  if (made == 0) return 0;
  Entry& entry = entry_[made];
  const AddressBits bits = route.bits();
  entry.high.store(bits.high, std::memory_order_relaxed);
  entry.low.store(bits.low, std::memory_order_relaxed);
  entry.length.store(route.length, std::memory_order_relaxed);
  entry.session.store(session, std::memory_order_relaxed);
  entry.shorter.store(0, std::memory_order_relaxed);
  return made;
}

/// There is always one: each node in use has two of the routes that no other has.
RouteTable::Reference RouteTable::make_node(unsigned position) noexcept {
  const std::uint32_t made = nodes_.take();
  for (Place& place : node_[made].places) place.store(0, std::memory_order_relaxed);
  own_[made].store(0, std::memory_order_relaxed);
  return kIsNode | position << kPositionShift | made;
}

/// Lists a route as the node's own, and lets all places that have nothing longer lead to it.
void RouteTable::add_own(Reference node, std::uint32_t entry) noexcept {
  const AddressBits bits = entry_[entry].bits();
  const std::uint32_t length = entry_[entry].length.load(std::memory_order_relaxed);
  std::atomic<std::uint32_t>* link = &own_[index(node)];
  std::uint32_t next = link->load(std::memory_order_relaxed);
  while (next != 0 && entry_[next].length.load(std::memory_order_relaxed) > length) {
    link = &entry_[next].shorter;
    next = link->load(std::memory_order_relaxed);
  }
  entry_[entry].shorter.store(next, std::memory_order_relaxed);
  publish(*link, entry);
  const unsigned first = bits.at<kStep>(position(node));
  for (unsigned i = first; i < first + (kPlaces >> (length - position(node))); ++i) {
    Place& place = node_[index(node)].places[i];
    const Reference there = place.load(std::memory_order_relaxed);
    if (there == 0 ||
        (is_own(node, there) && entry_[there].length.load(std::memory_order_relaxed) < length)) {
      publish(place, entry);
    }
  }
}

/// The link to one of a node's own routes; nullptr: it is not there.
std::atomic<std::uint32_t>* RouteTable::link_of(Reference node, const Route& route) const noexcept {
  std::atomic<std::uint32_t>* link = &own_[index(node)];
  for (;;) {
    const std::uint32_t entry = link->load(std::memory_order_relaxed);
    if (entry == 0) return nullptr;
    if (is_route(entry, route)) return link;
    link = &entry_[entry].shorter;
  }
}

/// Puts a node where a route and what was there part.
void RouteTable::part(Place& at, Reference there, unsigned position, std::uint32_t entry) noexcept {
  const Reference node = make_node(position);
  const AddressBits near = entry_[entry].bits();
  for (const Reference one : {there, Reference{entry}}) {
    if (is_own(node, one)) {
      add_own(node, one);
    } else {
      publish(place(node, some_route(one, near).bits()), one);
    }
  }
  publish(at, node);
}

bool RouteTable::find_exact(const Route& route, std::uint8_t port,
                            SessionIndex& session) const noexcept {
  const AddressBits bits = route.bits();
  Reference there = roots_[tree(route.is_v6, port)].load(std::memory_order_relaxed);
  while (is_node(there)) {
    if (position_for(route.length) <= position(there)) {
      const auto* link = link_of(there, route);
      there = link == nullptr ? 0 : link->load(std::memory_order_relaxed);
    } else {
      there = follow(there, bits);
    }
  }
  if (there == 0 || !is_route(there, route)) return false;
  session = entry_[there].session.load(std::memory_order_relaxed);
  return true;
}

bool RouteTable::insert(const Route& route, std::uint8_t port, SessionIndex session) noexcept {
  SessionIndex other;
  if (port >= kPortsMax || find_exact(route, port, other)) return false;
  begin_change();
  const std::uint32_t entry = make_entry(route, session);
  if (entry == 0) return false;
  insert_entry(tree(route.is_v6, port), route, entry);
  shorten(tree(route.is_v6, port), route);
  return true;
}

void RouteTable::insert_entry(unsigned tree, const Route& route, std::uint32_t entry) noexcept {
  const AddressBits bits = route.bits();
  Place* at = &roots_[tree];
  Reference there = at->load(std::memory_order_relaxed);
  if (there == 0) {
    publish(*at, entry);
    return;
  }
  const Entry& other_end = some_route(there, bits);
  const std::uint32_t shared = std::min({bits.common(other_end.bits()), std::uint32_t{route.length},
                                         other_end.length.load(std::memory_order_relaxed)});
  while (is_node(there) && position(there) <= shared) {
    if (position_for(route.length) == position(there)) {
      add_own(there, entry);
      return;
    }
    const Reference node = there;
    at = &place(node, bits);
    there = at->load(std::memory_order_relaxed);
    if (there == 0 || is_own(node, there)) {
      publish(*at, entry);
      return;
    }
  }
  part(*at, there, position_for(shared), entry);
}

/// Lets a place lead to the longest of the node's own routes that covers it, or to nothing.
void RouteTable::refill(Reference node, unsigned place, std::uint32_t without) noexcept {
  std::uint32_t own = own_[index(node)].load(std::memory_order_relaxed);
  for (; own != 0; own = entry_[own].shorter.load(std::memory_order_relaxed)) {
    const std::uint32_t length = entry_[own].length.load(std::memory_order_relaxed);
    const unsigned first = entry_[own].bits().at<kStep>(position(node));
    if (own != without && place - first < kPlaces >> (length - position(node))) break;
  }
  publish(node_[index(node)].places[place], own);
}

void RouteTable::remove_own(Reference node, std::atomic<std::uint32_t>& link) noexcept {
  const std::uint32_t entry = link.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < kPlaces; ++i) {
    if (node_[index(node)].places[i].load(std::memory_order_relaxed) == entry) {
      refill(node, i, entry);
    }
  }
  publish(link, entry_[entry].shorter.load(std::memory_order_relaxed));
}

/// Takes a node out in which no two routes part any longer.
void RouteTable::shrink(Place& at) noexcept {
  const Reference node = at.load(std::memory_order_relaxed);
  Reference last = own_[index(node)].load(std::memory_order_relaxed);
  if (last != 0 && entry_[last].shorter.load(std::memory_order_relaxed) != 0) return;
  for (const Place& place : node_[index(node)].places) {
    const Reference there = place.load(std::memory_order_relaxed);
    if (there == 0 || is_own(node, there)) continue;
    if (last != 0) return;
    last = there;
  }
  publish(at, last);
  nodes_.give_back(index(node));
}

void RouteTable::erase(const Route& route, std::uint8_t port) noexcept {
  SessionIndex session;
  if (!find_exact(route, port, session)) return;
  begin_change();
  erase_entry(tree(route.is_v6, port), route);
  shorten(tree(route.is_v6, port), route);
}

void RouteTable::erase_entry(unsigned tree, const Route& route) noexcept {
  const AddressBits bits = route.bits();
  Place* at = &roots_[tree];
  Place* node_at = nullptr;
  Reference there = at->load(std::memory_order_relaxed);
  while (is_node(there) && position_for(route.length) > position(there)) {
    node_at = at;
    at = &place(there, bits);
    there = at->load(std::memory_order_relaxed);
  }
  if (is_node(there)) {
    std::atomic<std::uint32_t>& link = *link_of(there, route);
    entries_.give_back(link.load(std::memory_order_relaxed));
    remove_own(there, link);
    shrink(*at);
    return;
  }
  entries_.give_back(there);
  if (node_at == nullptr) {
    publish(*at, 0);
    return;
  }
  const Reference node = node_at->load(std::memory_order_relaxed);
  refill(node, bits.at<kStep>(position(node)), 0);
  shrink(*node_at);
}

}  // namespace sluice
