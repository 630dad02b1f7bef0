// Usage of a session, exact to the packet and cheap for it: each kind of packet (a "usage
// set": the URRs that a PDR names, in one direction) spends a credit of bytes, and only
// when the credit is gone are the URRs looked at. A credit never reaches past the next
// threshold or quota of any URR in its set, also when several sets share that URR; it is 0
// while a URR waits for its first packet. What is due at a time is found by the session's timer.
// Owner: the session's worker; made by the control thread before it is handed over.
#pragma once
#include <cstdint>

#include "base/timer_wheel.h"
#include "session/flow.h"
#include "session/policer.h"
#include "session/usage/event.h"
#include "session/usage/urr_clock.h"
#include "session/usage/urr_watch.h"

namespace sluice {

inline constexpr unsigned kUrrsMax = 64;
inline constexpr std::uint64_t kUnlimited = ~0ull;
enum Volume : unsigned { kTotal = 0, kUplink = 1, kDownlink = 2 };

/// One URR; counters are since the last report.
struct UrrState {
  std::uint32_t id;
  std::uint32_t sequence;
  std::uint16_t flags;  ///< kUrr…
  std::uint8_t clock;   ///< position + 1 of its UrrClock, 0: none
  std::uint8_t reserved;
  std::uint8_t quota_far[kDirections];  ///< position + 1 of the quota FAR, 0: drop
  std::uint16_t watch;       ///< offset ÷ 8 + 1 of its UrrWatch behind all others, 0: none
  std::uint32_t pending;     ///< triggers of a report that the event ring had no room for
  std::uint32_t definition;  ///< of what the control plane asked for; see urr_definition()
  std::uint64_t bytes[kDirections];
  std::uint64_t packets[kDirections];
  std::uint64_t threshold[3];   ///< by Volume; kUnlimited: none
  std::uint64_t quota_left[3];  ///< by Volume; kUnlimited: none
  Nanoseconds since;            ///< monotonic time of the last report, or of creation
};
static_assert(sizeof(UrrState) == 112);
// Rules:
inline constexpr std::uint16_t kUrrVolume = 1, kUrrDuration = 2, kUrrReportStart = 4,
                               kUrrReportStop = 8, kUrrReportEnvelope = 256,
                               kUrrReportEndMarker = 512, kUrrInstantStart = 1024,
                               kUrrPaused = 2048;
inline constexpr std::uint32_t kUrrRules = kUrrVolume | kUrrDuration | kUrrReportStart |
                                           kUrrReportStop | kUrrReportEnvelope |
                                           kUrrReportEndMarker | kUrrInstantStart | kUrrPaused;
// State:
inline constexpr std::uint16_t kUrrVolumeExhausted = 16, kUrrTimeExhausted = 32;
inline constexpr std::uint16_t kUrrTraffic = 64;  ///< a packet came, and no inactivity since
inline constexpr std::uint16_t kUrrQuiet = 128;   ///< the inactivity was told
inline constexpr std::uint16_t kUrrHeld = 4096;   ///< the end of the quota holding time, too
inline constexpr std::uint16_t kUrrExhausted = kUrrVolumeExhausted | kUrrTimeExhausted;
/// In UrrState::pending: an Inactivity event.
inline constexpr std::uint32_t kPendingInactivity = 1u << 31;

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
  std::uint8_t clock_count;
  std::uint8_t link_count;  ///< urr_count, or 0: no URR is linked to another
  std::uint8_t reserved;
  // Then UsageSet sets[uplink…, downlink…]; UrrState urrs[]; UrrClock clocks[];
  // uint64_t links[]; Bucket buckets[uplink…, downlink…]; UrrWatches, up to `bytes`.
  UsageSet* sets(Direction d) noexcept {
    return reinterpret_cast<UsageSet*>(this + 1) + (d == Direction::Uplink ? 0 : set_count[0]);
  }
  UrrState* urrs() noexcept {
    return reinterpret_cast<UrrState*>(reinterpret_cast<UsageSet*>(this + 1) + set_count[0] +
                                       set_count[1]);
  }
  UrrClock* clocks() noexcept { return reinterpret_cast<UrrClock*>(urrs() + urr_count); }
  UrrClock* clock(const UrrState& urr) noexcept {
    return urr.clock == 0 ? nullptr : clocks() + urr.clock - 1;
  }
  /// Entry n: the URRs that report whenever URR n does.
  std::uint64_t* links() noexcept {
    return reinterpret_cast<std::uint64_t*>(clocks() + clock_count);
  }
  Bucket* buckets(Direction d) noexcept {
    return reinterpret_cast<Bucket*>(links() + link_count) +
           (d == Direction::Uplink ? 0 : bucket_count[0]);
  }
  UrrWatch* watch(const UrrState& urr) noexcept {
    if (urr.watch == 0) return nullptr;
    return reinterpret_cast<UrrWatch*>(reinterpret_cast<std::byte*>(this) + size() +
                                       (urr.watch - 1u) * 8);
  }
  /// Of an account with these counts, without watches; they are what its places follow from.
  std::uint32_t size() const noexcept {
    return static_cast<std::uint32_t>(
        sizeof(Account) + (set_count[0] + set_count[1]) * sizeof(UsageSet) +
        urr_count * sizeof(UrrState) + clock_count * sizeof(UrrClock) +
        link_count * sizeof(std::uint64_t) + (bucket_count[0] + bucket_count[1]) * sizeof(Bucket));
  }
};
static_assert(sizeof(Account) == 32);
/// A session whose account would be larger is refused.
inline constexpr std::size_t kAccountBytesMax = 32768;

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

