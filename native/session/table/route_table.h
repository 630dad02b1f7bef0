// Framed routes: prefixes behind a UE, found by longest match. One writer, the control thread; any
// worker reads, without a lock and exactly, whatever is being changed (decision 0050).
//
// For each port and family a tree: a node is one line of 16 places, one for each value of the four
// bits at its position. Positions are in the references to nodes, so that bits in which all routes
// below agree are skipped; the route at the end says whether the address has them. A route that
// ends within a node's four bits is the node's own, and stands in all places that it covers and
// that lead to nothing longer. So a look goes down once and compares once. Only where what it
// comes to does not contain the address, it goes down again, and asks each node's own routes.
//
// What readers may still be in is not written to before `changes_` has gone on, which they look at
// before and behind: who has been overtaken looks again. A single change shows in one step to the
// look for one address, and leaves the references of a node that it takes out as they are.
#pragma once
#include <array>
#include <atomic>

#include "memory/region.h"
#include "session/table/route.h"
#include "session/teid.h"

namespace sluice {

/// One of a burst of addresses that are looked for.
struct RouteQuery {
  AddressBits address;
  bool is_v6;
  SessionIndex session;  ///< the answer; kNoSession: no route contains it
};

class RouteTable {
 public:
  static std::size_t bytes(std::uint32_t routes) noexcept;
  /// @param memory  zeroed, bytes(routes) long, line aligned.
  RouteTable(void* memory, std::uint32_t routes) noexcept;

  // Threads: any.
  /// The session with the longest route that contains the address, or kNoSession.
  SessionIndex find(const AddressBits& address, bool is_v6, std::uint8_t port) const noexcept;
  /// The same for a burst, at most kBurstMax, whose lines are on their way side by side.
  void find(RouteQuery* queries, unsigned count, std::uint8_t port) const noexcept;

  // Control thread.
  /// False when there is no such route.
  bool find_exact(const Route& route, std::uint8_t port, SessionIndex& session) const noexcept;
  /// False when the table is full, or the route is there.
  bool insert(const Route& route, std::uint8_t port, SessionIndex session) noexcept;
  void erase(const Route& route, std::uint8_t port) noexcept;
  /// Routes and nodes that are in use.
  std::uint32_t size() const noexcept { return entries_.taken; }
  std::uint32_t nodes() const noexcept { return nodes_.taken; }

 private:
  /// What a place leads to: nothing (0), the route of an entry, or a node and its position.
  using Reference = std::uint32_t;
  using Place = std::atomic<Reference>;
  static constexpr Reference kIsNode = 1u << 31;
  static constexpr unsigned kPositionShift = 24, kStep = 4, kPlaces = 1u << kStep;
  static bool is_node(Reference there) noexcept { return (there & kIsNode) != 0; }
  static unsigned position(Reference node) noexcept { return (node & ~kIsNode) >> kPositionShift; }
  static std::uint32_t index(Reference node) noexcept {
    return node & ((1u << kPositionShift) - 1);
  }

  struct Node {
    alignas(kCacheLine) Place places[kPlaces];
  };
  static constexpr unsigned kWideBits = 12;
  struct WideNode {
    alignas(kCacheLine) Place places[1u << kWideBits];
  };
  struct Entry {
    std::atomic<std::uint64_t> high, low;
    std::atomic<std::uint32_t> length;
    std::atomic<SessionIndex> session;
    std::atomic<std::uint32_t> shorter;  ///< the next of a node's own routes; 0: none
    std::uint32_t reserved;

    // Relaxed: who reaches an entry has seen it written, or is overtaken.
    AddressBits bits() const noexcept {
      return {high.load(std::memory_order_relaxed), low.load(std::memory_order_relaxed)};
    }
    bool contains(const AddressBits& address) const noexcept {
      return bits().common(address) >= length.load(std::memory_order_relaxed);
    }
  };
  static_assert(sizeof(Node) == kCacheLine && sizeof(Entry) == kCacheLine / 2);

