#include "wire/gtpu.h"

#include <cstring>

namespace sluice::wire {

namespace {
constexpr bool is_pdcp_number(std::uint8_t type) noexcept {
  return type == kExtensionPdcpNumber || type == kExtensionLongPdcpNumber;
}

constexpr bool is_known_extension(std::uint8_t type) noexcept {
  // PDCP numbers and the RAN container concern the RAN nodes at the ends of a forwarding
  // tunnel: known, so that they do not count as unknown, and not looked into. PDCP numbers go on
  // into the next tunnel; RAN containers are between RAN nodes alone.
  return type == kExtensionPduSession || is_pdcp_number(type) || type == kExtensionNrRanContainer;
}

/// Follows the chain from `offset`, whose header is of `type`; `offset` ends at the payload.
DropReason walk_extensions(const std::byte* bytes, std::size_t end, std::uint8_t type,
                           std::size_t& offset, GtpuHeader& header) noexcept {
  for (unsigned steps = 0; type != 0; ++steps) {
    if (steps == kGtpuExtensionsMax) return DropReason::ExtensionLimit;
    if (offset >= end) return DropReason::GtpuExtension;
    const std::size_t length = load8(bytes + offset) * std::size_t{4};
    if (length == 0 || length > end - offset) return DropReason::GtpuExtension;
    if (type == kExtensionPduSession && !header.has_psc) {
      header.has_psc = true;
      header.psc_offset = static_cast<std::uint16_t>(offset + 1);
      header.psc_length = static_cast<std::uint16_t>(length - 2);
      header.psc_type = load8(bytes + offset + 1) >> 4;
      const std::uint8_t flags = load8(bytes + offset + 2);
      header.qfi = flags & 63;
      header.rqi = header.psc_type == kPscDownlink && (flags & 0x40) != 0;
    } else if (is_pdcp_number(type) && header.pdcp_type == 0) {
      header.pdcp_type = type;
      header.pdcp_offset = static_cast<std::uint16_t>(offset);
    } else if ((type & 0x80) != 0 && !is_known_extension(type) && header.unknown_required == 0) {
      header.unknown_required = type;
    }
    offset += length;
    type = load8(bytes + offset - 1);
  }
  return DropReason::None;
}

/// Takes fields off the front of a container; once one does not fit, all that follow are 0.
struct Cursor {
  const std::byte* bytes;
  std::size_t left;
  bool short_of = false;

