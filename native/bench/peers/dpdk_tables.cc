// Peers beside our own: what DPDK's pool and tables take for what ours are measured at, in TSC
// cycles, on the same core in the same run, in one thread: bursts of 32, keys drawn uniformly at
// random.
//
// peer/rte_mempool/bulk{1|32}        beside pool/bulk{1|32}: from a core's cache of 512, and back
// peer/rte_pktmbuf/bulk32            beside pool/bulk32: a packet buffer, its header reset
// peer/rte_hash/lookup/{1k|100k|1M}  beside lookup/ue4/…: 32-bit keys
// peer/rte_lpm/lookup/100k           beside lookup/route4/100k: prefixes of /16 to /28
// peer/rte_acl/match/{8|…|4096}      beside pipeline/…/pdrs{8|16|32}: rules of five fields
#include <rte_acl.h>
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_lpm.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/draws.h"

namespace {

constexpr unsigned kBurst = 32;

/// DPDK's environment, without devices, huge pages or files; once.
void begin() {
  static const bool begun = [] {
    const char* const words[] = {"peers",          "--no-pci",      "--no-huge",   "-m", "1024",
                                 "--no-telemetry", "--log-level=4", "--no-shconf", "-l", nullptr};
    std::vector<std::string> text(words, words + 9);
    text.push_back(std::to_string(bench::core(0)));
    std::vector<char*> args;
    for (std::string& word : text) args.push_back(word.data());
    if (rte_eal_init(static_cast<int>(args.size()), args.data()) < 0) {
      std::fprintf(stderr, "bench: DPDK does not start here\n");
      std::exit(1);
    }
    return true;
  }();
  (void)begun;
}

/// Cycles for each of `per_round` things that a round does.
template <typename Round>
double cycles_of(std::uint64_t rounds, unsigned per_round, Round&& round) {
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t r = 0; r < rounds; ++r) {
    if (!round(r)) return -1;
  }
  return static_cast<double>(sluice::tsc() - start) / static_cast<double>(rounds * per_round);
}

template <unsigned kBulk>
double mempool(const bench::Options& options) {
  begin();
  rte_mempool* const pool = rte_mempool_create("peer_pool", 8191, 2112, 512, 0, nullptr, nullptr,
                                               nullptr, nullptr, SOCKET_ID_ANY, 0);
  if (pool == nullptr) return -1;
  void* objects[kBulk];
  const double cycles = cycles_of(options.rounds(40'000'000 / kBulk), kBulk, [&](std::uint64_t) {
    if (rte_mempool_get_bulk(pool, objects, kBulk) != 0) return false;
    bench::keep(objects);
    rte_mempool_put_bulk(pool, objects, kBulk);
    return true;
  });
  rte_mempool_free(pool);
  return cycles;
}

double pktmbuf(const bench::Options& options) {
  begin();
  rte_mempool* const pool = rte_pktmbuf_pool_create("peer_mbuf", 8191, 512, 0, 2176, SOCKET_ID_ANY);
  if (pool == nullptr) return -1;
  rte_mbuf* packets[kBurst];
  const double cycles = cycles_of(options.rounds(1'250'000), kBurst, [&](std::uint64_t) {
    if (rte_pktmbuf_alloc_bulk(pool, packets, kBurst) != 0) return false;
    bench::keep(packets);
    rte_pktmbuf_free_bulk(packets, kBurst);
    return true;
  });
  rte_mempool_free(pool);
  return cycles;
}

double hash(std::uint32_t keys, const bench::Options& options) {
  begin();
  rte_hash_parameters parameters{};
  parameters.name = "peer_hash";
  parameters.entries = keys;
  parameters.key_len = sizeof(std::uint32_t);
  parameters.hash_func = rte_hash_crc;
  parameters.socket_id = SOCKET_ID_ANY;
  rte_hash* const table = rte_hash_create(&parameters);
  if (table == nullptr) return -1;
  for (std::uint32_t n = 0; n < keys; ++n) {
    const std::uint32_t key = 0x0a000000 + n;
    // It may be full before its last entry.
    if (rte_hash_add_key(table, &key) < 0) {
      rte_hash_free(table);
      return -1;
    }
  }
  std::vector<std::uint32_t> drawn = bench::draws(keys);
  for (std::uint32_t& n : drawn) n += 0x0a000000;
  const double cycles = cycles_of(options.rounds(100'000), kBurst, [&](std::uint64_t r) {
    const void* wanted[kBurst];
    std::int32_t found[kBurst];
    const std::uint64_t first = r * kBurst % drawn.size();
    for (unsigned i = 0; i < kBurst; ++i) wanted[i] = &drawn[first + i];
    if (rte_hash_lookup_bulk(table, wanted, kBurst, found) != 0) return false;
    return std::all_of(found, found + kBurst, [](std::int32_t place) { return place >= 0; });
  });
  rte_hash_free(table);
  return cycles;
}

