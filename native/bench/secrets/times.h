// Times of the cryptography for two classes of secrets, for the tiers that valgrind can't run.
#pragma once

namespace sluice::bench {

/// Says of each of those tiers how far the times of its operations tell two classes of secrets
/// apart, or that the processor can't run it. A few seconds.
/// @param leak  time an operation instead into which a leak is planted
/// @return 0: no time depends on secrets, or that of the leak does in each tier
int check_times(bool leak);

}  // namespace sluice::bench
