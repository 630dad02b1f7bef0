// Which sequence numbers of an association have come: the newest one and a bit for each of those
// before it. One thread. Source: RFC 4303 section 3.4.3 and appendix A2.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/counter.h"

namespace sluice::crypto {

inline constexpr unsigned kReplayWindowMax = 4096;

/// Any thread may ask it, and gets the view of a moment.
class ReplayWindow {
 public:
  /// @param size  packets, a power of two from 64 to kReplayWindowMax
  explicit ReplayWindow(unsigned size, std::uint64_t newest = 0) noexcept
      : size_(size), newest_(newest) {}
  /// Of numbers up to `newest` all have come, for all that is known.
  static ReplayWindow all_seen(unsigned size, std::uint64_t newest) noexcept {
    ReplayWindow window(size, newest);
    if (newest != 0) window.words_.fill(~std::uint64_t{0});
    // In the word of the newest one, those beyond it are to come.
    window.words_[word_of(newest)] =
        newest == 0 ? std::uint64_t{0} : ~std::uint64_t{0} >> (63 - newest % 64);
    return window;
  }

  std::uint64_t newest() const noexcept { return newest_; }

  /// The whole sequence number whose lower half a packet has, as close to the window as can be:
  /// before its lower edge it is one of the next 2^32. Source: appendix A2.2.
  std::uint64_t extended(std::uint32_t low) const noexcept {
    const std::uint64_t edge = newest_ < size_ ? 0 : newest_ - size_ + 1;
    const std::uint64_t base = edge & ~std::uint64_t{0xffffffff};
    const std::uint64_t number = base | low;
    return number < edge ? number + (std::uint64_t{1} << 32) : number;
  }
  /// Whether a number is new: 0 is none, and one before the window may have come.
  bool is_new(std::uint64_t number) const noexcept {
    if (number == 0) return false;
    if (number > newest_) return true;
    if (newest_ - number >= size_) return false;
    return (words_[word_of(number)] >> number % 64 & 1) == 0;
  }
  /// Takes a number whose packet has proved to be genuine. @return  false: it has come meanwhile.
  bool take(std::uint64_t number) noexcept {
    if (!is_new(number)) return false;
    if (number > newest_) {
      // Words are cleared as numbers reach them; in that of the newest one, none was beyond it.
      std::uint64_t last = number / 64;
      if (last - newest_ / 64 > kWords) last = newest_ / 64 + kWords;
      for (std::uint64_t i = newest_ / 64 + 1; i <= last; ++i)
        words_[i % kWords] = std::uint64_t{0};
      newest_ = number;
    }
    Counter& word = words_[word_of(number)];
    word = word | std::uint64_t{1} << number % 64;
    return true;
  }

 private:
  /// Twice the longest window: the word of the newest number never has bits of the oldest.
  static constexpr std::size_t kWords = 2 * kReplayWindowMax / 64;
  static std::size_t word_of(std::uint64_t number) noexcept { return number / 64 % kWords; }

  unsigned size_;
  Counter newest_;
  std::array<Counter, kWords> words_{};
};

}  // namespace sluice::crypto
