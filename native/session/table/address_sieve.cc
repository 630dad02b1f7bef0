#include "session/table/address_sieve.h"

#include <algorithm>

namespace sluice {

AddressSieve::AddressSieve() : counts_(new Counts()) {
  const auto both = static_cast<std::uint8_t>(kUplink | kDownlink);
  // This network, loopback, link-local; multicast and what is reserved.
  for (const unsigned octet : {0u, 127u, 169u}) set(octet, both);
  for (unsigned octet = 224; octet < 256; ++octet) set(octet, both);
  // Unspecified, loopback and mapped addresses; link-local; multicast.
  for (const unsigned octet : {0u, 0xfeu, 0xffu}) set(256 + octet, both);
  for (unsigned i = 0; i < 512; ++i) counts_->always[i] = octets_[i].load() != 0;
}

void AddressSieve::add_own(std::uint32_t first_word, bool is_v6) noexcept {
  const unsigned at = (is_v6 ? 256u : 0u) | first_word >> 24;
  counts_->always[at] = true;
  if (!is_v6) {
    set(at, kUplink);
    return;
  }
  set(at, kSome);
  count_places({{first_word, 0, 0, 0}, 32, true, 0}, true);
}

/// A short prefix has all the places, one of 20 bits and more as many as it has words.
void AddressSieve::count_places(const Route& route, bool more) noexcept {
  const unsigned words = route.length >= 32   ? 1
                         : route.length <= 20 ? kPlaces
                                              : 1u << (32 - route.length);
  const unsigned first = place_of(route.words[0] >> 16, route.words[0] & 0xffff);
  for (unsigned i = 0; i < words; ++i) {
    const unsigned place = (first + i) % kPlaces;
    std::uint32_t& there = counts_->places[place];
    const std::uint64_t bit = 1ull << place % 64;
    if (more ? there++ != 0 : --there != 0) continue;
    if (more) {
      places_[place / 64].fetch_or(bit, std::memory_order_relaxed);
    } else {
      places_[place / 64].fetch_and(~bit, std::memory_order_relaxed);
    }
  }
}

void AddressSieve::count(const Route& route, bool more) noexcept {
  if (!looks_for_ues_) return;
  const bool v6 = route.is_v6;
  const std::uint8_t look = v6 ? kSome : kUplink;
  const unsigned first = route.words[0] >> 16;
  const unsigned halves = route.length >= 16 ? 1 : 1u << (16 - route.length);
  if (v6) count_places(route, more);
  for (unsigned half = first; half < first + halves; ++half) {
    std::uint32_t& in_half = counts_->halves[v6][half];
    const std::uint64_t bit = 1ull << half % 64;
    const unsigned at = (v6 ? 256u : 0u) | half >> 8;
    if (more ? in_half++ != 0 : --in_half != 0) continue;
    if (more) {
      halves_[v6][half / 64].fetch_or(bit, std::memory_order_relaxed);
      if (counts_->octets[at]++ == 0) set(at, look);
    } else {
      halves_[v6][half / 64].fetch_and(~bit, std::memory_order_relaxed);
      if (--counts_->octets[at] == 0 && !counts_->always[at]) {
        octets_[at].fetch_and(static_cast<std::uint8_t>(~look), std::memory_order_relaxed);
      }
    }
  }
}

}  // namespace sluice
