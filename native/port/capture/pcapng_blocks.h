// The blocks of a pcapng file, written one behind the other into memory that the caller knows
// to be large enough: link type Raw, nanoseconds. Pure; any thread.
// Source: draft-ietf-opsawg-pcapng, clauses 3.5, 4.1 to 4.3 and 4.6.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/types.h"

namespace sluice {

class PcapngBlocks {
 public:
  static constexpr std::size_t kNameMax = 256;
  static constexpr std::size_t kCommentMax = 512;
  static constexpr std::size_t kSectionMax = 64;
  static constexpr std::size_t kInterfaceMax = kNameMax + 64;
  /// Of a packet, beside its data.
  static constexpr std::size_t kPacketMax = kCommentMax + 64;
  static constexpr std::size_t kStatisticsMax = 96;

  enum class Way : std::uint32_t { Unknown = 0, Inbound = 1, Outbound = 2 };
  struct PacketInfo {
    std::uint32_t interface = 0;  ///< in the order of interface()
    Nanoseconds time = 0;         ///< since 1970
    std::size_t length = 0;       ///< of the packet on the wire
    Way way = Way::Unknown;
    std::string_view comment = {};  ///< what exceeds kCommentMax is cut
  };
  struct Statistics {
    std::uint32_t interface = 0;
    Nanoseconds start = 0, end = 0;  ///< since 1970
    std::uint64_t received = 0, dropped = 0;
  };

  explicit PcapngBlocks(std::byte* at) noexcept : start_(at), at_(at) {}
  void section() noexcept;
  void interface(std::string_view name) noexcept;
  void packet(const PacketInfo& info, std::span<const std::byte> captured) noexcept;
  void statistics(const Statistics& statistics) noexcept;
  std::size_t bytes() const noexcept { return static_cast<std::size_t>(at_ - start_); }

 private:
  void begin(std::uint32_t type) noexcept;
  void end() noexcept;
  void put16(std::uint16_t value) noexcept;
  void put32(std::uint32_t value) noexcept;
  void put64(std::uint64_t value) noexcept;  ///< high word first, as in time stamps
  void put(const void* bytes, std::size_t n) noexcept;
  void option(std::uint16_t code, const void* bytes, std::size_t n) noexcept;

  std::byte* start_;
  std::byte* at_;
  std::byte* block_ = nullptr;
};

}  // namespace sluice
