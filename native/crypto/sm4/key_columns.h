// Keys of many streams, put into a tier's columns.
#pragma once
#include <cstddef>

#include "crypto/secret.h"
#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

/// As many columns as is known at run time only; wiped at its end.
class KeyColumns {
 public:
  KeyColumns(unsigned width, const Kernels& kernels) noexcept : width_(width), kernels_(kernels) {}
  ~KeyColumns() { wipe(columns_, sizeof(Schedule) * width_); }
  KeyColumns(const KeyColumns&) = delete;
  KeyColumns& operator=(const KeyColumns&) = delete;

  void set(unsigned column, const Schedule& key) noexcept {
    kernels_.set_column(key, columns_, width_, column);
  }
  /// Columns of 16 streams that lie side by side, from `first` on.
  void set_sixteen(unsigned first, const Schedule* const* keys) noexcept {
    kernels_.set_columns(keys, columns_, width_, first);
  }
  const std::byte* get() const noexcept { return columns_; }

 private:
  unsigned width_;
  const Kernels& kernels_;
  alignas(64) std::byte columns_[sizeof(Schedule) * kChainsMax];
};

}  // namespace sluice::crypto::sm4
