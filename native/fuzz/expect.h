// What a fuzz target demands of the code it feeds.
#pragma once

namespace sluice::fuzz {

/// Ends the run with a crash that libFuzzer reports and keeps the input of.
inline void expect(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace sluice::fuzz
