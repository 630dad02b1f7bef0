#include "session/table/route_table.h"

namespace sluice {

template <bool kV6>
bool RouteTable::find_in(const std::uint32_t (&address)[4], std::uint8_t port,
                         SessionIndex& session) const noexcept {
  std::uint32_t levels = levels_[kV6].load(std::memory_order_relaxed);
  while (levels != 0) {
    const unsigned level = 31 - static_cast<unsigned>(std::countl_zero(levels));
    levels ^= 1u << level;
    const std::uint32_t place = place_of<kV6>(address, level);
    std::uint32_t lengths = lengths_[place].load(std::memory_order_relaxed);
    while (lengths != 0) {
      const unsigned bit = 31 - static_cast<unsigned>(std::countl_zero(lengths));
      lengths ^= 1u << bit;
      const Route route = prefix_of<kV6>(address, first_length(level) + bit);
      if (table_.find(route.fold(), port, session)) return true;
    }
  }
  return false;
}

bool RouteTable::find(const std::uint32_t (&address)[4], bool is_v6, std::uint8_t port,
                      SessionIndex& session) const noexcept {
  return is_v6 ? find_in<true>(address, port, session) : find_in<false>(address, port, session);
}

bool RouteTable::insert(const Route& route, std::uint8_t port, SessionIndex session) {
  if (!table_.insert(route.fold(), port, session)) return false;
  const unsigned level = level_of(route.length), bit = route.length - first_length(level);
  const std::uint32_t place = place_of(route, level);
  if (of_bit_[place * 8 + bit]++ == 0) {
    lengths_[place].fetch_or(static_cast<std::uint8_t>(1u << bit), std::memory_order_relaxed);
  }
  if (of_level_[route.is_v6][level]++ == 0) {
    levels_[route.is_v6].fetch_or(1u << level, std::memory_order_relaxed);
  }
  return true;
}

void RouteTable::erase(const Route& route, std::uint8_t port) noexcept {
  if (!table_.erase(route.fold(), port)) return;
  const unsigned level = level_of(route.length), bit = route.length - first_length(level);
  const std::uint32_t place = place_of(route, level);
  if (--of_level_[route.is_v6][level] == 0) {
    levels_[route.is_v6].fetch_and(~(1u << level), std::memory_order_relaxed);
  }
  const auto routes = of_bit_.find(place * 8 + bit);
  if (--routes->second != 0) return;
  of_bit_.erase(routes);
  lengths_[place].fetch_and(static_cast<std::uint8_t>(~(1u << bit)), std::memory_order_relaxed);
}

}  // namespace sluice
