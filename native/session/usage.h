// Usage of a session, exact to the packet and cheap for it: each kind of packet (a "usage
// set": the URRs that a PDR names, in one direction) spends a credit of bytes, and only
// when the credit is gone are the URRs looked at. A credit never reaches past the next
// threshold or quota of any URR in its set, also when several sets share that URR.
// Owner: the session's worker; made by the control thread before it is handed over.
#pragma once
#include <cstdint>

#include "base/timer_wheel.h"
#include "session/event.h"
#include "session/flow.h"
#include "session/policer.h"

namespace sluice {

inline constexpr unsigned kUrrsMax = 64;
inline constexpr std::uint64_t kUnlimited = ~0ull;
enum Volume : unsigned { kTotal = 0, kUplink = 1, kDownlink = 2 };

/// One URR; counters are since the last report.
struct UrrState {
  std::uint32_t id;
  std::uint32_t sequence;
  std::uint32_t flags;       ///< kUrr…
  std::uint32_t pending;     ///< triggers of a report that the event ring had no room for
  std::uint32_t definition;  ///< of what the control plane asked for; see urr_definition()
  std::uint32_t reserved;
  std::uint64_t bytes[kDirections];
  std::uint64_t packets[kDirections];
  std::uint64_t threshold[3];   ///< by Volume; kUnlimited: none
  std::uint64_t quota_left[3];  ///< by Volume; kUnlimited: none
  Nanoseconds since;            ///< monotonic time of the last report, or of creation
};
inline constexpr std::uint32_t kUrrExhausted = 1;

/// One kind of packet: which URRs count it, and the credit it spends.
struct UsageSet {
  std::uint64_t urrs;  ///< bit n: URR n
  std::int32_t granted;
  std::int32_t left;  ///< set 1 of a direction spends FlowState::usage_left instead
  std::uint32_t packets;
  std::uint32_t reserved;
};

/// A session's mutable state beyond its two FlowStates.
struct Account {
  TimerNode timer;  ///< the session's one timer: set to whatever is due first
  std::uint32_t bytes;
  SessionIndex session;
  std::uint8_t urr_count;
  std::uint8_t set_count[kDirections];
  std::uint8_t bucket_count[kDirections];  ///< beyond the hot ones
  std::uint8_t reserved[3];
  // Then UsageSet sets[uplink…, downlink…]; UrrState urrs[]; Bucket buckets[uplink…, downlink…].
  UsageSet* sets(Direction d) noexcept {
    return reinterpret_cast<UsageSet*>(this + 1) + (d == Direction::Uplink ? 0 : set_count[0]);
  }
  UrrState* urrs() noexcept {
    return reinterpret_cast<UrrState*>(reinterpret_cast<UsageSet*>(this + 1) + set_count[0] +
                                       set_count[1]);
  }
  Bucket* buckets(Direction d) noexcept {
    return reinterpret_cast<Bucket*>(urrs() + urr_count) +
           (d == Direction::Uplink ? 0 : bucket_count[0]);
  }
  static std::uint32_t size(unsigned sets, unsigned urrs, unsigned buckets) noexcept {
    return static_cast<std::uint32_t>(sizeof(Account) + sets * sizeof(UsageSet) +
                                      urrs * sizeof(UrrState) + buckets * sizeof(Bucket));
  }
};
static_assert(sizeof(Account) == 32);

/// A session as its worker sees it.
struct SessionView {
  SessionIndex index;
  Flow* flows[kDirections];
  Account* account;  ///< null when the session has neither URRs nor further buckets
};

/// Where reports go: the worker's event ring.
class EventSink {
 public:
  virtual ~EventSink() = default;
  /// False when the ring is full; the caller keeps the report and offers it again.
  virtual bool push(const Event& event) noexcept = 0;
  /// Remembers that this session has a report to offer again.
  virtual void remember(SessionView& session) noexcept = 0;
  /// To turn monotonic time into time since 1970.
  virtual std::uint64_t realtime_offset() const noexcept = 0;
  /// Makes session_timer() be called for the account of this timer at `deadline`, and not
  /// at any time set before.
  virtual void schedule(TimerNode& timer, Nanoseconds deadline) noexcept = 0;
  virtual void cancel(TimerNode& timer) noexcept = 0;
  /// See UsageStep.
  virtual void begin_step(const SessionView&) noexcept {}
  virtual void end_step() noexcept {}
};

/// While it lives, what happens to the usage of a session is one step for whoever reads the
/// region after a crash: all of it happened, or nothing did and no report of it was seen.
/// Everything that changes an Account opens one; an inner one belongs to the outer.
class UsageStep {
 public:
  UsageStep(const SessionView& session, EventSink& sink) noexcept : sink_(sink) {
    sink.begin_step(session);
  }
  ~UsageStep() { sink_.end_step(); }
  UsageStep(const UsageStep&) = delete;
  UsageStep& operator=(const UsageStep&) = delete;

 private:
  EventSink& sink_;
};

/// Tells a URR from one of the same ID that asks for something else. `urr`: its record words.
std::uint32_t urr_definition(const std::uint32_t* urr) noexcept;

/// Moves what was spent into the URRs; credits are zero afterwards.
void usage_fold(SessionView& session) noexcept;
/// Hands out new credits up to the next threshold or quota.
void usage_grant(SessionView& session) noexcept;
/// Sends the report of one URR and starts its next period. False: kept for later.
bool usage_report(SessionView& session, UrrState& urr, std::uint32_t triggers, std::uint32_t ticket,
                  Nanoseconds now, EventSink& sink) noexcept;
/// Counts one packet whose credit is used up (already subtracted from it).
/// @return false when a quota does not cover the packet: it must be dropped, and is not counted.
bool usage_count_slow(SessionView& session, Direction direction, unsigned set, std::uint32_t bytes,
                      Nanoseconds now, EventSink& sink) noexcept;
/// Offers again what is pending. False when the ring is still full.
bool usage_retry(SessionView& session, Nanoseconds now, EventSink& sink) noexcept;

}  // namespace sluice
