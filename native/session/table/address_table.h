// Tables by address: (network instance's port, UE IPv4), (port, UE /64), (local address,
// TEID). One writer, the control thread; workers read without locks while it writes.
//
// A bucket is one cache line and entries never move, so that a reader which races with a
// change of other keys still finds its own; deletion clears the entry, leaves no tombstone
// and gives an emptied overflow line back. What a reader finds is a session index whose
// FlowState it checks anyway, so a torn 16-byte read ends as a miss, never as a mix-up.
#pragma once
#include <atomic>
#include <bit>
#include <cstdint>

#include "memory/fetch.h"
#include "memory/region.h"
#include "session/teid.h"

#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>
#define SLUICE_TABLE_AVX2 1
#endif

namespace sluice {

/// Mixing with a secret, so that nobody chooses addresses that fall into one bucket.
struct HashSecret {
  std::uint64_t add;
  std::uint64_t multiply;  ///< odd
  std::uint64_t operator()(std::uint64_t key) const noexcept {
    const std::uint64_t x = (key + add) * multiply;
    return (x ^ (x >> 32)) * multiply;
  }
};

/// Line of 7 entries {key 32, qualifier 8, session + 1 24} and a link.
struct CompactLine {
  static constexpr unsigned kEntries = 7;
  alignas(kCacheLine) std::atomic<std::uint64_t> entries[kEntries];
  std::atomic<std::uint64_t> link;  ///< index of the overflow line, 0: none

  static std::uint64_t word(std::uint64_t key, std::uint8_t qualifier) noexcept {
    return key << 32 | std::uint64_t{qualifier} << 24;
  }
  SessionIndex find(std::uint64_t key, std::uint8_t qualifier) const noexcept {
    const std::uint64_t want = word(key, qualifier) >> 24;
#ifdef SLUICE_TABLE_AVX2
    const auto* line = reinterpret_cast<const __m256i*>(this);
    const __m256i wanted = _mm256_set1_epi64x(static_cast<long long>(want));
    const __m256i low = _mm256_load_si256(line);
    const __m256i high = _mm256_load_si256(line + 1);
    const auto mask_of = [&](__m256i v) {
      return static_cast<unsigned>(_mm256_movemask_pd(
          _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_srli_epi64(v, 24), wanted))));
    };
    unsigned mask = (mask_of(low) | mask_of(high) << 4) & 0x7f;
    // Usually one; a free entry looks like key 0 of qualifier 0.
    for (; mask != 0; mask &= mask - 1) {
      const auto i = static_cast<unsigned>(std::countr_zero(mask));
      const std::uint64_t entry = entries[i].load(std::memory_order_acquire);
      if (entry >> 24 != want || (entry & kSessionIndexMax) == 0) continue;
      return static_cast<SessionIndex>(entry & kSessionIndexMax) - 1;
    }
    return kNoSession;
#else
    for (const auto& slot : entries) {
      // Pairs with the release in set(): the line's flows were initialised before.
      const std::uint64_t entry = slot.load(std::memory_order_acquire);
      if (entry >> 24 == want && (entry & kSessionIndexMax) != 0) {
        return static_cast<SessionIndex>(entry & kSessionIndexMax) - 1;
      }
    }
    return kNoSession;
#endif
  }
  int position(std::uint64_t key, std::uint8_t qualifier) const noexcept {
    const std::uint64_t want = word(key, qualifier) >> 24;
    for (unsigned i = 0; i < kEntries; ++i) {
      const std::uint64_t entry = entries[i].load(std::memory_order_relaxed);
      if (entry >> 24 == want && (entry & kSessionIndexMax) != 0) return static_cast<int>(i);
    }
    return -1;
  }
  bool free_at(unsigned i) const noexcept {
    return (entries[i].load(std::memory_order_relaxed) & kSessionIndexMax) == 0;
  }
  void set(unsigned i, std::uint64_t key, std::uint8_t qualifier, SessionIndex session) noexcept {
    // Pairs with the acquire in find().
    entries[i].store(word(key, qualifier) | (session + 1), std::memory_order_release);
  }
  void clear(unsigned i) noexcept { entries[i].store(0, std::memory_order_release); }
};

