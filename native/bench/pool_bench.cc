// Packet pool: TSC cycles for a packet to be taken and given back, from a worker's cache.
#include <memory>
#include <string>

#include "base/clock.h"
#include "bench/bench.h"
#include "memory/packet_pool.h"
#include "memory/region.h"

namespace {
constexpr std::uint32_t kPackets = 8192;

template <unsigned kBulk>
double take_and_give(const bench::Options& options) {
  sluice::RegionOptions region_options;
  region_options.bytes = sluice::PacketPool::bytes(kPackets, 1) + 8192;
  region_options.pages = sluice::PagePolicy::Off;
  auto region = sluice::Region::create(region_options);
  if (!region) return -1;
  auto pool = sluice::PacketPool::create(*region.value(), kPackets, 1);
  if (!pool) return -1;
  sluice::PoolCache& cache = pool.value()->cache(0);
  sluice::Packet* packets[kBulk];
  const std::uint64_t rounds = options.rounds(40'000'000 / kBulk);
  std::uint64_t got = 0;
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    got += cache.allocate(packets, kBulk);
    bench::keep(packets);
    cache.free(packets, kBulk);
  }
  const std::uint64_t end = sluice::tsc();
  if (got != rounds * kBulk || pool.value()->available() != kPackets) return -1;
  return static_cast<double>(end - start) / static_cast<double>(rounds * kBulk);
}

const bench::Register kOne("pool/bulk1", "cycles/object", take_and_give<1>);
const bench::Register kMany("pool/bulk32", "cycles/object", take_and_give<32>);
}  // namespace
