// A bounds-checked view of a session record: whatever the bytes are, nothing outside is
// read. Control thread.
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "session/record.h"

namespace sluice {

class RecordReader {
 public:
  RecordReader() = default;
  /// Checks magic, length and that all tables lie inside; valid() tells.
  RecordReader(const std::uint32_t* words, std::size_t bytes) noexcept;

  bool valid() const noexcept { return words_ != nullptr; }
  std::uint32_t header(record::header::Word word) const noexcept { return words_[word]; }
  unsigned pdrs() const noexcept { return count1(8); }
  unsigned fars() const noexcept { return count1(16); }
  unsigned qers() const noexcept { return count1(24); }
  unsigned urrs() const noexcept { return words_[record::header::Counts2] & 0xff; }
  unsigned bars() const noexcept { return words_[record::header::Counts2] >> 8 & 0xff; }
  unsigned filters() const noexcept { return words_[record::header::Counts2] >> 16; }
  const std::uint32_t* pdr(unsigned i) const noexcept {
    return words_ + pdr_ + i * record::kPdrWords;
  }
  const std::uint32_t* far(unsigned i) const noexcept {
    return words_ + far_ + i * record::kFarWords;
  }
  const std::uint32_t* qer(unsigned i) const noexcept {
    return words_ + qer_ + i * record::kQerWords;
  }
  const std::uint32_t* urr(unsigned i) const noexcept {
    return words_ + urr_ + i * record::kUrrWords;
  }
  const std::uint32_t* bar(unsigned i) const noexcept {
    return words_ + bar_ + i * record::kBarWords;
  }
  const std::uint32_t* filter(unsigned i) const noexcept {
    return words_ + filter_ + i * record::kFilterWords;
  }
  /// A Ref's bytes; empty when absent or outside.
  std::string_view text(std::uint32_t ref) const noexcept;
  /// A list of bytes at (byte offset ÷ 4); empty when outside.
  std::span<const std::uint8_t> list(std::uint32_t offset4, unsigned count) const noexcept;
  /// Words at (byte offset ÷ 4); empty when outside.
  std::span<const std::uint32_t> word_list(std::uint32_t offset4, unsigned count) const noexcept;

  /// Entries of kFarWords words: the further forwards of a FAR.
  std::span<const std::uint32_t> duplicates(const std::uint32_t* far) const noexcept;
  // The lists of a PDR, every index in range (checked by the constructor).
  std::span<const std::uint8_t> qer_indices(const std::uint32_t* pdr) const noexcept;
  std::span<const std::uint8_t> urr_indices(const std::uint32_t* pdr) const noexcept;
  /// ID of the FAR that a packet took, of which its low octet is known (FarEntry::id_low): that
  /// of the PDR with this ID, or one that stood in for it. None: there is no such FAR.
  std::optional<std::uint32_t> far_id(std::uint16_t pdr_id, std::uint8_t low) const noexcept;
  /// Framed routes, record::kRouteWords each.
  std::span<const std::uint32_t> routes(const std::uint32_t* pdr) const noexcept;
  /// URRs whose reports bring one of this URR; indices in range, as above.
  std::span<const std::uint8_t> linked_indices(const std::uint32_t* urr) const noexcept;
  /// The words of record::urr_more of a URR, empty: it has none.
  std::span<const std::uint32_t> urr_more(const std::uint32_t* urr) const noexcept;
  /// Entries of kMonitorWords words: its monitoring times.
  std::span<const std::uint32_t> monitors(const std::uint32_t* urr) const noexcept;

 private:
  unsigned count1(unsigned shift) const noexcept {
    return words_[record::header::Counts1] >> shift & 0xff;
  }
  bool shadow_in_range() const noexcept;
  bool pdr_in_range(const std::uint32_t* pdr) const noexcept;
  bool far_in_range(const std::uint32_t* far) const noexcept;
  bool urr_in_range(const std::uint32_t* urr) const noexcept;
  bool filter_in_range(const std::uint32_t* filter) const noexcept;

  const std::uint32_t* words_ = nullptr;
  std::size_t bytes_ = 0;
  unsigned pdr_ = 0, far_ = 0, qer_ = 0, urr_ = 0, bar_ = 0, filter_ = 0;
};

}  // namespace sluice
