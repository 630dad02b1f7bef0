#include "port/capture/pcapng_blocks.h"

#include <algorithm>
#include <cstring>

#include "port/capture/capture_file.h"

namespace sluice {
namespace {

enum Block : std::uint32_t {
  kInterface = 1,
  kStatistics = 5,
  kPacket = 6,
  kSection = 0x0a0d0d0a,
};
// Option codes count from 2 in every kind of block; these three are the same everywhere.
constexpr std::uint16_t kEndOfOptions = 0, kComment = 1;
constexpr std::uint16_t kApplication = 4, kInterfaceName = 2, kTimeResolution = 9, kFlags = 2,
                        kStartTime = 2, kEndTime = 3, kReceived = 4, kDropped = 5;

}  // namespace

void PcapngBlocks::section() noexcept {
  begin(kSection);
  put32(0x1a2b3c4d);
  put16(1);
  put16(0);
  put32(0xffffffff);  // the section's length is not known
  put32(0xffffffff);
  option(kApplication, "Sluice", 6);
  option(kEndOfOptions, nullptr, 0);
  end();
}

void PcapngBlocks::interface(std::string_view name) noexcept {
  const std::uint8_t nanoseconds = 9;
  begin(kInterface);
  put16(static_cast<std::uint16_t>(LinkType::Raw));
  put16(0);
  put32(0);  // no snap length
  option(kInterfaceName, name.data(), std::min(name.size(), kNameMax));
  option(kTimeResolution, &nanoseconds, 1);
  option(kEndOfOptions, nullptr, 0);
  end();
}

void PcapngBlocks::packet(const PacketInfo& info, std::span<const std::byte> captured) noexcept {
  begin(kPacket);
  put32(info.interface);
  put64(info.time);
  put32(static_cast<std::uint32_t>(captured.size()));
  put32(static_cast<std::uint32_t>(info.length));
  put(captured.data(), captured.size());
  const auto way = static_cast<std::uint32_t>(info.way);
  if (info.way != Way::Unknown) option(kFlags, &way, sizeof(way));
  if (!info.comment.empty()) {
    option(kComment, info.comment.data(), std::min(info.comment.size(), kCommentMax));
  }
  if (info.way != Way::Unknown || !info.comment.empty()) option(kEndOfOptions, nullptr, 0);
  end();
}

void PcapngBlocks::statistics(const Statistics& s) noexcept {
  begin(kStatistics);
  put32(s.interface);
  put64(s.end);
  for (const auto& [code, time] : {std::pair{kStartTime, s.start}, {kEndTime, s.end}}) {
    const std::uint32_t halves[2] = {static_cast<std::uint32_t>(time >> 32),
                                     static_cast<std::uint32_t>(time)};
    option(code, halves, sizeof(halves));
  }
  option(kReceived, &s.received, sizeof(s.received));
  option(kDropped, &s.dropped, sizeof(s.dropped));
  option(kEndOfOptions, nullptr, 0);
  end();
}

void PcapngBlocks::begin(std::uint32_t type) noexcept {
  block_ = at_;
  put32(type);
  put32(0);  // the length, when it is known
}

void PcapngBlocks::end() noexcept {
  const auto bytes = static_cast<std::uint32_t>(at_ - block_ + 4);
  put32(bytes);
  std::memcpy(block_ + 4, &bytes, sizeof(bytes));
}

void PcapngBlocks::put16(std::uint16_t value) noexcept {
  std::memcpy(at_, &value, sizeof(value));
  at_ += sizeof(value);
}

void PcapngBlocks::put32(std::uint32_t value) noexcept {
  std::memcpy(at_, &value, sizeof(value));
  at_ += sizeof(value);
}

void PcapngBlocks::put64(std::uint64_t value) noexcept {
  put32(static_cast<std::uint32_t>(value >> 32));
  put32(static_cast<std::uint32_t>(value));
}

// Padded with zeros to a multiple of 4, as everything in a block is.
void PcapngBlocks::put(const void* bytes, std::size_t n) noexcept {
  if (n != 0) std::memcpy(at_, bytes, n);
  at_ += n;
  while ((at_ - block_) % 4 != 0) *at_++ = std::byte{0};
}

void PcapngBlocks::option(std::uint16_t code, const void* bytes, std::size_t n) noexcept {
  put16(code);
  put16(static_cast<std::uint16_t>(n));
  put(bytes, n);
}

}  // namespace sluice
