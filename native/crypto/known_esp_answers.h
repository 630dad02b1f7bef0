// ESP's part of the self test: known_answers.h.
#pragma once
#include <vector>

#include "crypto/known_answers.h"

namespace sluice::crypto {

/// Adds, for each suite of ESP in a tier that this processor runs, whether a packet of another
/// implementation opens, and whether an association gives no initialization vector twice. Threads:
/// any.
void add_esp_answers(Tier tier, std::vector<KnownAnswer>& answers);

}  // namespace sluice::crypto