/// Line of 4 entries {key 64, session + 1 32, qualifier 8}; the first holds the link.
struct WideLine {
  static constexpr unsigned kEntries = 4;
  struct Entry {
    std::atomic<std::uint64_t> key;
    std::atomic<std::uint32_t> value;  ///< session + 1; 0: free
    std::atomic<std::uint32_t> extra;  ///< qualifier | (entry 0 only) link << 8
  };
  alignas(kCacheLine) Entry entries[kEntries];

  SessionIndex find(std::uint64_t key, std::uint8_t qualifier) const noexcept {
    for (unsigned mask = with_key(key); mask != 0; mask &= mask - 1) {
      const Entry& e = entries[std::countr_zero(mask) / 2];
      // Pairs with the release in set(): key and qualifier were written before the value.
      const std::uint32_t value = e.value.load(std::memory_order_acquire);
      if (value == 0 || (e.extra.load(std::memory_order_relaxed) & 0xff) != qualifier) continue;
      return value - 1;
    }
    return kNoSession;
  }
  /// Bit 2 n: entry n has the key. Mostly one has, free ones may.
  unsigned with_key(std::uint64_t key) const noexcept {
#ifdef SLUICE_TABLE_AVX2
    const auto* line = reinterpret_cast<const __m256i*>(this);
    const __m256i wanted = _mm256_set1_epi64x(static_cast<long long>(key));
    const auto mask_of = [&](__m256i two) {
      return static_cast<unsigned>(
          _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(two, wanted))));
    };
    return (mask_of(_mm256_load_si256(line)) | mask_of(_mm256_load_si256(line + 1)) << 4) & 0x55;
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < kEntries; ++i) {
      mask |= entries[i].key.load(std::memory_order_relaxed) == key ? 1u << (2 * i) : 0;
    }
    return mask;
#endif
  }
  int position(std::uint64_t key, std::uint8_t qualifier) const noexcept {
    for (unsigned i = 0; i < kEntries; ++i) {
      if (!free_at(i) && entries[i].key.load(std::memory_order_relaxed) == key &&
          (entries[i].extra.load(std::memory_order_relaxed) & 0xff) == qualifier) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }
  bool free_at(unsigned i) const noexcept {
    return entries[i].value.load(std::memory_order_relaxed) == 0;
  }
  void set(unsigned i, std::uint64_t key, std::uint8_t qualifier, SessionIndex session) noexcept {
    Entry& e = entries[i];
    const std::uint32_t link = e.extra.load(std::memory_order_relaxed) & ~0xffu;
    e.key.store(key, std::memory_order_relaxed);
    e.extra.store(link | qualifier, std::memory_order_relaxed);
    // Pairs with the acquire in find().
    e.value.store(session + 1, std::memory_order_release);
  }
  void clear(unsigned i) noexcept { entries[i].value.store(0, std::memory_order_release); }
};

inline std::uint64_t line_link(const CompactLine& line) noexcept {
  return line.link.load(std::memory_order_acquire);
}
inline void set_line_link(CompactLine& line, std::uint64_t link) noexcept {
  line.link.store(link, std::memory_order_release);
}
inline std::uint64_t line_link(const WideLine& line) noexcept {
  return line.entries[0].extra.load(std::memory_order_acquire) >> 8;
}
inline void set_line_link(WideLine& line, std::uint64_t link) noexcept {
  auto& extra = line.entries[0].extra;
  extra.store(
      (extra.load(std::memory_order_relaxed) & 0xff) | static_cast<std::uint32_t>(link << 8),
      std::memory_order_release);
}

template <typename Line>
class AddressTable {
 public:
  static constexpr unsigned kChainMax = 8;  ///< overflow lines that a reader follows

  /// Lines for `keys` keys at a load of about a half, and an eighth again for overflow.
  static std::uint32_t lines(std::uint32_t keys) noexcept {
    const std::uint32_t wanted = keys / (Line::kEntries == 7 ? 4 : 2) + 1;
    return std::bit_ceil(wanted < 16 ? 16 : wanted);
  }
  static std::size_t bytes(std::uint32_t keys) noexcept {
    const std::size_t n = lines(keys);
    return (n + n / 8 + 16) * sizeof(Line);
  }

