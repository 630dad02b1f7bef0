// Heartbeat Requests that need no thought: recognised and answered from their octets. Pure.
// Source: TS 29.244 clauses 7.2.2 (header) and 7.4.2 (Heartbeat Request and Response).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "datagram/datagram.h"
#include "wire/bytes.h"

namespace sluice::datagram {

inline constexpr std::uint8_t kHeartbeatRequestType = 1, kHeartbeatResponseType = 2;
inline constexpr std::size_t kHeartbeatResponseBytes = 16;
using HeartbeatResponse = std::array<std::byte, kHeartbeatResponseBytes>;

/// Whether this is a Heartbeat Request with its Recovery Time Stamp, in one piece and of
/// version 1; what is anything else is for the control thread to judge.
inline bool is_heartbeat_request(const std::byte* bytes, std::size_t length) noexcept {
  constexpr std::uint16_t kRecoveryTimeStamp = 96;
  // Version 1 without a SEID; other bits of the first octet say nothing to a receiver.
  constexpr auto kMask = std::byte{0xe1}, kPlain = std::byte{0x20};
  if (length < 16 || (bytes[0] & kMask) != kPlain || bytes[1] != std::byte{kHeartbeatRequestType})
    return false;
  if (wire::load16(bytes + 2) != length - 4) return false;
  return wire::load16(bytes + 8) == kRecoveryTimeStamp && wire::load16(bytes + 10) == 4;
}

/// The answer, with the sequence number of `request` and our Recovery Time Stamp (NTP seconds).
inline void write_heartbeat_response(const std::byte* request, std::uint32_t recovery_time_stamp,
                                     HeartbeatResponse& out) noexcept {
  out = {std::byte{0x20}, std::byte{kHeartbeatResponseType},
         std::byte{0},    std::byte{12},
         request[4],      request[5],
         request[6],      std::byte{0},
         std::byte{0},    std::byte{96},
         std::byte{0},    std::byte{4}};
  wire::store32(out.data() + 12, recovery_time_stamp);
}

}  // namespace sluice::datagram