double lpm(const bench::Options& options) {
  begin();
  const std::vector<bench::Prefix> prefixes = bench::prefixes(100'000);
  rte_lpm_config config{};
  config.max_rules = 200'000;
  config.number_tbl8s = 1u << 17;  // one for each prefix beyond /24
  rte_lpm* const table = rte_lpm_create("peer_lpm", SOCKET_ID_ANY, &config);
  if (table == nullptr) return -1;
  std::uint32_t next = 0;
  for (const bench::Prefix& prefix : prefixes) {
    if (rte_lpm_add(table, prefix.address, prefix.length, ++next) != 0) return -1;
  }
  std::vector<std::uint32_t> drawn = bench::draws(static_cast<std::uint32_t>(prefixes.size()));
  for (std::uint32_t& n : drawn) n = prefixes[n].address | 1;
  const double cycles = cycles_of(options.rounds(100'000), kBurst, [&](std::uint64_t r) {
    std::uint32_t found[kBurst];
    rte_lpm_lookup_bulk(table, &drawn[r * kBurst % drawn.size()], found, kBurst);
    return std::all_of(found, found + kBurst,
                       [](std::uint32_t hop) { return (hop & RTE_LPM_LOOKUP_SUCCESS) != 0; });
  });
  rte_lpm_free(table);
  return cycles;
}

/// A 5-tuple as it lies in the packet that is classified.
struct [[gnu::packed]] Tuple {
  std::uint8_t protocol;
  std::uint32_t source, destination;
  std::uint16_t source_port, destination_port;
};
RTE_ACL_RULE_DEF(Rule, 5);

constexpr std::array<rte_acl_field_def, 5> kFields{{
    {RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(Tuple, protocol)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 1, 1, offsetof(Tuple, source)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 2, 2, offsetof(Tuple, destination)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 3, 3, offsetof(Tuple, source_port)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 4, 3, offsetof(Tuple, destination_port)},
}};

double acl(unsigned rules, const bench::Options& options) {
  begin();
  rte_acl_param parameters{};
  parameters.name = "peer_acl";
  parameters.socket_id = SOCKET_ID_ANY;
  parameters.rule_size = RTE_ACL_RULE_SZ(5);
  parameters.max_rule_num = rules;
  rte_acl_ctx* const context = rte_acl_create(&parameters);
  if (context == nullptr) return -1;
  std::vector<Tuple> packets;
  for (unsigned n = 0; n < rules; ++n) {
    Rule rule{};
    const std::uint32_t network = 0xc6000000 + (n << 8);
    rule.data.userdata = n + 1;
    rule.data.category_mask = 1;
    rule.data.priority = static_cast<std::int32_t>(rules - n);
    rule.field[0].value.u8 = 17;
    rule.field[0].mask_range.u8 = 0xff;
    rule.field[1].value.u32 = network;
    rule.field[1].mask_range.u32 = 24;
    rule.field[3].mask_range.u16 = 0xffff;
    rule.field[4].value.u16 = static_cast<std::uint16_t>(1000 + n);
    rule.field[4].mask_range.u16 = static_cast<std::uint16_t>(1200 + n);
    if (rte_acl_add_rules(context, reinterpret_cast<rte_acl_rule*>(&rule), 1) != 0) return -1;
    packets.push_back({17, rte_cpu_to_be_32(network + 9), rte_cpu_to_be_32(0x0a000001),
                       rte_cpu_to_be_16(443),
                       rte_cpu_to_be_16(static_cast<std::uint16_t>(1100 + n))});
  }
  rte_acl_config config{};
  config.num_categories = 1;
  config.num_fields = kFields.size();
  std::copy(kFields.begin(), kFields.end(), config.defs);
  if (rte_acl_build(context, &config) != 0) return -1;
  const std::vector<std::uint32_t> drawn = bench::draws(rules);
  const double cycles = cycles_of(options.rounds(100'000), kBurst, [&](std::uint64_t r) {
    const std::uint8_t* data[kBurst];
    std::uint32_t results[kBurst];
    const std::uint64_t first = r * kBurst % drawn.size();
    for (unsigned i = 0; i < kBurst; ++i) {
      data[i] = reinterpret_cast<const std::uint8_t*>(&packets[drawn[first + i]]);
    }
    return rte_acl_classify(context, data, results, kBurst, 1) == 0 &&
           std::all_of(results, results + kBurst, [](std::uint32_t rule) { return rule != 0; });
  });
  rte_acl_free(context);
  return cycles;
}

const bench::Register kOne("peer/rte_mempool/bulk1", "cycles/object", mempool<1>);
const bench::Register kMany("peer/rte_mempool/bulk32", "cycles/object", mempool<32>);
const bench::Register kPacket("peer/rte_pktmbuf/bulk32", "cycles/object", pktmbuf);
const bench::Register kLpm("peer/rte_lpm/lookup/100k", "cycles/lookup", lpm);

const bool kAdded = [] {
  const std::pair<const char*, std::uint32_t> sizes[] = {
      {"1k", 1000}, {"100k", 100'000}, {"1M", 1'000'000}};
  for (const auto& [label, keys] : sizes) {
    bench::Register(std::string("peer/rte_hash/lookup/") + label, "cycles/lookup",
                    [keys = keys](const bench::Options& o) { return hash(keys, o); });
  }
  for (const unsigned rules : {8U, 32U, 64U, 512U, 4096U}) {
    bench::Register("peer/rte_acl/match/" + std::to_string(rules), "cycles/packet",
                    [rules](const bench::Options& o) { return acl(rules, o); });
  }
  return true;
}();

}  // namespace
