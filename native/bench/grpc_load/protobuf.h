// The little of protobuf's wire format that the load generator needs: it writes requests
// once, as templates, and reads replies in place. One thread; no state is shared.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::load {

/// Appends fields to a message in the order of the calls.
class ProtobufWriter {
 public:
  void number(std::uint32_t field, std::uint64_t value) {
    varint(field << 3);
    varint(value);
  }
  void bytes(std::uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    out_.append(value);
  }
  void message(std::uint32_t field, const ProtobufWriter& value) { bytes(field, value.out_); }
  const std::string& encoded() const { return out_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
    out_.push_back(static_cast<char>(value));
  }
  std::string out_;
};

/// Walks over the fields of a message; the bytes must outlive it.
class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view bytes) : rest_(bytes) {}

  /// Goes to the next field; false at the end, and where the message is malformed (see ok()).
  bool next() {
    if (rest_.empty()) return false;
    std::uint64_t key = 0;
    if (!varint(key)) return fail();
    field_ = static_cast<std::uint32_t>(key >> 3);
    switch (key & 7) {
      case 0:
        return varint(number_) || fail();
      case 1:
        return take(8);
      case 2: {
        std::uint64_t size = 0;
        return (varint(size) && take(size)) || fail();
      }
      case 5:
        return take(4);
      default:
        return fail();
    }
  }
  std::uint32_t field() const { return field_; }
  std::uint64_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }
  bool ok() const { return ok_; }

 private:
  bool fail() {
    ok_ = false;
    rest_ = {};
    return false;
  }
  bool take(std::uint64_t size) {
    if (size > rest_.size()) return fail();
    bytes_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }
  std::string_view rest_;
  std::string_view bytes_;
  std::uint64_t number_ = 0;
  std::uint32_t field_ = 0;
  bool ok_ = true;
};

}  // namespace sluice::load
