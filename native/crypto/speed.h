// How long the algorithms take, for `sluice crypto speed`: operations in a row on one thread, with
// keys prepared before and a new IV each time.
#pragma once
#include <cstddef>
#include <span>
#include <string_view>

#include "base/types.h"
#include "crypto/tier.h"

namespace sluice::crypto {

/// Names of what can be timed: "sm4-ecb", "sm4-cbc-encrypt"… Those that end in "-batch16" do 16
/// messages at once, each with a key of its own where there are keys.
std::span<const std::string_view> speed_modes() noexcept;
/// Messages that one operation of a mode does; 0: there is no such mode.
unsigned speed_messages(std::string_view mode) noexcept;

/// The time that operations of a mode take. Threads: any; it computes and allocates.
/// @param mode    one of speed_modes()
/// @param tier    one that this processor runs
/// @param bytes   of each message; modes of whole blocks leave out the rest
Nanoseconds time_operations(std::string_view mode, Tier tier, std::size_t bytes,
                            std::size_t operations);

}  // namespace sluice::crypto
