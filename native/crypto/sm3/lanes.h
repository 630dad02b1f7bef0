// Many streams in one vector, one per lane, by what an `Ops` adds to those of rounds.h: kLanes,
// load and store of kLanes numbers, and load_block, which turns one block of each lane into 16
// vectors.
#pragma once
#include "crypto/sm3/kernels.h"
#include "crypto/sm3/rounds.h"

namespace sluice::crypto::sm3 {

template <class Ops>
[[gnu::always_inline]] inline void compress_in_lanes(std::uint32_t* states,
                                                     const std::byte* const* blocks,
                                                     std::size_t count) noexcept {
  constexpr unsigned kLanes = Ops::kLanes;
  State<Ops> s{Ops::load(states),
               Ops::load(states + kLanes),
               Ops::load(states + 2 * kLanes),
               Ops::load(states + 3 * kLanes),
               Ops::load(states + 4 * kLanes),
               Ops::load(states + 5 * kLanes),
               Ops::load(states + 6 * kLanes),
               Ops::load(states + 7 * kLanes)};
  for (std::size_t i = 0; i < count; ++i) {
    typename Ops::Word w[16];
    Ops::load_block(blocks, i * kBlockBytes, w);
    compress_block<Ops>(s, w);
  }
  Ops::store(states, s.a);
  Ops::store(states + kLanes, s.b);
  Ops::store(states + 2 * kLanes, s.c);
  Ops::store(states + 3 * kLanes, s.d);
  Ops::store(states + 4 * kLanes, s.e);
  Ops::store(states + 5 * kLanes, s.f);
  Ops::store(states + 6 * kLanes, s.g);
  Ops::store(states + 7 * kLanes, s.h);
}

}  // namespace sluice::crypto::sm3
