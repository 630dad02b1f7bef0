// Finding a session, in TSC cycles a lookup: bursts of 32, lines fetched for the whole burst before
// any is touched, in two steps as the pipeline does it, keys drawn uniformly at random. "teid" is
// the direct TEID with the comparison in the session's line, "ue4" and "ue6" are the tables by UE
// address.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/draws.h"
#include "bench/path/packet_path.h"
#include "memory/fetch.h"

namespace {
using namespace sluice;

constexpr unsigned kBurst = 32;
using bench::draws;
constexpr unsigned kDraws = 1u << 20;

/// Cycles a lookup; negative when a key was not found.
/// @param fetch  puts a key's line on its way, and says where it is, for `find`.
template <typename Fetch, typename Find>
double measure(const bench::Options& options, Fetch&& fetch, Find&& find) {
  const std::uint64_t rounds = options.rounds(100'000);
  const void* lines[kBurst + kNearAhead] = {};
  std::uint64_t found = 0;
  const std::uint64_t start = tsc();
  for (std::uint64_t r = 0; r < rounds; ++r) {
    const std::uint64_t first = r * kBurst % kDraws;
    for (unsigned i = 0; i < kBurst; ++i) lines[i] = fetch(first + i);
    for (unsigned i = 0; i < kBurst; ++i) {
      fetch_near(lines[i + kNearAhead]);
      found += find(lines[i], first + i) ? 1 : 0;
    }
  }
  const std::uint64_t cycles = tsc() - start;
  if (found != rounds * kBurst) return -1;
  return static_cast<double>(cycles) / static_cast<double>(rounds * kBurst);
}

double teid(std::uint32_t sessions, const bench::Options& options) {
  auto& path = bench::PacketPath::of({.sessions = sessions});
  std::vector<std::uint32_t> keys;
  for (const std::uint32_t n : draws(sessions)) keys.push_back(path.keys[n].teid);
  const TeidScheme scheme = path.datapath->sessions().scheme();
  const Flow* flows = path.datapath->sessions().flows(Direction::Uplink);
  return measure(
      options,
      [&](std::uint64_t i) {
        const FlowState* const state = &flows[scheme.candidate(Teid{keys[i]})].state;
        fetch_far(state);
        return state;
      },
      [&](const void* state, std::uint64_t i) {
        return static_cast<const FlowState*>(state)->key == keys[i];
      });
}

double ue4(std::uint32_t sessions, const bench::Options& options) {
  auto& path = bench::PacketPath::of({.sessions = sessions});
  std::vector<std::uint32_t> keys;
  for (const std::uint32_t n : draws(sessions)) keys.push_back(path.keys[n].ue);
  const Ipv4Table& table = path.datapath->sessions().ipv4();
  return measure(
      options, [&](std::uint64_t i) { return table.fetch(keys[i]); },
      [&](const void* line, std::uint64_t i) {
        return table.find_at(line, keys[i], 1) != kNoSession;
      });
}

double ue6(std::uint32_t sessions, const bench::Options& options) {
  // A table of its own: the sessions of the pipeline bench have IPv4 addresses.
  std::vector<std::byte> memory(WideTable::bytes(sessions) + kCacheLine);
  void* aligned = reinterpret_cast<void*>(
      (reinterpret_cast<std::uintptr_t>(memory.data()) + kCacheLine - 1) & ~(kCacheLine - 1));
  WideTable table(aligned, sessions, {0x9e3779b97f4a7c15, 0xff51afd7ed558ccd});
  const auto prefix = [](std::uint64_t n) { return 0xfd00006000000000 | n; };
  for (std::uint32_t n = 0; n < sessions; ++n) {
    if (!table.insert(prefix(n), 1, n)) {
      std::fprintf(stderr, "bench: the table took only %u of %u keys\n", n, sessions);
      std::exit(1);
    }
  }
  std::vector<std::uint64_t> keys;
  for (const std::uint32_t n : draws(sessions)) keys.push_back(prefix(n));
  return measure(
      options, [&](std::uint64_t i) { return table.fetch(keys[i]); },
      [&](const void* line, std::uint64_t i) {
        return table.find_at(line, keys[i], 1) != kNoSession;
      });
}

/// Framed routes of many lengths, the longest wanted, by the burst or one by one: of IPv4 those
/// that a peer gets, of IPv6 the same behind 24 bits, /40 to /52.
template <bool kV6, bool kBulk>
double route(const bench::Options& options) {
  constexpr std::uint32_t kRoutes = 100'000;
  std::vector<std::byte> memory(RouteTable::bytes(kRoutes) + kCacheLine);
  void* aligned = reinterpret_cast<void*>(
      (reinterpret_cast<std::uintptr_t>(memory.data()) + kCacheLine - 1) & ~(kCacheLine - 1));
  RouteTable table(aligned, kRoutes);
  std::vector<std::uint64_t> addresses;
  for (const bench::Prefix& prefix : bench::prefixes(kRoutes)) {
    Route made{{prefix.address, 0, 0, 0}, prefix.length, kV6, 0};
    if (kV6) {
      made.words[0] = 0x20010d00 | prefix.address >> 24;
      made.words[1] = prefix.address << 8;
      made.length = static_cast<std::uint8_t>(prefix.length + 24);
    }
    table.insert(made, 1, static_cast<SessionIndex>(addresses.size()));
    addresses.push_back(made.bits().high | (kV6 ? 1 : std::uint64_t{1} << 32));
  }
  std::vector<std::uint64_t> drawn;
  for (const std::uint32_t n : draws(kRoutes)) drawn.push_back(addresses[n]);
  const std::uint64_t rounds = options.rounds(100'000);
  RouteQuery burst[kBurst];
  std::uint64_t found = 0;
  const std::uint64_t start = tsc();
  for (std::uint64_t r = 0; r < rounds; ++r) {
    const std::uint64_t* const wanted = &drawn[r * kBurst % kDraws];
    for (unsigned i = 0; i < kBurst; ++i) burst[i] = {{wanted[i], 0}, kV6, kNoSession};
    if (kBulk) {
      table.find(burst, kBurst, 1);
    } else {
      for (RouteQuery& one : burst) one.session = table.find(one.address, kV6, 1);
    }
    for (const RouteQuery& one : burst) found += one.session != kNoSession ? 1 : 0;
  }
  const std::uint64_t cycles = tsc() - start;
  if (found != rounds * kBurst) return -1;
  return static_cast<double>(cycles) / static_cast<double>(rounds * kBurst);
}
const bench::Register kRoute4("lookup/route4/100k", "cycles/lookup", route<false, true>);
const bench::Register kRoute4Alone("lookup/route4/100k/one-by-one", "cycles/lookup",
                                   route<false, false>);
const bench::Register kRoute6("lookup/route6/100k", "cycles/lookup", route<true, true>);
const bench::Register kRoute6Alone("lookup/route6/100k/one-by-one", "cycles/lookup",
                                   route<true, false>);

bool add_all() {
  const std::pair<const char*, std::uint32_t> sizes[] = {
      {"1k", 1000}, {"100k", 100'000}, {"1M", 1'000'000}};
  for (const auto& [kind, run] : {std::pair{"teid", &teid}, {"ue4", &ue4}, {"ue6", &ue6}}) {
    for (const auto& [label, sessions] : sizes) {
      bench::Register(std::string("lookup/") + kind + "/" + label, "cycles/lookup",
                      [run = run, sessions = sessions](const bench::Options& o) {
                        return o.quick && sessions > 100'000 ? -1 : run(sessions, o);
                      });
    }
  }
  return true;
}
const bool kAdded = add_all();

}  // namespace
