#include "session/rules_arena.h"

#include <bit>
#include <cstring>

namespace sluice {

RulesArena::RulesArena(std::byte* base, std::byte* section, std::size_t bytes) noexcept
    : base_(base), section_(section), size_(bytes) {}

unsigned RulesArena::size_class(std::size_t bytes) noexcept {
  if (bytes <= kSmallClasses * kStep) {
    return static_cast<unsigned>((bytes + kStep - 1) / kStep) - 1;
  }
  return kSmallClasses + static_cast<unsigned>(std::bit_width(bytes - 1)) - 11;
}

std::size_t RulesArena::class_bytes(unsigned size_class) noexcept {
  return size_class < kSmallClasses ? (size_class + 1) * kStep
                                    : std::size_t{1} << (size_class - kSmallClasses + 11);
}

ArenaRef RulesArena::allocate(std::size_t bytes) noexcept {
  if (bytes == 0 || bytes > kBytesMax) return 0;
  const unsigned c = size_class(bytes);
  const std::size_t rounded = class_bytes(c);
  if (free_[c] != 0) {
    const ArenaRef ref = free_[c];
    std::memcpy(&free_[c], at<std::byte>(ref), sizeof(ArenaRef));
    live_ += rounded;
    return ref;
  }
  // A whole number of lines starts on a line; smaller objects follow each other.
  std::size_t start = used_;
  if (rounded % kCacheLine == 0) start = (start + kCacheLine - 1) & ~(kCacheLine - 1);
  if (start + rounded > size_) return 0;
  used_ = start + rounded;
  live_ += rounded;
  return static_cast<ArenaRef>(static_cast<std::size_t>(section_ + start - base_) / 8);
}

void RulesArena::free(ArenaRef ref, std::size_t bytes) noexcept {
  if (ref == 0) return;
  const unsigned c = size_class(bytes);
  std::memcpy(at<std::byte>(ref), &free_[c], sizeof(ArenaRef));
  free_[c] = ref;
  live_ -= class_bytes(c);
}

}  // namespace sluice