  /// Entries or nodes that are not in use. Control thread.
  struct Spare {
    std::uint32_t* next;  ///< behind one that was given back, the one before; 0: none
    std::uint32_t end;
    std::uint32_t fresh = 1;  ///< from here on none was ever taken; 0 is nothing's
    std::uint32_t given_back = 0;
    std::uint32_t taken = 0;
    std::uint32_t take() noexcept;
    void give_back(std::uint32_t place) noexcept;
  };

  /// Of the node in which routes part behind so many bits, or end.
  static constexpr unsigned position_for(unsigned bits) noexcept { return bits / kStep * kStep; }
  /// Index of a port's tree. A port that is none has that of no routes.
  static unsigned tree(bool is_v6, std::uint8_t port) noexcept {
    return port < kPortsMax ? 2 * port + is_v6 : kTrees;
  }
  /// The first step down.
  Reference begin(unsigned tree, const AddressBits& address) const noexcept {
    // Pairs with the release in publish().
    const Reference there = begin_[tree].load(std::memory_order_acquire);
    return is_node(there) ? wide_[index(there)].places[address.at<kWideBits>(position(there))].load(
                                std::memory_order_acquire)
                          : there;
  }
  Place& place(Reference node, const AddressBits& address) const noexcept {
    return node_[index(node)].places[address.at<kStep>(position(node))];
  }
  Reference follow(Reference node, const AddressBits& address) const noexcept {
    // Pairs with the release in publish().
    return place(node, address).load(std::memory_order_acquire);
  }
  static void publish(Place& place, Reference there) noexcept {
    // Pairs with the acquire in follow() and begin(): what it leads to was written before.
    place.store(there, std::memory_order_release);
  }
  SessionIndex look(unsigned tree, const AddressBits& address) const noexcept;
  SessionIndex look_again(unsigned tree, const AddressBits& address) const noexcept;

  // Control thread: route_changes.cc.
  void begin_change() noexcept;
  bool is_own(Reference node, Reference there) const noexcept;
  bool is_route(Reference there, const Route& route) const noexcept;
  const Entry& some_route(Reference there, const AddressBits& near) const noexcept;
  std::uint32_t make_entry(const Route& route, SessionIndex session) noexcept;
  Reference make_node(unsigned position) noexcept;
  void add_own(Reference node, std::uint32_t entry) noexcept;
  std::atomic<std::uint32_t>* link_of(Reference node, const Route& route) const noexcept;
  void insert_entry(unsigned tree, const Route& route, std::uint32_t entry) noexcept;
  void part(Place& at, Reference there, unsigned position, std::uint32_t entry) noexcept;
  void refill(Reference node, unsigned place, std::uint32_t without) noexcept;
  void remove_own(Reference node, std::atomic<std::uint32_t>& link) noexcept;
  void shrink(Place& at) noexcept;
  void erase_entry(unsigned tree, const Route& route) noexcept;
  // route_shortcuts.cc
  void shorten(unsigned tree, const Route& route) noexcept;
  Reference shortcut(Reference root, const AddressBits& address, unsigned end) const noexcept;
  void fill(Reference wide, Reference root, unsigned first, unsigned count) noexcept;

  static constexpr unsigned kTrees = 2 * kPortsMax;
  // What readers read, apart from what the control thread counts. The last is nobody's.
  alignas(kCacheLine) std::array<Place, kTrees + 1> begin_{};
  std::array<Place, kTrees + 1> roots_{};
  std::atomic<std::uint64_t> changes_{0};
  Node* node_;
  WideNode* wide_;
  Entry* entry_;
  std::atomic<std::uint32_t>* own_;  ///< by node: the longest of its own routes, 0: none
  alignas(kCacheLine) Spare entries_;
  Spare nodes_, wides_;
};

}  // namespace sluice
