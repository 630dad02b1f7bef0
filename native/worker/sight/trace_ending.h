// How a trace ends for the packet that it is of. Pure; control thread.
#pragma once
#include <vector>

#include "worker/sight/traces.h"

namespace sluice {

/// What became of the packet itself, among all that came in: its turns through the pipeline lead
/// from hand-over to take-over and from one UE to the other; what else comes in again is an answer.
struct TraceEnding {
  DropReason verdict = DropReason::None;
  Fate fate = Fate::Held;

  void follow(const TraceErrand& part) {
    std::uint8_t pass = 0;
    bool itself = goes_on();
    for (const TraceNote& note : part.recorder.notes()) {
      if (note.pass != pass) itself = itself && goes_on();
      pass = note.pass;
      // What leaves under a protection is the packet, a copy of it, or what is said about it.
      const bool seals = note.stage == Stage::Seal;
      if (!itself || (seals && (!left() || note.association.is_copy))) continue;
      verdict = note.verdict;
      fate = note.fate;
    }
  }
  bool goes_on() const {
    return verdict == DropReason::None ||
           (verdict == kTakenAway &&
            (fate == Fate::TurnedRound || fate == Fate::HandedOver || fate == Fate::Opened));
  }
  bool left() const {
    return verdict == DropReason::None || (verdict == kTakenAway && fate == Fate::InPieces);
  }
  /// Verdict and reason, once all parts have been followed and outputs are there.
  void tell(const std::vector<const TraceErrand*>& parts, TraceResult& result) const {
    for (const TraceErrand* part : parts) {
      for (std::size_t r = 1; r < kDropReasons; ++r) {
        const auto reason = static_cast<DropReason>(r);
        if (part->dropped[r] == 0) continue;
        // Copies and answers may have had other ends; the packet's own comes first.
        if (result.drop_reason.empty() || reason == verdict) {
          result.drop_reason = drop_reason_label(reason);
        }
      }
    }
    const bool out = !result.outputs.empty(), dropped = !result.drop_reason.empty();
    result.verdict = out && left() ? "forwarded" : out ? "answered" : dropped ? "dropped" : "held";
    if (result.verdict == "forwarded") result.drop_reason.clear();
  }
};

}  // namespace sluice
