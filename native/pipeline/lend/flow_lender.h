// What the pipeline asks of whoever lends flows to a program in the kernel (memory/lent_flow.h).
// Threads: the worker that owns the pipeline.
#pragma once
#include "pipeline/burst.h"

namespace sluice {

class FlowLender {
 public:
  virtual ~FlowLender() = default;
  /// A packet of a flow with kFlowLent has come, and is about to be policed and accounted: the
  /// flow's line is whole again afterwards. Its refilled_at may be a moment later than the burst.
  virtual void meet(const Burst& burst, unsigned i) noexcept = 0;
  /// A burst is finished: one of its flows may be worth lending.
  virtual void consider(const Burst& burst) noexcept = 0;
};

}  // namespace sluice
