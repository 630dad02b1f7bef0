// What packets find a session by: its further TEIDs, UE addresses and framed routes.
#include <algorithm>
#include <bit>

#include "session/compile/compiler.h"

namespace sluice {
using namespace record;
namespace {

constexpr std::size_t kRoutesMax = 255;  ///< of a session: an octet counts them

template <typename F>
void for_each_bit(unsigned mask, F&& f) {
  for (; mask != 0; mask &= mask - 1) f(static_cast<unsigned>(std::countr_zero(mask)));
}

struct RouteKey {
  std::uint64_t key;
  TableKey::Kind kind;
};

RouteKey key_of(const Route& route) noexcept {
  if (!route.is_v6 && route.length == 32) return {route.words[0], TableKey::Kind::Ipv4};
  if (route.is_v6 && route.length == 64) {
    return {std::uint64_t{route.words[0]} << 32 | route.words[1], TableKey::Kind::Ipv6};
  }
  return {0, TableKey::Kind::Route};
}

}  // namespace

std::uint16_t local_mask_of(const NetworkMap& network, const std::uint32_t* p) noexcept {
  std::uint16_t mask = 0;
  for (unsigned i = 0; i < network.locals.size(); ++i) {
    const LocalAddress& local = network.locals[i];
    const bool mine =
        local.is_v6 ? (p[pdr::FTeid] & pdr::kFTeidIpv6) &&
                          std::equal(local.words, local.words + 4, p + pdr::LocalIpv6)
                    : (p[pdr::FTeid] & pdr::kFTeidIpv4) && local.words[0] == p[pdr::LocalIpv4];
    if (mine) mask = static_cast<std::uint16_t>(mask | 1u << i);
  }
  return mask;
}

PrepareError Compiler::collect_routes(const RecordReader& record) {
  routes_.clear();
  std::fill(std::begin(is_routed_), std::end(is_routed_), false);
  for (unsigned i = 0; i < record.pdrs(); ++i) {
    Direction direction;
    if (!direction_of(record.pdr(i), direction)) continue;
    for_each_route(record, record.pdr(i), [&](const Route& route) {
      is_routed_[static_cast<unsigned>(direction)] = true;
      if (std::find(routes_.begin(), routes_.end(), route) == routes_.end()) {
        routes_.push_back(route);
      }
    });
    if (routes_.size() > kRoutesMax) return {PrepareStatus::Resources, i};
  }
  return {};
}

PrepareError Compiler::keys(const RecordReader& record, std::uint32_t direct_teid,
                            std::vector<TableKey>& out) const {
  out.clear();
  const auto add = [&](std::uint64_t key, TableKey::Kind kind, unsigned qualifier, unsigned pdr,
                       const Route& route = {}) {
    const TableKey made{key, kind, static_cast<std::uint8_t>(qualifier),
                        static_cast<std::uint16_t>(pdr), route};
    for (const auto& there : out) {
      if (there.same_place(made)) return;
    }
    out.push_back(made);
  };
  PortMask ue_ports = 0;
  unsigned ue_pdr = 0;
  for (unsigned i = 0; i < record.pdrs(); ++i) {
    const std::uint32_t* p = record.pdr(i);
    Direction d;
    if (!direction_of(p, d)) continue;
    const bool tunnel = (p[pdr::FTeid] & pdr::kFTeidPresent) != 0;
    if (tunnel && (p[pdr::Teid] != direct_teid || d != Direction::Uplink)) {
      for_each_bit(local_mask_of(network_, p), [&](unsigned local) {
        add(std::uint64_t{local} << 32 | p[pdr::Teid], TableKey::Kind::Teid, local, i);
      });
    }
    if (!tunnel && d == Direction::Downlink) {
      const PortMask mask = network_.mask(false, record.text(p[pdr::Instance]));
      if (mask == 0) return {PrepareStatus::Instance, i};
      ue_ports |= mask;
      ue_pdr = i;
      unsigned position = 0;
      for_each_route(record, p, [&](const Route& route) {
        const RouteKey key = key_of(route);
        const unsigned place = i | ++position << 8;
        for_each_bit(mask, [&](unsigned port) { add(key.key, key.kind, port, place, route); });
      });
    }
  }
  const std::uint32_t flags = record.header(header::Flags);
  for_each_bit(ue_ports, [&](unsigned port) {
    if (flags & header::kUeIpv4)
      add(record.header(header::UeIpv4), TableKey::Kind::Ipv4, port, ue_pdr);
    if (flags & header::kUeIpv6) {
      add(std::uint64_t{record.header(header::UePrefixHigh)} << 32 |
              record.header(header::UePrefixLow),
          TableKey::Kind::Ipv6, port, ue_pdr);
    }
  });
  return {};
}

}  // namespace sluice
