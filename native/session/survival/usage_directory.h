// Where in a region the usage of its sessions lies, and what a worker is changing there: all
// that a later process needs to read what this one counted, however it ended. Written by the
// control thread at start; a journal by its worker alone.
#pragma once
#include <atomic>
#include <cstddef>

#include "memory/lent_flow.h"
#include "memory/ring.h"
#include "session/usage/usage.h"

namespace sluice {

/// The state before the step of a session's usage that is under way. A step changes many
/// words: usage folded, reports pushed, counters cleared, credits granted. A process that dies
/// inside one is read as if the step had not begun: its events are hidden from the control
/// thread until the step is done, so nobody can know of it yet.
struct alignas(kCacheLine) UsageJournal {
  static constexpr std::uint64_t kClosed = ~0ull;
  /// Position in the event ring at which the events of the open step begin, or kClosed.
  std::atomic<std::uint64_t> open_from{kClosed};
  SessionIndex session = kNoSession;
  std::uint32_t incarnation = 0;
  std::uint32_t account_bytes = 0;  ///< 0: the session had none
  std::int32_t usage_left[kDirections] = {};
  std::uint32_t usage_packets[kDirections] = {};
  alignas(8) std::byte account[kAccountBytesMax];

  /// @param events  position of the next event.
  void open(const SessionView& before, std::uint64_t events) noexcept;
  void close() noexcept { open_from.store(kClosed, std::memory_order_release); }
  /// How far the control thread may take events, of those up to `produced`, which it has read
  /// before: a step that is open now began at or before any event that it has not closed over.
  std::uint64_t visible(std::uint64_t produced) const noexcept {
    // Acquire: pairs with the release in open() and close().
    const std::uint64_t from = open_from.load(std::memory_order_acquire);
    return from < produced ? from : produced;
  }
};

inline constexpr unsigned kUsageWorkersMax = 64;

/// The section RegionSection::Usage.
struct UsageDirectory {
  std::uint64_t layout;  ///< usage_layout() of the program that wrote it
  std::uint32_t slots_per_bucket;
  std::uint32_t workers;
  std::uint32_t run;  ///< tells the events of two runs apart; never 0
  std::uint32_t reserved;
  std::uint64_t started;             ///< ns since 1970
  std::uint64_t flows[kDirections];  ///< offsets of the arrays of Flow
  struct Worker {
    std::uint64_t events;   ///< offset of its SpscRing<Event>
    std::uint64_t journal;  ///< offset of its UsageJournal
  } worker[kUsageWorkersMax];
};

/// Tells layouts of the structures apart that are read from a region of an earlier run.
constexpr std::uint64_t usage_layout() noexcept {
  constexpr std::size_t kParts[] = {3,  // to be raised when a member changes its meaning only
                                    sizeof(Flow),
                                    offsetof(FlowState, usage_left),
                                    offsetof(FlowState, flags),
                                    offsetof(FlowState, account),
                                    offsetof(FlowRules, incarnation),
                                    sizeof(Account),
                                    offsetof(Account, urr_count),
                                    sizeof(UsageSet),
                                    offsetof(UsageSet, granted),
                                    sizeof(UrrState),
                                    offsetof(UrrState, bytes),
                                    offsetof(UrrState, quota_left),
                                    offsetof(UrrState, since),
                                    offsetof(Account, clock_count),
                                    sizeof(UrrWatch),
                                    sizeof(Monitor),
                                    sizeof(UrrClock),
                                    offsetof(UrrClock, quota_left),
                                    sizeof(Bucket),
                                    sizeof(Event),
                                    offsetof(Event, bytes),
                                    sizeof(SpscRing<Event>),
                                    sizeof(UsageJournal),
                                    offsetof(LentFlow, holder),
                                    offsetof(LentFlow, line_left)};
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::size_t part : kParts) hash = (hash ^ part) * 0x100000001b3;
  return hash;
}

}  // namespace sluice
