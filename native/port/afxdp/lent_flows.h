// The table of lent flows of one port (memory/lent_flow.h): a map of the kernel that this process
// has in its memory, so that neither lending nor taking back is a system call.
// Threads: the control thread.
#pragma once
#include <memory>
#include <string>

#include "base/types.h"
#include "memory/lent_flow.h"

namespace sluice {

class LentFlows {
 public:
  /// Error on field "forwardInDriver".
  /// @param pin  a name by which the map outlives the process, but not this object; empty: none.
  static Result<std::unique_ptr<LentFlows>> create(const std::string& pin = {});
  /// A map that another process has left; null: it is none of these, or of another layout.
  static std::unique_ptr<LentFlows> adopt(int map);
  ~LentFlows();
  LentFlows(const LentFlows&) = delete;
  LentFlows& operator=(const LentFlows&) = delete;

  const LentTable& table() const noexcept { return table_; }
  int map() const noexcept { return map_; }

 private:
  LentFlows() = default;
  bool share() noexcept;

  LentTable table_;
  std::string pin_;
  int map_ = -1;
};

}  // namespace sluice
