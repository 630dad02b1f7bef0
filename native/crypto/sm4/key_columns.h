// Keys of many streams, put into the columns of KeyRows.
#pragma once
#include <cstddef>
#include <cstring>

#include "crypto/secret.h"
#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

/// Rows of a width that is known at run time only; wiped at its end.
class KeyColumns {
 public:
  explicit KeyColumns(unsigned width) noexcept : width_(width) {}
  ~KeyColumns() { wipe(rows_, kWords * 4 * width_); }
  KeyColumns(const KeyColumns&) = delete;
  KeyColumns& operator=(const KeyColumns&) = delete;

  void set(unsigned column, const Schedule& key) noexcept {
    std::byte bytes[kWords * 4];
    std::memcpy(bytes, key.words, sizeof bytes);
    for (unsigned row = 0; row < sizeof bytes; ++row) rows_[row * width_ + column] = bytes[row];
    wipe(bytes, sizeof bytes);
  }
  /// Columns of 16 streams that lie side by side, from `first` on.
  void set_sixteen(unsigned first, const Schedule* const* keys, const Kernels& kernels) noexcept {
    kernels.set_columns(keys, rows_ + first, width_);
  }
  const void* rows() const noexcept { return rows_; }

 private:
  unsigned width_;
  alignas(64) std::byte rows_[kWords * 4 * kChainsMax];
};

}  // namespace sluice::crypto::sm4
