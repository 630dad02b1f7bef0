// What a trace sees: after each stage, what the burst says of its packets; and the state of the
// sessions that they belong to, kept before a rule can change it and put back at the end.
// Everything is allocated by the control thread before; the worker fills it in between two
// bursts, and the control thread reads it afterwards.
#pragma once
#include <memory>
#include <vector>

#include "pipeline/burst.h"
#include "pipeline/observe/association_note.h"
#include "pipeline/observe/observer.h"
#include "session/sessions.h"

namespace sluice {

inline constexpr unsigned kTraceNotesMax = 128;
inline constexpr unsigned kTraceSessionsMax = 4;
inline constexpr std::size_t kTraceAccountMax = 64 * 1024;

/// One packet behind one stage. Which fields count is a matter of the stages before.
struct TraceNote {
  Stage stage;
  bool is_access;
  std::uint8_t port;
  std::uint8_t pass;  ///< 0: as it was received, then one more each time that it enters again
  std::uint8_t flags;
  std::uint8_t local;
  std::uint8_t qfi;
  DropReason verdict;
  Fate fate;  ///< with kTakenAway
  Direction direction;
  std::uint16_t length;
  std::uint16_t inner_length;
  std::uint32_t key;
  SessionIndex session;
  Operand operand;
  PdrEntry pdr;
  FarEntry far;
  ArenaRef filter_set;
  FlowState state;
  FlowRules rules;
  std::byte inner[64];          ///< first bytes of the UE's packet
  AssociationNote association;  ///< of Open and Seal, of which nothing else counts
};

/// A session's mutable state, as it was and as the packet left it.
struct TracedSession {
  SessionIndex session = kNoSession;
  Flow before[kDirections];
  Flow after[kDirections];
  std::unique_ptr<std::byte[]> account_before, account_after;  ///< an Account, when it has one
  bool has_account = false;
};

class TraceRecorder final : public BurstObserver {
 public:
  TraceRecorder();
  /// @param sessions  whose state is kept.
  void bind(Sessions& sessions) noexcept { sessions_ = &sessions; }

  // ---- the worker ----
  void after(Stage stage, Burst& burst) noexcept override;
  void decided(Stage stage, const Burst& burst, unsigned i, const Hit& hit,
               DropReason verdict) noexcept override;
  void at_association(const AssociationNote& note) noexcept override;
  void sending(std::uint8_t, Packet* const*, unsigned, Nanoseconds) noexcept override {}
  void sent(unsigned) noexcept override {}
  void lost(Packet* const*, unsigned, DropReason, Nanoseconds) noexcept override {}
  /// Puts everything back as it was.
  void restore() noexcept;

  // ---- control thread, afterwards ----
  std::span<const TraceNote> notes() const noexcept { return {notes_.data(), count_}; }
  const TracedSession* session(SessionIndex index) const noexcept;
  std::span<const TracedSession> sessions() const noexcept { return sessions_kept_; }

 private:
  bool keep(SessionIndex session) noexcept;
  TraceNote* note(Stage stage, const Burst& burst, unsigned i, DropReason verdict) noexcept;

  Sessions* sessions_ = nullptr;
  std::vector<TraceNote> notes_;
  unsigned count_ = 0;
  std::array<TracedSession, kTraceSessionsMax> sessions_kept_;
  std::uint8_t pass_ = 0;
  bool begun_ = false;
  DropReason before_[kBurstMax] = {};  ///< verdicts that the stage found
};

}  // namespace sluice
