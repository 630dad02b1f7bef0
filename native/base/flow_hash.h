// Spreads flows over source ports: the same flow has the same class, whoever reckons it. Plain
// arithmetic, because a program in the kernel does it, too. Pure; any thread.
#pragma once
#include <cstdint>

namespace sluice {

inline constexpr std::uint64_t kFlowFactor = 0x9e3779b97f4a7c15;
inline constexpr unsigned kFlowClasses = 16;
inline constexpr unsigned kFlowShift = 60;
static_assert(kFlowClasses == 1u << (64 - kFlowShift));
/// What stands for the QFI of a packet that has none.
inline constexpr std::uint16_t kNoQfiLane = 64;

/// @param addresses  remote and local address, of each the higher half first, in lanes of 16 bits
///                   from the lowest on.
/// @param rest       likewise protocol, remote port, local port, QFI.
inline unsigned flow_class(std::uint64_t addresses, std::uint64_t rest) noexcept {
  return static_cast<unsigned>((addresses ^ rest) * kFlowFactor >> kFlowShift);
}

}  // namespace sluice
