// An outer packet that is a fragment: kept until the others are there, then parsed as a whole.
// What waits is inside the pipeline, and counts as held.
#include "pipeline/pipeline.h"

namespace sluice {

DropReason Pipeline::reassemble(Burst& burst, unsigned i) noexcept {
  Packet* fragment = burst.packets[i];
  const Reassembler::Outcome outcome = reassembler_.add(fragment, burst.now);
  if (outcome.reason == DropReason::Count) {
    if (!outcome.uses_chunk) pool_.free(&fragment, 1);
    ++inside_;
    return burst.take_away(i, Fate::Waits);
  }
  inside_ -= outcome.ended;
  if (outcome.reason != DropReason::None) {
    counters_.dropped[static_cast<unsigned>(outcome.reason)] += outcome.ended;
    Packet* lost = outcome.packet;
    if (lost != nullptr) pool_.free(&lost, 1);
    return outcome.reason;
  }
  counters_.dropped[static_cast<unsigned>(DropReason::Reassembled)] += outcome.ended;
  pool_.free(&fragment, 1);
  burst.packets[i] = outcome.packet;
  return parse_outer_slow(burst, i);
}

void Pipeline::expire_fragments(Nanoseconds now, DropReason reason) noexcept {
  unsigned waited = 0;
  while (Packet* packet = reassembler_.expire(now, waited)) {
    counters_.dropped[static_cast<unsigned>(reason)] += waited;
    pool_.free(&packet, 1);
    inside_ -= waited;
  }
}

}  // namespace sluice
