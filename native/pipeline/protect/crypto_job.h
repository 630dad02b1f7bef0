// One packet that SM4 has work on: made by the worker that has the packet, done by that worker
// (inline) or by a lane (crypto_lane.h), and concluded by that worker again. Whoever does it uses
// the association's numbers, window and keys, and nobody else meanwhile.
#pragma once
#include <cstdint>
#include <span>

#include "memory/packet.h"
#include "pipeline/protect/protection_table.h"
#include "wire/bytes.h"

namespace sluice {

struct CryptoJob {
  Packet* packet;
  OutboundEnd* seals;  ///< null: it opens
  InboundEnd* opens;   ///< null: it seals
  /// Opening: of the ESP in the packet's data.
  std::uint16_t offset, bytes;
  std::uint8_t port;         ///< sealing: that it leaves by
  std::uint8_t next_header;  ///< of what is inside
  std::uint8_t tos;          ///< sealing: of what is inside; opening: of the packet around
  // Set by doing it:
  bool lost = false;  ///< the thread that did it died, and nobody knows how far it came
  crypto::EspStatus status = crypto::EspStatus::Ok;
};

/// Type of service or traffic class of an IP packet.
inline unsigned tos_of(const std::byte* ip) noexcept {
  return wire::load8(ip) >> 4 == 6 ? wire::load16(ip) >> 4 & 0xff : wire::load8(ip + 1);
}

/// As many as share the lanes of the kernels.
inline constexpr unsigned kCryptoBurst = 64;

/// Does at most kCryptoBurst jobs, those of an association in their order. A packet that was sealed
/// has its ESP as data then; one that was opened, what is inside, which may be nothing.
void do_jobs(std::span<CryptoJob> jobs) noexcept;

/// Opens a packet as do_jobs() would, and leaves its association as it is.
crypto::EspLook look_into(CryptoJob& job) noexcept;

}  // namespace sluice
