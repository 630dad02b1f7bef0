// The little of PFCP that a load needs: headers, and three elements of responses. Pure.
// Source: TS 29.244 clauses 7.2.2 (header), 8.2.1 (Cause), 8.2.37 (F-SEID).
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "wire/bytes.h"

namespace sluice::smf {

inline constexpr std::uint8_t kHeartbeatRequest = 1;
inline constexpr std::uint8_t kEstablishmentRequest = 50;
inline constexpr std::uint8_t kDeletionRequest = 54;
inline constexpr std::uint8_t kReportRequest = 56;
inline constexpr std::uint8_t kReportResponse = 57;
inline constexpr std::uint8_t kAccepted = 1;
inline constexpr std::size_t kNodeHeaderBytes = 8;
inline constexpr std::size_t kSessionHeaderBytes = 16;
inline constexpr std::uint16_t kCause = 19, kFSeid = 57;

/// Messages come in pairs, in which the response's type is the greater by one.
inline bool is_response(std::uint8_t type) noexcept {
  return type == 11 || type == 13 || type == 15 || (type < 11 && type % 2 == 0) ||
         (type > 50 && type % 2 == 1);
}
inline std::uint8_t message_type(const std::byte* message) noexcept {
  return wire::load8(message + 1);
}
inline std::size_t header_bytes(const std::byte* message) noexcept {
  return (wire::load8(message) & 1) != 0 ? kSessionHeaderBytes : kNodeHeaderBytes;
}
/// Version 1, with all of its header and the length that it says.
inline bool is_whole(std::span<const std::byte> message) noexcept {
  return message.size() >= kNodeHeaderBytes && wire::load8(message.data()) >> 5 == 1 &&
         message.size() >= header_bytes(message.data()) &&
         wire::load16(message.data() + 2) == message.size() - 4;
}
inline std::uint32_t sequence_of(const std::byte* message) noexcept {
  return wire::load32(message + header_bytes(message) - 4) >> 8;
}
inline void set_sequence(std::byte* message, std::uint32_t sequence) noexcept {
  wire::store32(message + header_bytes(message) - 4, sequence << 8);
}

struct Answer {
  std::uint8_t cause = 0;  ///< 0: it has none
  std::uint64_t up_seid = 0;
};
/// Cause and SEID of a response's elements; what is malformed ends the search.
inline Answer read_answer(std::span<const std::byte> elements) noexcept {
  Answer out;
  while (elements.size() >= 4) {
    const std::uint16_t type = wire::load16(elements.data());
    const std::size_t length = wire::load16(elements.data() + 2);
    if (length > elements.size() - 4) break;
    const std::byte* const value = elements.data() + 4;
    if (type == kCause && length >= 1) out.cause = wire::load8(value);
    if (type == kFSeid && length >= 9) out.up_seid = wire::load64(value + 1);
    elements = elements.subspan(4 + length);
  }
  return out;
}

/// Accepts a Session Report Request; returns the octets written, at most 21.
inline std::size_t write_report_response(const std::byte* request, std::uint64_t up_seid,
                                         std::byte* out) noexcept {
  constexpr std::size_t kLength = kSessionHeaderBytes + 5;
  out[0] = std::byte{0x21};
  out[1] = std::byte{kReportResponse};
  wire::store16(out + 2, kLength - 4);
  wire::store64(out + 4, up_seid);
  std::memcpy(out + 12, request + 12, 4);
  wire::store16(out + 16, kCause);
  wire::store16(out + 18, 1);
  out[20] = std::byte{kAccepted};
  return kLength;
}

}  // namespace sluice::smf