  /// @param memory  zeroed, bytes(keys) long, line aligned.
  AddressTable(void* memory, std::uint32_t keys, HashSecret secret) noexcept
      : lines_(static_cast<Line*>(memory)),
        shift_(64 - std::countr_zero(lines(keys))),
        secret_(secret),
        next_spare_(lines(keys)),
        end_(lines(keys) + lines(keys) / 8 + 16) {
    if (next_spare_ == 0) next_spare_ = 1;
  }

  /// Puts a key's line on its way. Any worker.
  /// @return the line, for fetch_near() and find_at(): of this key and table alone, for as long as
  ///         it lives.
  const void* fetch(std::uint64_t key) const noexcept {
    const void* const line = &lines_[home(key)];
    fetch_far(line);
    return line;
  }

  /// Any worker. False: it is nobody's, and `session` stays as it is.
  bool find(std::uint64_t key, std::uint8_t qualifier, SessionIndex& session) const noexcept {
    const SessionIndex found = find_at(&lines_[home(key)], key, qualifier);
    if (found == kNoSession) return false;
    session = found;
    return true;
  }
  /// kNoSession: it is nobody's.
  SessionIndex find_at(const void* home, std::uint64_t key, std::uint8_t qualifier) const noexcept {
    const auto* line = static_cast<const Line*>(home);
    for (unsigned depth = 0; depth <= kChainMax; ++depth) {
      const SessionIndex found = line->find(key, qualifier);
      if (__builtin_expect(found != kNoSession, 1)) return found;
      const std::uint64_t link = line_link(*line);
      if (link == 0 || link >= end_) break;
      line = &lines_[link];
    }
    return kNoSession;
  }

  /// Control thread. False when the chain or the spare lines are used up.
  /// The key must not be present.
  bool insert(std::uint64_t key, std::uint8_t qualifier, SessionIndex session) noexcept {
    Line* line = &lines_[home(key)];
    for (unsigned depth = 0;; ++depth) {
      for (unsigned i = 0; i < Line::kEntries; ++i) {
        if (line->free_at(i)) {
          line->set(i, key, qualifier, session);
          ++size_;
          return true;
        }
      }
      std::uint64_t link = line_link(*line);
      if (link == 0) {
        if (depth == kChainMax || (link = take_spare()) == 0) return false;
        lines_[link].set(0, key, qualifier, session);
        set_line_link(*line, link);
        ++size_;
        return true;
      }
      line = &lines_[link];
    }
  }

  /// Keys that are in it. Control thread: it asks this first, because even a look into memory
  /// that nothing was written to makes the kernel provide it.
  std::uint32_t size() const noexcept { return size_; }

  /// Control thread. False when the key is not there.
  bool erase(std::uint64_t key, std::uint8_t qualifier) noexcept {
    Line* previous = nullptr;
    Line* line = &lines_[home(key)];
    for (;;) {
      const int i = line->position(key, qualifier);
      const std::uint64_t link = line_link(*line);
      if (i >= 0) {
        line->clear(static_cast<unsigned>(i));
        --size_;
        if (previous != nullptr && link == 0 && empty(*line)) {
          set_line_link(*previous, 0);
          give_spare(static_cast<std::uint64_t>(line - lines_));
        }
        return true;
      }
      if (link == 0) return false;
      previous = line;
      line = &lines_[link];
    }
  }

 private:
  std::uint64_t home(std::uint64_t key) const noexcept { return secret_(key) >> shift_; }
  static bool empty(const Line& line) noexcept {
    for (unsigned i = 0; i < Line::kEntries; ++i) {
      if (!line.free_at(i)) return false;
    }
    return true;
  }
  // Free spare lines are linked through their own link word.
  std::uint64_t take_spare() noexcept {
    if (free_spare_ != 0) {
      const std::uint64_t spare = free_spare_;
      free_spare_ = line_link(lines_[spare]);
      set_line_link(lines_[spare], 0);
      return spare;
    }
    return next_spare_ < end_ ? next_spare_++ : 0;
  }
  void give_spare(std::uint64_t spare) noexcept {
    set_line_link(lines_[spare], free_spare_);
    free_spare_ = spare;
  }

  Line* lines_;
  unsigned shift_;
  HashSecret secret_;
  std::uint64_t next_spare_;
  std::uint64_t end_;
  std::uint64_t free_spare_ = 0;
  std::uint32_t size_ = 0;
};

using Ipv4Table = AddressTable<CompactLine>;
using WideTable = AddressTable<WideLine>;

}  // namespace sluice
