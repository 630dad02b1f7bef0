// Who is served next: each associated peer has queues of its own, everybody else shares some
// by a hash of the address, and these together take turns like one peer. Within one source
// the classes come in their order. So a flood from one address, or from random ones, costs
// others one turn. Owner: the datagram thread.
#pragma once
#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/counter.h"
#include "datagram/half_sip_hash.h"
#include "datagram/queue/datagram_ring.h"
#include "datagram/queue/waiting_room.h"

namespace sluice::datagram {

/// Peers that have queues of their own at most; more are served as strangers.
inline constexpr unsigned kPeersMax = 1024;

/// What was shed of one source by class; read from any thread.
using ShedCounts = std::array<Counter, kClasses>;
/// An associated peer, with the counts that outlive a change of the list.
struct Peer {
  Address address;
  std::shared_ptr<ShedCounts> shed;
};

class Turns {
 public:
  /// @param chunks    of 512 octets, for everything that waits
  /// @param strangers counts of those that are no peers
  Turns(std::uint32_t chunks, HalfSipHash<> hash, const std::shared_ptr<ShedCounts>& strangers);

  /// Takes the place of the list before; what waits of a peer that is gone waits with the
  /// strangers.
  void set_peers(const std::vector<Peer>& peers);
  /// Queues a datagram, or sheds and counts it.
  /// @return false: shed
  bool add(const Header& header, const std::byte* bytes, Nanoseconds now) noexcept;
  /// Moves datagrams into the ring, one a turn, until nothing waits or the ring is full.
  /// @return how many
  unsigned serve(DatagramRing& ring, Nanoseconds now) noexcept;
  std::uint32_t waiting() const noexcept { return room_.datagrams(); }

 private:
  static constexpr unsigned kStrangers = 64;

  struct Source {
    std::array<Queue, kClasses> queues;
    std::shared_ptr<ShedCounts> shed;
    bool in_turn = false;
    bool empty() const noexcept {
      return queues[0].chunks + queues[1].chunks + queues[2].chunks == 0;
    }
  };
  /// Numbers of sources that wait, in the order of their turns. Each is inside at most once.
  class Order {
   public:
    explicit Order(std::size_t capacity) : slots_(capacity) {}
    bool empty() const noexcept { return count_ == 0; }
    std::uint32_t front() const noexcept { return slots_[first_]; }
    void push(std::uint32_t source) noexcept;
    void pop() noexcept;
    void clear() noexcept { first_ = count_ = 0; }

   private:
    std::vector<std::uint32_t> slots_;
    std::size_t first_ = 0, count_ = 0;
  };
  struct AddressHash {
    HalfSipHash<> hash;
    std::size_t operator()(const Address& address) const noexcept {
      return hash(reinterpret_cast<const std::byte*>(&address), sizeof(address));
    }
  };

  std::uint32_t source_of(const Address& address) const noexcept;
  void enter(std::uint32_t source) noexcept;
  bool serve_one(Order& order, DatagramRing& ring, Nanoseconds now) noexcept;
  void leave_to_strangers(const Address& address, Source& source) noexcept;

  WaitingRoom room_;
  AddressHash hash_;
  std::unordered_map<Address, std::uint32_t, AddressHash> peers_;
  std::vector<Source> sources_;  // the strangers' first, then a peer each
  Order turns_;                  // of peers, and kStrangersTurn
  Order strangers_;              // which stranger it is at that turn
};

}  // namespace sluice::datagram
