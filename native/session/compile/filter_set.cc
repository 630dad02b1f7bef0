#include "session/compile/filter_set.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {
std::uint64_t hash_bytes(const std::byte* bytes, std::size_t size) noexcept {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes + i, 8);
    hash = (hash ^ word) * 0xff51afd7ed558ccd;
    hash ^= hash >> 32;
  }
  return hash;
}

/// Of 16 bits of an address under a mask; false: they are no range.
bool range_of_word(const std::uint8_t* value, const std::uint8_t* mask, FilterRange& out) noexcept {
  const unsigned bits = unsigned{value[0]} << 8 | value[1];
  const unsigned free = ~(unsigned{mask[0]} << 8 | mask[1]) & 0xffff;
  out = {static_cast<std::uint16_t>(bits), static_cast<std::uint16_t>(bits | free)};
  return (free & (free + 1)) == 0;
}

/// The lanes of the operand, of which IPv6 has no addresses.
void append_lanes(const Filter& f, std::vector<FilterRange>& out) {
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const bool any = f.is_v6 && lane < kProtocol;
    out.push_back(any ? FilterRange{0, 0xffff} : FilterRange{f.low[lane], f.high[lane]});
  }
}

bool append_addresses(const Filter& f, std::vector<FilterRange>& out) {
  bool are_ranges = true;
  for (const auto& [value, mask] :
       {std::pair{f.remote, f.remote_mask}, std::pair{f.local, f.local_mask}}) {
    for (unsigned word = 0; word < 16; word += 2) {
      are_ranges &= range_of_word(value + word, mask + word, out.emplace_back());
    }
  }
  return are_ranges;
}

}  // namespace

/// Empty: they are compared one by one.
void FilterSets::make_index(std::span<const Filter> filters, bool is_v6,
                            std::vector<std::byte>& out) {
  out.clear();
  ranges_.clear();
  unsigned count = 0;
  bool are_ranges = true;
  for (const Filter& f : filters) {
    if (f.is_v6 != is_v6) continue;
    ++count;
    append_lanes(f, ranges_);
    if (is_v6) are_ranges &= append_addresses(f, ranges_);
  }
  if (count <= kComparedMost || !are_ranges) return;
  FilterIndex::make(ranges_, is_v6 ? FilterIndex::kDimensionsMax : FilterIndex::kLanes, out);
}

void FilterSets::lay_out(std::span<const Filter> filters, unsigned count4) {
  const auto count6 = static_cast<unsigned>(filters.size()) - count4;
  make_index(filters, false, index4_);
  make_index(filters, true, index6_);
  const std::size_t plain = FilterSet::size(count4, count6);
  const std::size_t size = plain + index4_.size() + index6_.size();
  const std::size_t alignment = kCacheLine - 1;
  scratch_.assign(size + alignment, std::byte{0});
  auto* set = reinterpret_cast<FilterSet*>(
      (reinterpret_cast<std::uintptr_t>(scratch_.data()) + alignment) & ~alignment);
  set->bytes = static_cast<std::uint32_t>(size);
  set->count4 = static_cast<std::uint16_t>(count4);
  set->compared4 = static_cast<std::uint16_t>(index4_.empty() ? count4 : 0);
  set->count6 = static_cast<std::uint16_t>(count6);
  set->compared6 = static_cast<std::uint16_t>(index6_.empty() ? count6 : 0);
  set->lines6 = static_cast<std::uint16_t>(1 + (count4 + 1) / 2);
  auto* pairs = const_cast<FilterPair*>(set->pairs());
  auto* sixes = const_cast<Filter6*>(set->filters6());
  auto* extra = const_cast<FilterExtra*>(set->extra());
  if (count4 % 2 != 0) {
    // The odd one's partner is an empty box: no value is at least 1 and at most 0.
    std::fill_n(pairs[count4 / 2].low[1], kLanes, std::uint16_t{1});
  }
  unsigned i4 = 0, i6 = 0;
  for (const Filter& f : filters) {
    if (f.is_v6) {
      Filter6& to = sixes[i6];
      std::memcpy(to.remote, f.remote, 16);
      std::memcpy(to.remote_mask, f.remote_mask, 16);
      std::memcpy(to.local, f.local, 16);
      std::memcpy(to.local_mask, f.local_mask, 16);
      std::memcpy(to.low, f.low + kProtocol, sizeof(to.low));
      std::memcpy(to.high, f.high + kProtocol, sizeof(to.high));
      to.hit = {f.extra.pdr, f.extra.flags};
      extra[count4 + i6++] = f.extra;
    } else {
      std::memcpy(pairs[i4 / 2].low[i4 % 2], f.low, sizeof(f.low));
      std::memcpy(pairs[i4 / 2].high[i4 % 2], f.high, sizeof(f.high));
      if (i4 < kHitsNear) set->hits[i4] = {f.extra.pdr, f.extra.flags};
      extra[i4++] = f.extra;
    }
  }
  auto* const end = reinterpret_cast<std::byte*>(set) + plain;
  if (!index4_.empty()) {
    set->index4 = static_cast<std::uint32_t>(plain / kCacheLine);
    std::copy(index4_.begin(), index4_.end(), end);
  }
  if (!index6_.empty()) {
    set->index6 = static_cast<std::uint32_t>((plain + index4_.size()) / kCacheLine);
    std::copy(index6_.begin(), index6_.end(), end + index4_.size());
  }
  set->hash = 0;
  set->hash = hash_bytes(reinterpret_cast<std::byte*>(set), size);
}

ArenaRef FilterSets::acquire(std::span<const Filter> filters) {
  const auto count4 = static_cast<unsigned>(
      std::count_if(filters.begin(), filters.end(), [](const Filter& f) { return !f.is_v6; }));
  lay_out(filters, count4);
  const auto* made = reinterpret_cast<const FilterSet*>(
      (reinterpret_cast<std::uintptr_t>(scratch_.data()) + kCacheLine - 1) & ~(kCacheLine - 1));
  const auto [from, to] = by_hash_.equal_range(made->hash);
  for (auto it = from; it != to; ++it) {
    const auto* there = arena_.at<FilterSet>(it->second);
    if (there->bytes == made->bytes && std::memcmp(there, made, made->bytes) == 0) {
      ++references_[it->second];
      return it->second;
    }
  }
  const ArenaRef ref = arena_.allocate(made->bytes);
  if (ref == 0) return 0;
  std::memcpy(arena_.at<std::byte>(ref), made, made->bytes);
  by_hash_.emplace(made->hash, ref);
  references_.emplace(ref, 1);
  return ref;
}

void FilterSets::release(ArenaRef ref) {
  const auto it = references_.find(ref);
  if (it == references_.end() || --it->second != 0) return;
  const auto* set = arena_.at<FilterSet>(ref);
  const auto [from, to] = by_hash_.equal_range(set->hash);
  for (auto entry = from; entry != to; ++entry) {
    if (entry->second == ref) {
      by_hash_.erase(entry);
      break;
    }
  }
  references_.erase(it);
  arena_.free(ref, set->bytes);
}

}  // namespace sluice
