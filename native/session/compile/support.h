// What records may say and this packet path doesn't do yet. Refusing it by name is the
// honest answer: nothing is accepted that is not enforced.
#pragma once
#include "session/compile/compiler.h"

namespace sluice {

/// The values of UnsupportedFeature in src/datapath/datapath.ts; detail = feature << 16 | index.
enum class Unsupported : std::uint32_t {
  MeasureBeforePolicing = 5,
  TimeThreshold = 6,
  TimeQuota = 7,
  Period = 8,
  Inactivity = 9,
  LinkedUrrs = 10,
  QuotaFar = 11,
};

/// Ok, or PrepareStatus::Unsupported with the first such feature.
PrepareError check_support(const RecordReader& record) noexcept;

}  // namespace sluice
