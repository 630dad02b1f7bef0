#include "session/table/route_table.h"

namespace sluice {

bool RouteTable::find(const std::uint32_t (&address)[4], bool is_v6, std::uint8_t port,
                      SessionIndex& session) const noexcept {
  for (unsigned word = 3; word-- > 0;) {
    std::uint64_t lengths = lengths_[is_v6][word].load(std::memory_order_relaxed);
    while (lengths != 0) {
      const unsigned bit = 63 - static_cast<unsigned>(std::countl_zero(lengths));
      lengths &= ~(1ull << bit);
      Route route{{}, static_cast<std::uint8_t>(word * 64 + bit), is_v6, 0};
      for (unsigned i = 0; i < 4; ++i) route.words[i] = address[i] & route.mask(i);
      if (table_.find(route.fold(), port, session)) return true;
    }
  }
  return false;
}

bool RouteTable::insert(const Route& route, std::uint8_t port, SessionIndex session) noexcept {
  if (!table_.insert(route.fold(), port, session)) return false;
  if (counts_[route.is_v6][route.length]++ == 0) {
    lengths_[route.is_v6][route.length / 64].fetch_or(1ull << route.length % 64,
                                                      std::memory_order_relaxed);
  }
  return true;
}

void RouteTable::erase(const Route& route, std::uint8_t port) noexcept {
  if (!table_.erase(route.fold(), port)) return;
  if (--counts_[route.is_v6][route.length] == 0) {
    lengths_[route.is_v6][route.length / 64].fetch_and(~(1ull << route.length % 64),
                                                       std::memory_order_relaxed);
  }
}

}  // namespace sluice
