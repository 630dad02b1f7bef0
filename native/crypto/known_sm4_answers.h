// SM4's part of the self test: known_answers.h.
#pragma once
#include <vector>

#include "crypto/known_answers.h"

namespace sluice::crypto {

/// Adds what the modes of SM4 and its batches give in a tier that this processor runs. Threads:
/// any.
void add_sm4_answers(Tier tier, std::vector<KnownAnswer>& answers);

}  // namespace sluice::crypto
