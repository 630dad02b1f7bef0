// Flows that a worker has lent to a program in the kernel, which forwards their packets where the
// driver received them: an array of entries in memory that both share, found by a hash of the key.
// An entry is a flow's place for as long as its worker says so; the flow is lent while kLent is set
// in its word. Then its tokens and its credit are here and nowhere else, and whoever wants to
// change them claims them: the program by a compare-and-exchange for the length of a packet, the
// worker by taking kLent away. What the program does not forward it hands to the worker, takes
// kLent away, and counts: such a packet brings the count with it (HandedTag), so that the worker
// knows when nothing of the flow is on its way to it any more, and may lend it again.
// What was spent of the credit is in the entry alone until the flow is taken back, and then in its
// line: told by is_out, so that there is one truth at any moment, also when the process ends there
// and another one reads what it has left (LentUsage).
// Threads: an entry is written by the worker of its session, but for its first line, which is the
// program's while the flow is lent.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/types.h"

namespace sluice {

/// Layout shared with the programs (forward_program.cc). Addresses and keys are as they lie in a
/// packet.
struct alignas(kCacheLine) LentFlow {
  static constexpr unsigned kLent = 1, kClaimed = 2;
  /// The rest of the word counts packets that were handed to the worker.
  static constexpr unsigned kHandedShift = 2;

  struct Range {
    std::uint32_t prefix, mask;
    bool contains(std::uint32_t address) const noexcept { return (address & mask) == prefix; }
  };
  static constexpr Range kNowhere{~std::uint32_t{0}, 0};

  // What packets change.
  std::uint64_t word;
  std::uint64_t tokens[2];    ///< µbit
  std::uint64_t refilled_at;  ///< by the kernel's monotonic clock
  std::int64_t credit;        ///< bytes
  std::uint64_t packets, bytes, dropped;
  // What they go by.
  std::uint32_t key;    ///< TEID or UE address, 0: nobody's
  std::uint32_t local;  ///< uplink: the address that the tunnel ends at
  std::uint32_t ue;     ///< uplink: what packets come from
  std::uint32_t interface;
  std::uint64_t depth[2];  ///< µbit
  std::uint32_t rate_kbps[2];
  std::uint32_t byte_cost[2];  ///< µbit that a byte pays, 0: the bucket is not asked
  std::uint32_t bytes_max;     ///< of the UE's packet
  std::uint16_t qfi;           ///< uplink: that packets must have, kAnyQfi: none in particular
  std::uint16_t polices;       ///< either bucket is asked
  /// What a frame begins with: the link header, downlink also the outer header but for lengths,
  /// checksum and source port.
  std::uint8_t header[58];
  // The worker's own.
  std::uint8_t is_out;  ///< what the first line has is not in the flow's own yet
  std::uint8_t in_port, out_port;
  std::uint8_t counts;  ///< credit is the flow's usage_left
  std::uint8_t is_due;  ///< to be lent, once what is before it has left
  std::uint8_t direction;
  std::uint32_t checksum_seed;  ///< downlink: of the outer header
  std::uint32_t holder;         ///< the worker's: 1 + session that has the place, 0: free
  // The worker's own, too.
  std::uint64_t told_bytes;                  ///< counted by the ports already
  std::uint32_t told_packets, told_dropped;  ///< likewise, modulo 2³²
  std::int32_t line_left;                    ///< the line's usage_left when it was lent
  std::uint32_t line_packets;                ///< its usage_packets then
  std::uint32_t idle;                        ///< looks at it since it was last seen in use
  std::uint32_t position;                    ///< in the worker's list
  union {
    std::uint16_t source_ports[16];  ///< downlink, by class of flow, in network order
    Range reach[3];  ///< uplink: destinations behind that link header, but for two ranges of them
  };

  static constexpr std::uint16_t kAnyQfi = 0xff;

  std::atomic_ref<std::uint64_t> shared_word() noexcept { return std::atomic_ref(word); }
  bool is_lent() noexcept { return (shared_word().load(std::memory_order_relaxed) & kLent) != 0; }
  /// The program does not touch the first line any more, but for the count of packets.
  void end_lending() noexcept;
  // What the line is to have once the flow is not lent any more, however often it is asked for.
  std::int32_t usage_left() const noexcept { return line_left - static_cast<std::int32_t>(bytes); }
  std::uint32_t usage_packets() const noexcept {
    return line_packets + static_cast<std::uint32_t>(packets);
  }
};
static_assert(sizeof(LentFlow) == 4 * kCacheLine);
static_assert(offsetof(LentFlow, key) == kCacheLine);
static_assert(offsetof(LentFlow, header) % 8 == 0);

/// What the line of a flow lacks that was lent when its process ended.
struct LentUsage {
  std::uint32_t session;
  std::uint8_t direction;
  std::int32_t usage_left;
  std::uint32_t usage_packets;
};

/// Before a frame that was handed to the worker.
struct HandedTag {
  std::uint32_t mark;   ///< the table's secret, and the flow's key
  std::uint32_t count;  ///< packets of the flow handed over, this one included
};
static_assert(sizeof(HandedTag) == 8);

/// The entries of one port, wherever they lie.
struct LentTable {
  static constexpr unsigned kPlaceBits = 15;
  static constexpr std::uint32_t kPlaces = 1u << kPlaceBits;
  static constexpr std::uint32_t kHashFactor = 0x9e3779b1u;
  /// Behind the last place: a byte for each first octet of an address that wants a closer look.
  static constexpr std::uint32_t kLookPlace = kPlaces;
  static constexpr unsigned kLooks = 256;
  static_assert(kLooks <= sizeof(LentFlow));

  LentFlow* entries = nullptr;
  std::uint32_t secret = 0;  ///< of the marks of HandedTag

  /// The place of a key, whoever has it.
  LentFlow& at(std::uint32_t key) const noexcept {
    return entries[key * kHashFactor >> (32 - kPlaceBits)];
  }
  std::uint8_t* looks() const noexcept {
    return reinterpret_cast<std::uint8_t*>(entries + kLookPlace);
  }
};

}  // namespace sluice