/// Moves what was spent into the URRs; credits are zero afterwards.
void usage_fold(SessionView& session) noexcept;
/// Hands out new credits up to the next threshold or quota.
void usage_grant(SessionView& session) noexcept;
/// Whether a report would say anything: packets, measured time, what was set aside or is overdue.
bool usage_is_any(SessionView& session, UrrState& urr, Nanoseconds now) noexcept;
/// Sends the report of one URR, in two parts when a monitoring time has passed, and starts its
/// next window. False: kept for later.
bool usage_report(SessionView& session, UrrState& urr, std::uint32_t triggers, std::uint32_t ticket,
                  Nanoseconds now, EventSink& sink) noexcept;
/// URRs that are linked to those in `reported` (bit n: URR n) report too, each once.
void usage_report_linked(SessionView& session, std::uint64_t reported, std::uint32_t ticket,
                         Nanoseconds now, EventSink& sink) noexcept;

/// What becomes of a packet whose credit was used up.
struct Spent {
  bool passes;       ///< false: a quota does not cover it; it is dropped, and not counted
  std::uint8_t far;  ///< position + 1 of the quota FAR that it takes, 0: its PDR's FAR
};
/// Counts one packet whose credit is used up (already subtracted from it).
Spent usage_count_slow(SessionView& session, Direction direction, unsigned set, std::uint32_t bytes,
                       Nanoseconds now, EventSink& sink) noexcept;
/// URRs (bit n: URR n) that count downlink packets that are discarded count this one.
void usage_count_dropped(SessionView& session, std::uint64_t urrs, std::uint32_t bytes,
                         Nanoseconds now, EventSink& sink) noexcept;
/// An End Marker came in for PDRs of these URRs.
void usage_end_marker(SessionView& session, std::uint64_t urrs, Nanoseconds now,
                      EventSink& sink) noexcept;

/// Offers again what is pending. False when the ring is still full.
bool usage_retry(SessionView& session, Nanoseconds now, EventSink& sink) noexcept;

/// Does what is due by `now`: periods, time thresholds and quotas, inactivity, monitoring times.
/// @return when something is due next, or kNever.
Nanoseconds usage_due(SessionView& session, Nanoseconds now, EventSink& sink) noexcept;
/// The same, and sets the session's timer to what comes next, if anything does. Also when a
/// change of rules may have brought an earlier deadline.
void session_timer(SessionView& session, Nanoseconds now, EventSink& sink) noexcept;
/// Has the timer fire when something is due before it would; too early does no harm.
void hasten_timer(Account& account, Nanoseconds now, EventSink& sink) noexcept;

/// Everything was reported: the thresholds of the next window are whole again.
void usage_start_window(UrrState& urr, UrrClock* clock, UrrWatch& watch) noexcept;
/// Begins the watch of a URR. `is_new`: it has counted nothing, so monitoring times before now
/// have put its limits where they are, and there is nothing to be told about before them.
void usage_start_watch(UrrState& urr, UrrClock* clock, UrrWatch& watch, bool is_new,
                       Nanoseconds now, std::uint64_t realtime_offset) noexcept;

}  // namespace sluice
