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

void AddressSieve::add_own(unsigned first_octet, bool is_v6) noexcept {
  const unsigned at = (is_v6 ? 256u : 0u) | first_octet;
  counts_->always[at] = true;
  set(at, kUplink);
}

void AddressSieve::count(const Route& route, bool more) noexcept {
  if (!looks_for_ues_) return;
  const bool v6 = route.is_v6;
  const unsigned first = route.words[0] >> 16;
  const unsigned halves = route.length >= 16 ? 1 : 1u << (16 - route.length);
  for (unsigned half = first; half < first + halves; ++half) {
    std::uint32_t& in_half = counts_->halves[v6][half];
    const std::uint64_t bit = 1ull << half % 64;
    const unsigned at = (v6 ? 256u : 0u) | half >> 8;
    if (more ? in_half++ != 0 : --in_half != 0) continue;
    if (more) {
      halves_[v6][half / 64].fetch_or(bit, std::memory_order_relaxed);
      if (counts_->octets[at]++ == 0) set(at, kUplink);
    } else {
      halves_[v6][half / 64].fetch_and(~bit, std::memory_order_relaxed);
      if (--counts_->octets[at] == 0 && !counts_->always[at]) {
        octets_[at].store(0, std::memory_order_relaxed);
      }
    }
  }
}

}  // namespace sluice
