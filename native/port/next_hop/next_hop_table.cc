#include "port/next_hop/next_hop_table.h"

#include <algorithm>
#include <atomic>
#include <iterator>

#include "wire/bytes.h"

namespace sluice {
namespace {

HopAddress mask_of(unsigned length) noexcept {
  const auto ones = [](unsigned bits) { return bits == 0 ? 0 : ~std::uint64_t{0} << (64 - bits); };
  return {ones(std::min(length, 64U)), ones(length > 64 ? length - 64 : 0)};
}

HopAddress masked(const HopAddress& address, const HopAddress& mask) noexcept {
  return {address.high & mask.high, address.low & mask.low};
}

}  // namespace

HopAddress HopAddress::of(const void* bytes, bool is_v6) noexcept {
  const auto* from = static_cast<const std::byte*>(bytes);
  if (is_v6) return {wire::load64(from), wire::load64(from + 8)};
  return {~std::uint64_t{0}, std::uint64_t{0xffff'ffff} << 32 | wire::load32(from)};
}

HopAddress HopAddress::destination_of(const std::byte* packet) noexcept {
  const bool is_v6 = static_cast<unsigned>(packet[0]) >> 4 == 6;
  return of(packet + (is_v6 ? 24 : 16), is_v6);
}

void NextHopTable::add_route(HopAddress prefix, unsigned length, std::uint32_t metric,
                             const HopAddress* gateway) {
  routes_.push_back({masked(prefix, mask_of(length)), gateway != nullptr ? *gateway : HopAddress{},
                     metric, static_cast<std::uint8_t>(length), gateway != nullptr});
}

void NextHopTable::add_neighbour(const Neighbour& neighbour) { neighbours_.push_back(neighbour); }

void NextHopTable::finish() {
  std::ranges::sort(routes_, [](const Route& a, const Route& b) {
    if (a.length != b.length) return a.length > b.length;
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    return a.metric < b.metric;
  });
  // Of several routes to one network only the best is ever taken.
  const auto same = [](const Route& a, const Route& b) {
    return a.length == b.length && a.prefix == b.prefix;
  };
  routes_.erase(std::unique(routes_.begin(), routes_.end(), same), routes_.end());
  levels_.clear();
  for (std::uint32_t i = 0; i < routes_.size(); ++i) {
    if (levels_.empty() || levels_.back().length != routes_[i].length) {
      levels_.push_back({mask_of(routes_[i].length), i, i, routes_[i].length});
    }
    ++levels_.back().end;
  }
  std::ranges::sort(neighbours_, {}, &Neighbour::address);
  used_.assign(neighbours_.size(), 0);
}

const NextHopTable::Route* NextHopTable::route_to(const HopAddress& to) const noexcept {
  const unsigned least = to.is_v4() ? kIpv4Bits : 0;  // an IPv6 default route is not IPv4's
  for (const Level& level : levels_) {
    if (level.length < least) break;
    const HopAddress wanted = masked(to, level.mask);
    const auto* const begin = routes_.data() + level.begin;
    const auto* const end = routes_.data() + level.end;
    const auto* const found = std::lower_bound(
        begin, end, wanted, [](const Route& r, const HopAddress& a) { return r.prefix < a; });
    if (found != end && found->prefix == wanted) return found;
  }
  return nullptr;
}

const Neighbour* NextHopTable::find(const HopAddress& to) const noexcept {
  const Route* route = route_to(to);
  if (route == nullptr) return nullptr;
  const HopAddress& hop = route->has_gateway ? route->gateway : to;
  const auto found = std::ranges::lower_bound(neighbours_, hop, {}, &Neighbour::address);
  if (found == neighbours_.end() || found->address != hop) return nullptr;
  // Relaxed, here and in take_used(): it is a hint; a look first keeps the line shared.
  std::atomic_ref<std::uint8_t> used(used_[static_cast<std::size_t>(found - neighbours_.begin())]);
  if (used.load(std::memory_order_relaxed) == 0) used.store(1, std::memory_order_relaxed);
  return &*found;
}

bool NextHopTable::reach_of(const HopAddress& to, Reach& reach) const noexcept {
  const Route* const route = to.is_v4() ? route_to(to) : nullptr;
  if (route == nullptr || !route->has_gateway) return false;
  const auto range = [](const Route& of) {
    return Reach::Range{static_cast<std::uint32_t>(of.prefix.low),
                        static_cast<std::uint32_t>(mask_of(of.length).low)};
  };
  reach = {.whole = range(*route), .excepted = {}, .exceptions = 0};
  const HopAddress mask = mask_of(route->length);
  for (const Route& longer : routes_) {
    if (longer.length <= route->length) break;
    if (masked(longer.prefix, mask) != route->prefix) continue;
    if (reach.exceptions == std::size(reach.excepted)) return false;
    reach.excepted[reach.exceptions++] = range(longer);
  }
  return true;
}

std::vector<HopAddress> NextHopTable::take_used() noexcept {
  std::vector<HopAddress> addresses;
  for (std::size_t i = 0; i < neighbours_.size(); ++i) {
    std::atomic_ref<std::uint8_t> used(used_[i]);
    if (used.exchange(0, std::memory_order_relaxed) != 0 && !neighbours_[i].is_fixed) {
      addresses.push_back(neighbours_[i].address);
    }
  }
  return addresses;
}

}  // namespace sluice
