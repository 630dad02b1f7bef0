// Capture files for tests, written byte by byte in either byte order, so that the reader is
// tested against the formats' text and not against our writer.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "wire/bytes.h"

namespace sluice::test {

struct CaptureBytes {
  using Options = std::vector<std::pair<std::uint16_t, std::vector<std::uint8_t>>>;

  explicit CaptureBytes(bool big_endian) : big(big_endian) {}

  CaptureBytes& pcap_header(bool nanoseconds, std::uint32_t link_type) {
    put32(nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4);
    put16(2).put16(4).put32(0).put32(0).put32(65535).put32(link_type);
    return *this;
  }
  CaptureBytes& pcap_record(std::uint32_t seconds, std::uint32_t fraction, std::uint32_t captured,
                            std::uint32_t original) {
    return put32(seconds).put32(fraction).put32(captured).put32(original).data(captured, captured);
  }
  CaptureBytes& section() {
    return put32(0x0a0d0d0a)
        .put32(28)
        .put32(0x1a2b3c4d)
        .put16(1)
        .put16(0)
        .put32(~0U)
        .put32(~0U)
        .put32(28);
  }
  CaptureBytes& interface(std::uint16_t link_type, std::uint32_t snap_length,
                          const Options& options) {
    const std::size_t start = bytes.size();
    put32(1).put32(0).put16(link_type).put16(0).put32(snap_length);
    for (const auto& [code, value] : options) {
      put16(code).put16(static_cast<std::uint16_t>(value.size()));
      for (const std::uint8_t byte : value) bytes.push_back(std::byte{byte});
      while (bytes.size() % 4 != 0) bytes.push_back(std::byte{0});
    }
    if (!options.empty()) put32(0);
    return close_block(start);
  }
  CaptureBytes& offset_interface(std::uint16_t link_type, std::int64_t seconds) {
    const auto value = static_cast<std::uint64_t>(seconds);
    const std::size_t start = bytes.size();
    put32(1).put32(0).put16(link_type).put16(0).put32(0).put16(14).put16(8);
    put32(static_cast<std::uint32_t>(big ? value >> 32 : value));
    put32(static_cast<std::uint32_t>(big ? value : value >> 32));
    return close_block(start);
  }
  CaptureBytes& enhanced(std::uint32_t interface, std::uint64_t ticks, std::uint32_t captured,
                         std::uint32_t original) {
    const std::size_t start = bytes.size();
    put32(6).put32(0).put32(interface).put32(static_cast<std::uint32_t>(ticks >> 32));
    put32(static_cast<std::uint32_t>(ticks)).put32(captured).put32(original);
    return data(captured, (captured + 3) & ~3U).close_block(start);
  }
  CaptureBytes& simple(std::uint32_t original, std::uint32_t padded) {
    const std::size_t start = bytes.size();
    return put32(3).put32(0).put32(original).data(padded, padded).close_block(start);
  }
  CaptureBytes& obsolete(std::uint16_t interface, std::uint32_t ticks, std::uint32_t captured) {
    const std::size_t start = bytes.size();
    put32(2).put32(0).put16(interface).put16(0).put32(0).put32(ticks).put32(captured);
    put32(captured);
    return data(captured, (captured + 3) & ~3U).close_block(start);
  }
  CaptureBytes& other_block() {
    const std::size_t start = bytes.size();
    return put32(0x0bad0bad).put32(0).put32(1).close_block(start);
  }
  CaptureBytes& data(std::size_t n, std::size_t padded) {
    for (std::size_t i = 0; i < padded; ++i) {
      bytes.push_back(static_cast<std::byte>(i < n ? 0x45 : 0));
    }
    return *this;
  }
  CaptureBytes& put16(std::uint16_t value) {
    bytes.resize(bytes.size() + 2);
    wire::store16(&bytes[bytes.size() - 2], big ? value : wire::swap16(value));
    return *this;
  }
  CaptureBytes& put32(std::uint32_t value) {
    bytes.resize(bytes.size() + 4);
    patch32(bytes.size() - 4, value);
    return *this;
  }
  void patch32(std::size_t at, std::uint32_t value) {
    wire::store32(&bytes[at], big ? value : wire::swap32(value));
  }
  CaptureBytes& close_block(std::size_t start) {
    const auto length = static_cast<std::uint32_t>(bytes.size() - start + 4);
    patch32(start + 4, length);
    return put32(length);
  }

  std::vector<std::byte> bytes;
  bool big;
};

}  // namespace sluice::test
