// Memory for what a session's lines cannot hold: extensions, accounts, filter sets.
// Only the control thread allocates and frees; workers read and write by offset.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "session/flow.h"

namespace sluice {

class RulesArena {
 public:
  static constexpr std::size_t kBytesMax = 1u << 20;  ///< of one object

  /// @param section  zeroed, 64-byte aligned part of the region; offsets count from `base`.
  RulesArena(std::byte* base, std::byte* section, std::size_t bytes) noexcept;

  /// 64-byte aligned when `bytes` is a multiple of 64, else 8; contents undefined. 0 when full.
  ArenaRef allocate(std::size_t bytes) noexcept;
  void free(ArenaRef ref, std::size_t bytes) noexcept;

  template <typename T>
  T* at(ArenaRef ref) const noexcept {
    return reinterpret_cast<T*>(base_ + std::size_t{ref} * 8);
  }
  /// High-water mark of the section, and bytes in live objects.
  std::size_t used() const noexcept { return used_; }
  std::size_t live() const noexcept { return live_; }

 private:
  static constexpr std::size_t kStep = 16;
  static constexpr unsigned kSmallClasses = 64;  // up to 1 KiB in steps of 16
  static constexpr unsigned kClasses = kSmallClasses + 10;
  static unsigned size_class(std::size_t bytes) noexcept;
  static std::size_t class_bytes(unsigned size_class) noexcept;

  std::byte* base_;
  std::byte* section_;
  std::size_t size_;
  std::size_t used_ = 0;
  std::size_t live_ = 0;
  std::array<ArenaRef, kClasses> free_{};
};

}  // namespace sluice
