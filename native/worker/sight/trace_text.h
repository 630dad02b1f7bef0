// What a trace says to people: one sentence a decision, with the figures. Control thread; the
// rules are those that the packet met, which traces.cc makes sure of.
#pragma once
#include <string>
#include <vector>

#include "worker/sight/traces.h"

namespace sluice {

struct TraceWorld {
  Sessions& sessions;
  const NetworkMap& network;
  const std::vector<std::string>& port_names;
};

/// @param parts  one a worker that the packet came to, in order; at least one.
TraceResult trace_text(const std::vector<const TraceErrand*>& parts, const TraceWorld& world);

}  // namespace sluice
