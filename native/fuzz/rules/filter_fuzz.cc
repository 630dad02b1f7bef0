// Compiled filter sets: whatever the filters and the packet are, the vector compare finds the
// PDR that a plain loop over the filters finds; and a set that nobody holds is gone.
#include <algorithm>
#include <vector>

#include "fuzz/expect.h"
#include "session/compile/filter_set.h"

namespace {
using namespace sluice;

/// Bytes of the input, zeros behind its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint8_t byte() { return at_ < size_ ? data_[at_++] : 0; }
  std::uint16_t word() { return static_cast<std::uint16_t>(byte() << 8 | byte()); }
  bool ended() const { return at_ >= size_; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

Filter filter_of(Input& in, std::uint8_t pdr) {
  Filter f;
  const std::uint8_t kind = in.byte();
  f.is_v6 = (kind & 1) != 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    // Few bits, so that boxes and packets meet.
    f.low[lane] = in.byte() & 3;
    f.high[lane] = static_cast<std::uint16_t>(kind & 2 ? 0xffff : f.low[lane] + (in.byte() & 3));
  }
  if (f.is_v6) {
    for (unsigned i = 14; i < 16; ++i) {
      f.remote_mask[i] = in.byte();
      f.remote[i] = in.byte() & f.remote_mask[i];
      f.local_mask[i] = in.byte() & 1;
      f.local[i] = in.byte() & f.local_mask[i];
    }
  }
  f.extra.pdr = pdr;
  f.extra.flags = kind >> 6 == 3 ? kExtraPorts : 0;
  return f;
}

bool contains(const Filter& f, const Operand& operand, const std::uint8_t* remote,
              const std::uint8_t* local) {
  for (unsigned lane = f.is_v6 ? kProtocol : 0; lane < kLanes; ++lane) {
    const unsigned value = operand.lanes[lane];
    if (value < f.low[lane] || value > f.high[lane]) return false;
  }
  for (unsigned i = 0; f.is_v6 && i < 16; ++i) {
    if ((remote[i] & f.remote_mask[i]) != f.remote[i]) return false;
    if ((local[i] & f.local_mask[i]) != f.local[i]) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alignas(64) static std::byte section[1 << 20];
  // An offset of 0 means none: the section does not lie at the base.
  static RulesArena arena(section, section + kCacheLine, sizeof(section) - kCacheLine);
  static FilterSets sets(arena);
  Input in(data, size);
  std::vector<Filter> filters;
  for (unsigned n = in.byte() % 20; n > 0 && !in.ended(); --n) {
    filters.push_back(filter_of(in, static_cast<std::uint8_t>(filters.size())));
  }
  const ArenaRef ref = sets.acquire(filters);
  fuzz::expect(ref != 0 && sets.acquire(filters) == ref);
  const auto& set = *arena.at<FilterSet>(ref);
  for (unsigned packet = 0; packet < 4; ++packet) {
    Operand operand{};
    std::uint8_t remote[16] = {}, local[16] = {};
    for (auto& lane : operand.lanes) lane = in.byte() & 3;
    remote[15] = in.byte();
    local[15] = in.byte();
    const bool has_ports = (in.byte() & 1) != 0;
    const auto accepts = [&](const FilterExtra& e) {
      return !(e.flags & kExtraPorts) || has_ports;
    };
    for (const bool is_v6 : {false, true}) {
      unsigned expected = kNoPdr;
      for (const Filter& f : filters) {
        if (f.is_v6 != is_v6 || !contains(f, operand, remote, local) || !accepts(f.extra)) continue;
        expected = f.extra.pdr;
        break;
      }
      const unsigned found =
          is_v6 ? match_ipv6(set, operand, reinterpret_cast<const std::byte*>(remote),
                             reinterpret_cast<const std::byte*>(local),
                             has_ports ? kExtraPorts : 0u, accepts)
                : match_ipv4(set, operand, has_ports ? kExtraPorts : 0u, accepts);
      fuzz::expect(found == expected);
    }
  }
  sets.release(ref);
  sets.release(ref);
  fuzz::expect(sets.size() == 0 && arena.live() == 0);
  return 0;
}
