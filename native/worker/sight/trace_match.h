// Which PDRs a packet was compared with, and why the ones before the last do not fit: read from
// the very filter set that the packet path matched with. Control thread; pure.
#pragma once
#include <string>
#include <vector>

#include "pipeline/observe/trace_recorder.h"

namespace sluice {

struct PassedOver {
  std::uint32_t id;  ///< of the PDR
  std::string why;   ///< of its last filter
};

/// In the order in which they were asked.
std::vector<PassedOver> passed_over_by(const TraceNote& note, const Sessions& sessions);

/// " matched filter 3 'permit out …'" of the PDR that matched.
std::string matched_filter(const TraceNote& note, const RecordReader& session,
                           const std::uint32_t* pdr);

/// Why a packet is outside of a box: "protocol is 17, not 6"; empty when it is inside.
std::string outside(const Filter& box, const TraceNote& note);

}  // namespace sluice
