// Outer packets that came in fragments, put together again within hard limits: so many at a
// time, so many fragments each, no more bytes than a chunk holds, and not for long. Fragments
// that overlap end the whole packet. Owner: one worker; fragments of one packet that come to
// different workers don't meet.
#pragma once
#include <memory>

#include "base/types.h"
#include "memory/packet_pool.h"

namespace sluice {

struct ReassemblyLimits {
  unsigned datagrams = 64;  ///< at a time; 0: fragments are dropped
  unsigned fragments = 16;  ///< of one packet
  Nanoseconds timeout = 1'000'000'000;
};

class Reassembler {
 public:
  /// Where the payload of a packet that is put together starts in its chunk: room for the
  /// headers before it.
  static constexpr unsigned kPayloadOffset = kAccessDataOffset + 40;
  static constexpr unsigned kBytesMax = kChunkBytes - kPayloadOffset;

  explicit Reassembler(const ReassemblyLimits& limits)
      : limits_(limits), slots_(limits.datagrams ? new Slot[limits.datagrams]() : nullptr) {}

  /// What became of a fragment.
  struct Outcome {
    DropReason reason;  ///< None: complete. Count: kept. Else: it and `ended` others are lost
    Packet* packet;     ///< complete: the whole packet, in the first fragment's chunk
    unsigned ended;     ///< fragments that waited and no longer do
    bool uses_chunk;    ///< kept, and so is its chunk: the whole grows in it
  };
  /// Takes a fragment of an IPv4 or IPv6 packet that carries UDP. But for `uses_chunk` the
  /// fragment's chunk stays with the caller, who gets `packet` beside: the whole, or what of it
  /// there was when it was lost.
  Outcome add(Packet* fragment, Nanoseconds now) noexcept;
  /// The chunk of a packet whose time is up, or null; `waited` fragments were in it. The caller
  /// frees it.
  Packet* expire(Nanoseconds now, unsigned& waited) noexcept;
  /// When expire() may have something; never, as long as nothing waits.
  Nanoseconds next_expiry() const noexcept { return next_expiry_; }

 private:
  static constexpr unsigned kUnits = (kBytesMax + 7) / 8;
  struct Key {
    std::uint8_t addresses[32];
    std::uint32_t identification;
    std::uint8_t port;
    bool is_v6;
    std::uint16_t reserved;
  };
  struct Slot {
    Packet* packet = nullptr;  ///< null: free
    Key key;
    Nanoseconds deadline;
    unsigned fragments;
    unsigned bytes;                           ///< that have come
    unsigned total;                           ///< of the payload; 0: the last fragment has not come
    unsigned reach;                           ///< end of the farthest fragment
    std::uint64_t units[(kUnits + 63) / 64];  ///< of 8 bytes each, that have come
  };
  /// A fragment's place in the whole.
  struct Place {
    Key key;
    unsigned at;      ///< of the payload in the fragment's data
    unsigned offset;  ///< in the whole payload
    unsigned bytes;
    bool more;
  };
  static bool place_of(const Packet& fragment, Place& out) noexcept;
  Slot* find(const Key& key, Slot*& free) noexcept;
  static bool claim(Slot& slot, const Place& place) noexcept;
  static void write_header(Slot& slot) noexcept;
  void update_expiry() noexcept;

  ReassemblyLimits limits_;
  std::unique_ptr<Slot[]> slots_;
  unsigned waiting_ = 0;  ///< slots in use
  Nanoseconds next_expiry_ = ~Nanoseconds{0};
};

}  // namespace sluice
