// GTP-U: the header with its extension chain, the PDU Session Container, and the
// messages that the packet path makes by itself.
#pragma once
#include "base/types.h"
#include "wire/bytes.h"

namespace sluice::wire {

inline constexpr std::uint16_t kGtpuPort = 2152;
inline constexpr std::size_t kGtpuBytes = 8;
inline constexpr unsigned kGtpuExtensionsMax = 8;

inline constexpr std::uint8_t kGtpuEchoRequest = 1;
inline constexpr std::uint8_t kGtpuEchoResponse = 2;
inline constexpr std::uint8_t kGtpuErrorIndication = 26;
inline constexpr std::uint8_t kGtpuSupportedExtensions = 31;
inline constexpr std::uint8_t kGtpuEndMarker = 254;
inline constexpr std::uint8_t kGtpuGpdu = 255;

inline constexpr std::uint8_t kExtensionUdpPort = 0x40;
inline constexpr std::uint8_t kExtensionLongPdcpNumber = 0x82;
inline constexpr std::uint8_t kExtensionNrRanContainer = 0x84;
inline constexpr std::uint8_t kExtensionPduSession = 0x85;
inline constexpr std::uint8_t kExtensionPdcpNumber = 0xc0;

inline constexpr std::uint8_t kPscDownlink = 0;
inline constexpr std::uint8_t kPscUplink = 1;

struct GtpuHeader {
  std::uint8_t type;
  std::uint8_t flags;  ///< the first octet
  Teid teid;
  std::uint16_t payload_offset;  ///< bytes from the start of the header
  std::uint16_t payload_length;  ///< bytes; what the datagram has beyond is padding
  bool has_sequence;
  std::uint16_t sequence;
  bool has_psc;                   ///< a PDU Session Container (the first one counts)
  std::uint8_t psc_type;          ///< kPscDownlink, kPscUplink, or one of a later release
  std::uint8_t qfi;               ///< 6 bits
  bool rqi;                       ///< downlink container only
  std::uint8_t unknown_required;  ///< type of the first extension that must be understood and
                                  ///< is not, or 0; the caller drops and answers
  std::uint16_t psc_offset;   ///< bytes from the start of the header to the container's contents
  std::uint16_t psc_length;   ///< bytes of contents, padding included
  std::uint8_t pdcp_type;     ///< of the first extension with a PDCP number, or 0
  std::uint16_t pdcp_offset;  ///< bytes from the start of the header to that extension's length
};

/// The part of parse_gtpu() that runs when the E, S or PN flag is set.
DropReason parse_gtpu_options(const std::byte* bytes, std::size_t end, GtpuHeader& out) noexcept;

/// Parses one GTP-U header with its extension chain.
/// @param bytes  [header | options | extensions | payload]: a UDP payload, network byte order.
/// @param n      bytes of the datagram; what is beyond the GTP-U length is ignored.
/// @param out    written only on success. An unknown extension whose comprehension is required
///               is a success with unknown_required set, because it has to be answered.
/// @return None, GtpuVersion, GtpuTruncated, GtpuExtension or ExtensionLimit.
/// Bounds: at most kGtpuExtensionsMax steps. Threads: any; pure.
/// Source: TS 29.281 clauses 5.1 and 5.2; TS 38.415 clause 5.5.
inline DropReason parse_gtpu(const std::byte* bytes, std::size_t n, GtpuHeader& out) noexcept {
  if (n < kGtpuBytes) return DropReason::GtpuTruncated;
  const std::uint8_t flags = load8(bytes);
  if ((flags & 0xf0) != 0x30) return DropReason::GtpuVersion;
  const std::uint16_t length = load16(bytes + 2);
  if (length > n - kGtpuBytes) return DropReason::GtpuTruncated;
  if ((flags & 7) != 0) return parse_gtpu_options(bytes, kGtpuBytes + length, out);
  out = GtpuHeader{};
  out.type = load8(bytes + 1);
  out.flags = flags;
  out.teid = Teid{load32(bytes + 4)};
  out.payload_offset = kGtpuBytes;
  out.payload_length = length;
  return DropReason::None;
}

/// A whole PDU Session Container. A field counts only if its flag says that it is there.
struct PduSessionContainer {
  std::uint8_t type;  ///< kPscDownlink or kPscUplink
  std::uint8_t qfi;   ///< 6 bits
  bool rqi;           ///< downlink
  bool has_ppi;       ///< downlink
  std::uint8_t ppi;   ///< 3 bits
  bool qmp;           ///< QoS monitoring: time stamps follow
  bool has_qfi_sequence;
  std::uint32_t qfi_sequence;   ///< 24 bits
  std::uint64_t sending_time;   ///< qmp: downlink sending time (repeated by uplink), NTP format
  std::uint64_t received_time;  ///< qmp, uplink: downlink received time, NTP format
  std::uint64_t uplink_sending_time;  ///< qmp, uplink: NTP format
  bool has_downlink_delay;            ///< uplink
  bool has_uplink_delay;              ///< uplink
  bool has_n3_n9_delay;               ///< uplink
  std::uint32_t downlink_delay_ms;
  std::uint32_t uplink_delay_ms;
  std::uint32_t n3_n9_delay_ms;
};

/// Parses the contents of a PDU Session Container.
/// @param bytes  the contents without the extension's length and next type: GtpuHeader says
///               where they are.
/// @param n      bytes of contents; padding and fields of later releases are ignored.
/// @param out    written only on success.
/// @return None, or GtpuExtension for an unknown type or flags that want more than n bytes.
/// Threads: any; pure. Source: TS 38.415 clauses 5.5.2 and 5.5.3.
DropReason parse_psc(const std::byte* bytes, std::size_t n, PduSessionContainer& out) noexcept;

/// The PDU Session Container that write_gpdu() puts in front of a payload.
struct PscFields {
  std::uint8_t type = kPscDownlink;
  std::uint8_t qfi = 0;  ///< 6 bits
  bool rqi = false;      ///< downlink only
  bool has_ppi = false;  ///< downlink only
  std::uint8_t ppi = 0;  ///< 3 bits
};

inline constexpr std::size_t kGpduBytesMax = 20;

/// Bytes of a G-PDU header: 8, 16 with a container, 20 if the container has a PPI.
constexpr std::size_t gpdu_bytes(const PscFields* psc) noexcept {
  if (psc == nullptr) return 8;
  return psc->type == kPscDownlink && psc->has_ppi ? 20 : 16;
}

/// A PDCP number as the last extension of a header: it is the RAN nodes' at both ends of an
/// indirect tunnel, so what lies between passes it on unread (TS 29.281 clause 5.2.2.2).
struct PdcpNumber {
  std::uint8_t type = 0;
  std::uint8_t bytes = 0;    ///< of the extension; 0: there is none
  std::byte extension[8]{};  ///< length, number, and 0 for the type of the next one
};
/// @param bytes  the header that was parsed.
void take_pdcp_number(const std::byte* bytes, const GtpuHeader& header, PdcpNumber& out) noexcept;

/// Bytes of a G-PDU header that may have a PDCP number, too.
constexpr std::size_t gpdu_bytes(const PscFields* psc, const PdcpNumber& number) noexcept {
  const std::size_t options = psc == nullptr && number.bytes != 0 ? 4 : 0;
  return gpdu_bytes(psc) + options + number.bytes;
}

/// Writes a G-PDU header with an optional PDU Session Container.
/// @param bytes           room for gpdu_bytes(psc), right before the payload.
/// @param payload_length  bytes; together with the extension at most 65,535.
/// @return bytes written.
/// Threads: any; pure. Source: TS 29.281 clause 5.1, TS 38.415 clause 5.5.2.
inline std::size_t write_gpdu(std::byte* bytes, Teid teid, std::uint16_t payload_length,
                              const PscFields* psc) noexcept {
  const std::size_t size = gpdu_bytes(psc);
  store16(bytes, psc == nullptr ? 0x30ff : 0x34ff);
  store16(bytes + 2, static_cast<std::uint16_t>(payload_length + size - kGtpuBytes));
  store32(bytes + 4, static_cast<std::uint32_t>(teid));
  if (psc == nullptr) return size;
  store32(bytes + 8, kExtensionPduSession);
  const bool downlink = psc->type == kPscDownlink;
  const unsigned flags = (psc->qfi & 63u) | (downlink && psc->rqi ? 0x40u : 0u);
  if (size == 16) {
    store32(bytes + 12,
            0x01000000u | static_cast<std::uint32_t>(psc->type & 15) << 20 | flags << 8);
    return size;
  }
  store32(bytes + 12, 0x02000000u | (0x80u | flags) << 8 | (psc->ppi & 7u) << 5);
  store32(bytes + 16, 0);
  return size;
}

/// The same with a PDCP number behind the container, in gpdu_bytes(psc, number).
std::size_t write_gpdu(std::byte* bytes, Teid teid, std::uint16_t payload_length,
                       const PscFields* psc, const PdcpNumber& number) noexcept;

inline constexpr std::size_t kEchoResponseBytes = 14;
inline constexpr std::size_t kEchoRequestBytes = 12;
inline constexpr std::size_t kEndMarkerBytes = 8;
inline constexpr std::size_t kSupportedExtensionsBytes = 15;
inline constexpr std::size_t kErrorIndicationBytesMax = 36;

/// Writes an Echo Response of kEchoResponseBytes that repeats the request's sequence number.
/// Threads: any; pure. Source: TS 29.281 clauses 7.2.2 and 8.2 (restart counter 0).
std::size_t write_echo_response(std::byte* bytes, std::uint16_t sequence) noexcept;

/// Writes an Echo Request of kEchoRequestBytes. Threads: any; pure. Source: TS 29.281 clause 7.2.1.
std::size_t write_echo_request(std::byte* bytes, std::uint16_t sequence) noexcept;

/// Writes an End Marker of kEndMarkerBytes. Threads: any; pure. Source: TS 29.281 clause 7.3.2.
std::size_t write_end_marker(std::byte* bytes, Teid teid) noexcept;

/// Writes an Error Indication.
/// @param bytes          room for kErrorIndicationBytesMax.
/// @param teid           of the G-PDU that no session owns.
/// @param address        destination of that G-PDU, network byte order.
/// @param address_bytes  4 or 16.
/// @return bytes written: 24 or 36.
/// Threads: any; pure. Source: TS 29.281 clause 7.3.1.
std::size_t write_error_indication(std::byte* bytes, std::uint16_t sequence, Teid teid,
                                   const std::byte* address, std::size_t address_bytes) noexcept;

/// Writes a Supported Extension Headers Notification of kSupportedExtensionsBytes; it lists
/// the PDU Session Container. Threads: any; pure. Source: TS 29.281 clause 7.2.3.
std::size_t write_supported_extensions(std::byte* bytes, std::uint16_t sequence) noexcept;

/// What an Error Indication is about.
struct ErrorIndication {
  Teid teid;
  std::uint8_t address[16];    ///< network byte order
  std::uint8_t address_bytes;  ///< 4 or 16
};

/// Parses the information elements of an Error Indication (the payload of parse_gtpu()).
/// @param out  written only on success.
/// @return None, or GtpuTruncated when an element is missing, cut off or of a wrong length.
/// Threads: any; pure. Source: TS 29.281 clauses 7.3.1, 8.3 and 8.4.
DropReason parse_error_indication(const std::byte* bytes, std::size_t n,
                                  ErrorIndication& out) noexcept;

}  // namespace sluice::wire