  std::uint64_t take(std::size_t n) noexcept {
    if (n > left) {
      short_of = true;
      left = 0;
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < n; ++i) value = value << 8 | load8(bytes + i);
    bytes += n;
    left -= n;
    return value;
  }
  std::uint32_t take32(std::size_t n) noexcept { return static_cast<std::uint32_t>(take(n)); }
};

void parse_downlink(Cursor& cursor, std::uint8_t first, PduSessionContainer& psc) noexcept {
  const std::uint8_t second = load8(cursor.bytes - 1);
  psc.rqi = (second & 0x40) != 0;
  psc.has_ppi = (second & 0x80) != 0;
  psc.has_qfi_sequence = (first & 4) != 0;
  if (psc.has_ppi) psc.ppi = static_cast<std::uint8_t>(cursor.take(1) >> 5);
  if (psc.qmp) psc.sending_time = cursor.take(8);
  if (psc.has_qfi_sequence) psc.qfi_sequence = cursor.take32(3);
  if ((first & 2) != 0) cursor.take(4);  // MBS QFI sequence number: no multicast sessions here
}

void parse_uplink(Cursor& cursor, std::uint8_t first, PduSessionContainer& psc) noexcept {
  const std::uint8_t second = load8(cursor.bytes - 1);
  psc.has_downlink_delay = (first & 4) != 0;
  psc.has_uplink_delay = (first & 2) != 0;
  psc.has_qfi_sequence = (first & 1) != 0;
  psc.has_n3_n9_delay = (second & 0x80) != 0;
  if (psc.qmp) {
    psc.sending_time = cursor.take(8);
    psc.received_time = cursor.take(8);
    psc.uplink_sending_time = cursor.take(8);
  }
  if (psc.has_downlink_delay) psc.downlink_delay_ms = cursor.take32(4);
  if (psc.has_uplink_delay) psc.uplink_delay_ms = cursor.take32(4);
  if (psc.has_qfi_sequence) psc.qfi_sequence = cursor.take32(3);
  if (psc.has_n3_n9_delay) psc.n3_n9_delay_ms = cursor.take32(4);
}

/// The first 12 octets of a message with a sequence number and TEID 0.
void write_signalling_header(std::byte* bytes, std::uint8_t type, std::size_t elements,
                             std::uint16_t sequence) noexcept {
  store8(bytes, 0x32);
  store8(bytes + 1, type);
  store16(bytes + 2, static_cast<std::uint16_t>(4 + elements));
  store32(bytes + 4, 0);
  store16(bytes + 8, sequence);
  store16(bytes + 10, 0);
}

constexpr std::uint8_t kElementRecovery = 14;
constexpr std::uint8_t kElementTeid = 16;
constexpr std::uint8_t kElementPeerAddress = 133;
constexpr std::uint8_t kElementExtensionTypes = 141;
}  // namespace

DropReason parse_gtpu_options(const std::byte* bytes, std::size_t end, GtpuHeader& out) noexcept {
  if (end < kGtpuBytes + 4) return DropReason::GtpuTruncated;
  GtpuHeader header{};
  header.flags = load8(bytes);
  header.type = load8(bytes + 1);
  header.teid = Teid{load32(bytes + 4)};
  header.has_sequence = (header.flags & 2) != 0;
  if (header.has_sequence) header.sequence = load16(bytes + 8);
  std::size_t offset = kGtpuBytes + 4;
  if ((header.flags & 4) != 0) {
    const DropReason reason = walk_extensions(bytes, end, load8(bytes + 11), offset, header);
    if (reason != DropReason::None) return reason;
  }
  header.payload_offset = static_cast<std::uint16_t>(offset);
  header.payload_length = static_cast<std::uint16_t>(end - offset);
  out = header;
  return DropReason::None;
}

void take_pdcp_number(const std::byte* bytes, const GtpuHeader& header, PdcpNumber& out) noexcept {
  if (header.pdcp_type == 0) return;
  const unsigned size = load8(bytes + header.pdcp_offset) * 4u;
  if (size > sizeof(out.extension)) return;  // longer than any that there is
  out.type = header.pdcp_type;
  out.bytes = static_cast<std::uint8_t>(size);
  std::memcpy(out.extension, bytes + header.pdcp_offset, size);
  out.extension[size - 1] = std::byte{0};
}

std::size_t write_gpdu(std::byte* bytes, Teid teid, std::uint16_t payload_length,
                       const PscFields* psc, const PdcpNumber& number) noexcept {
  if (number.bytes == 0) return write_gpdu(bytes, teid, payload_length, psc);
  const std::size_t before = gpdu_bytes(psc, number) - number.bytes;
  write_gpdu(bytes, teid, static_cast<std::uint16_t>(payload_length + number.bytes), psc);
  if (psc == nullptr) {
    store8(bytes, 0x34);
    store16(bytes + 2, static_cast<std::uint16_t>(4 + number.bytes + payload_length));
    store32(bytes + 8, 0);
  }
  store8(bytes + before - 1, number.type);
  std::memcpy(bytes + before, number.extension, number.bytes);
  return before + number.bytes;
}

DropReason parse_psc(const std::byte* bytes, std::size_t n, PduSessionContainer& out) noexcept {
  if (n < 2) return DropReason::GtpuExtension;
  PduSessionContainer psc{};
  const std::uint8_t first = load8(bytes);
  psc.type = first >> 4;
  psc.qfi = load8(bytes + 1) & 63;
  psc.qmp = (first & 8) != 0;
  Cursor cursor{bytes + 2, n - 2};
  if (psc.type == kPscDownlink) {
    parse_downlink(cursor, first, psc);
  } else if (psc.type == kPscUplink) {
    parse_uplink(cursor, first, psc);
  } else {
    return DropReason::GtpuExtension;
  }
  if (cursor.short_of) return DropReason::GtpuExtension;
  out = psc;
  return DropReason::None;
}

std::size_t write_echo_response(std::byte* bytes, std::uint16_t sequence) noexcept {
  write_signalling_header(bytes, kGtpuEchoResponse, 2, sequence);
  store16(bytes + 12, kElementRecovery << 8);
  return kEchoResponseBytes;
}

std::size_t write_echo_request(std::byte* bytes, std::uint16_t sequence) noexcept {
  write_signalling_header(bytes, kGtpuEchoRequest, 0, sequence);
  return kEchoRequestBytes;
}

std::size_t write_end_marker(std::byte* bytes, Teid teid) noexcept {
  store32(bytes, 0x30fe0000);
  store32(bytes + 4, static_cast<std::uint32_t>(teid));
  return kEndMarkerBytes;
}

std::size_t write_error_indication(std::byte* bytes, std::uint16_t sequence, Teid teid,
                                   const std::byte* address, std::size_t address_bytes) noexcept {
  write_signalling_header(bytes, kGtpuErrorIndication, 8 + address_bytes, sequence);
  store8(bytes + 12, kElementTeid);
  store32(bytes + 13, static_cast<std::uint32_t>(teid));
  store8(bytes + 17, kElementPeerAddress);
  store16(bytes + 18, static_cast<std::uint16_t>(address_bytes));
  std::memcpy(bytes + 20, address, address_bytes);
  return 20 + address_bytes;
}

std::size_t write_supported_extensions(std::byte* bytes, std::uint16_t sequence) noexcept {
  write_signalling_header(bytes, kGtpuSupportedExtensions, 3, sequence);
  store8(bytes + 12, kElementExtensionTypes);
  store8(bytes + 13, 1);
  store8(bytes + 14, kExtensionPduSession);
  return kSupportedExtensionsBytes;
}

DropReason parse_error_indication(const std::byte* bytes, std::size_t n,
                                  ErrorIndication& out) noexcept {
  ErrorIndication indication{};
  bool has_teid = false;
  while (n != 0) {
    const std::uint8_t type = load8(bytes);
    std::size_t length = 5;
    if (type == kElementRecovery) {
      length = 2;
    } else if ((type & 0x80) != 0) {
      if (n < 3) return DropReason::GtpuTruncated;
      length = std::size_t{3} + load16(bytes + 1);
    } else if (type != kElementTeid) {
      return DropReason::GtpuTruncated;  // a fixed element of unknown length ends the walk
    }
    if (length > n) return DropReason::GtpuTruncated;
    if (type == kElementTeid) {
      indication.teid = Teid{load32(bytes + 1)};
      has_teid = true;
    } else if (type == kElementPeerAddress) {
      if (length != 7 && length != 19) return DropReason::GtpuTruncated;
      indication.address_bytes = static_cast<std::uint8_t>(length - 3);
      std::memcpy(indication.address, bytes + 3, length - 3);
    }
    bytes += length;
    n -= length;
  }
  if (!has_teid || indication.address_bytes == 0) return DropReason::GtpuTruncated;
  out = indication;
  return DropReason::None;
}

}  // namespace sluice::wire
