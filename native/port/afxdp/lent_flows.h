// The table of lent flows of one port (memory/lent_flow.h): a map of the kernel that this process
// has in its memory, so that neither lending nor taking back is a system call.
// Threads: the control thread.
#pragma once
#include <memory>

#include "base/types.h"
#include "memory/lent_flow.h"

namespace sluice {

class LentFlows {
 public:
  /// Error on field "forwardInDriver".
  static Result<std::unique_ptr<LentFlows>> create();
  ~LentFlows();
  LentFlows(const LentFlows&) = delete;
  LentFlows& operator=(const LentFlows&) = delete;

  const LentTable& table() const noexcept { return table_; }
  int map() const noexcept { return map_; }

 private:
  LentFlows() = default;

  LentTable table_;
  int map_ = -1;
};

}  // namespace sluice
