// The packets that a worker's flows hold: per flow a list through the packets themselves, in
// the order of their arrival, without copies. Owner: the worker; the control thread makes it.
//
// Holding takes no packet from traffic: for each one that is held, a spare chunk goes into the
// pool, and comes back when the held one moves on. There are as many spares as may be held.
#pragma once
#include <memory>
#include <vector>

#include "base/counter.h"
#include "base/timer_wheel.h"
#include "memory/packet_pool.h"
#include "session/flow.h"

namespace sluice {

/// Held packets a flow when its BAR says nothing.
inline constexpr unsigned kHeldPacketsDefault = 1024;

/// Packets in a row, linked by Packet::word; Packet::tag says when they came.
struct HeldList {
  PacketHandle head = 0;  ///< 0: empty; no packet lies at the region's start
  PacketHandle tail = 0;
};

/// What one flow holds, from the first packet to the last: a buffering episode.
struct Hold {
  TimerNode timer;              ///< the first of notification and expiry; first member
  HeldList waiting;             ///< held; while it drains, still to be looked at again
  HeldList kept;                ///< looked at, and held by the new rules too
  std::uint32_t count;          ///< of both
  std::uint32_t next;           ///< + 1: in its hash chain, or free
  std::uint32_t next_draining;  ///< + 1; the row of those that drain
  std::uint32_t previous_draining;
  SessionIndex session;
  Direction direction;
  bool in_use;
  bool draining;  ///< the rules changed: in order, each packet is looked at again
  bool wants_notification;
  bool notified;
  std::uint8_t qfi;
  std::uint16_t pdr;
  std::uint32_t told_of;   ///< packets that were there when it was notified, and still are
  Nanoseconds started_at;  ///< when its first packet came, of those to be told of; 0: none yet
  Nanoseconds notify_at;
};

class HoldTable {
 public:
  struct Config {
    std::uint32_t first_spare = 0;  ///< of the pool's, from here on they are this table's
    std::uint32_t packets_max = 0;  ///< spares; 0: nothing can be held
    Nanoseconds held_max = 0;       ///< then a packet expires
  };
  static std::size_t bytes(std::uint32_t packets_max) noexcept;
  /// Null when the region is full.
  static std::unique_ptr<HoldTable> create(Region& region, PacketPool& pool, const Config& config);

  Hold* find(SessionIndex session, Direction direction) noexcept;
  /// Starts an episode; the flow must have none. Null when as many flows hold as packets may.
  Hold* open(SessionIndex session, Direction direction, Nanoseconds now) noexcept;
  /// Ends an episode; the Hold must be empty and its timer off.
  void close(Hold& hold) noexcept;
  bool is_full() const noexcept { return count_ >= config_.packets_max; }
  bool has_room(unsigned packets) const noexcept { return count_ + packets <= config_.packets_max; }
  /// Moves an episode to another worker's table, which must have room; its timer must be off, and
  /// it must not drain. Of the threads that own them, or while these stand still.
  Hold& give(Hold& hold, HoldTable& to) noexcept;

  /// Puts a packet that came at `now` behind the others.
  void append(Hold& hold, Packet* packet, Nanoseconds now) noexcept;
  /// Puts back a packet that pop() gave, and that the new rules hold too.
  void keep(Hold& hold, Packet* packet) noexcept { put(hold, hold.kept, packet); }
  /// The oldest of `waiting`, which belongs to the caller; null when there is none.
  Packet* pop(Hold& hold) noexcept;
  Packet* oldest(const Hold& hold) noexcept { return at(hold.waiting.head); }
  /// Nanoseconds until the oldest expires; 0: now. `waiting` must not be empty.
  Nanoseconds until_expiry(const Hold& hold, Nanoseconds now) noexcept;

  /// Makes the flow's packets be looked at again, all of them, oldest first.
  void drain(Hold& hold) noexcept;
  /// What was kept is held again, as if nothing had happened.
  void finish_drain(Hold& hold) noexcept;
  /// The flow whose turn it is, which stands behind all others then; null when none drains.
  Hold* next_draining() noexcept;
  bool draining() const noexcept { return draining_.head != 0; }
  /// Gives up all that a flow holds: pop_doomed() has them then.
  void doom(Hold& hold) noexcept;
  Packet* pop_doomed() noexcept;
  /// Nothing is to be looked at again or given up, and no spare is still to come back.
  bool idle() const noexcept { return draining_.head == 0 && doomed_.head == 0 && lent_ <= count_; }

  /// Moves spares so that the pool has as many chunks for traffic as ever.
  void settle(PoolCache& pool) noexcept;
  bool owns(const TimerNode& node) const noexcept {
    const auto* hold = reinterpret_cast<const Hold*>(&node);
    return hold >= holds_ && hold < holds_ + config_.packets_max;
  }
  template <typename F>
  void for_each(F&& f) noexcept {
    for (std::uint32_t i = 0; i < used_; ++i) {
      if (holds_[i].in_use) f(holds_[i]);
    }
  }
  /// Threads: any.
  unsigned count() const noexcept { return count_; }

 private:
  HoldTable() = default;
  std::uint32_t slot_of(SessionIndex session, Direction direction) const noexcept;
  std::uint32_t index_of(const Hold& hold) const noexcept {
    return static_cast<std::uint32_t>(&hold - holds_) + 1;
  }
  Packet* at(PacketHandle handle) noexcept {
    return handle == 0 ? nullptr
                       : reinterpret_cast<Packet*>(base_ + std::size_t{handle} * kCacheLine);
  }
  void enter_row(Hold& hold) noexcept;
  void leave_row(Hold& hold) noexcept;
  void put(Hold& hold, HeldList& list, Packet* packet) noexcept;
  void splice(HeldList& to, HeldList& from) noexcept;
  Packet* take_first(HeldList& list) noexcept;

  Config config_;
  std::byte* base_ = nullptr;
  Hold* holds_ = nullptr;
  std::uint32_t* chains_ = nullptr;
  std::uint32_t chain_mask_ = 0;
  std::uint32_t free_ = 0;  ///< + 1
  std::uint32_t used_ = 0;  ///< entries that were ever used
  HeldList draining_;       ///< of Holds, + 1, by next_draining
  HeldList doomed_;
  Figure<unsigned> count_;
  std::vector<Packet*> spares_;
  std::uint32_t lent_ = 0;
};

}  // namespace sluice
