// A packet path of memory ports and no thread for the targets that need a whole one, with all
// that packets may meet turned on and small limits, and a session that lets packets through.
// Time stands still but for run_at(). Made once a process.
#pragma once
#include <cstdlib>
#include <cstring>

#include "port/memory_port.h"
#include "session/compile/record_builder.h"
#include "wire/bytes.h"
#include "worker/datapath.h"

namespace sluice::fuzz {

inline constexpr std::uint32_t kN3 = 0x0a000001, kUe = 0x0a3c0007, kTeid = 0x00c0ffee;
inline constexpr std::uint32_t kGnb = 0x0a000002;
inline constexpr std::uint64_t kUePrefix = 0xfd00006000000007;
inline constexpr SessionIndex kSession = 5;
inline constexpr Nanoseconds kStart = 1'700'000'000'000'000'000;
inline constexpr Nanoseconds kExpiry = 200'000'000;  ///< of all that waits

inline SessionSpec rich_session() {
  SessionSpec s;
  s.ue_ipv4 = kUe;
  s.ue_prefix = kUePrefix;
  PdrSpec up, down;
  up.teid = kTeid;
  up.local_ipv4 = kN3;
  up.qers = down.qers = {0, 1};
  up.urrs = down.urrs = {0};
  down.id = 2;
  down.source = 2;
  down.far = 1;
  FilterSpec filter;
  filter.protocol = 17;
  filter.remote_ports = {{0, 60000}};
  PdrSpec filtered = up;
  filtered.id = 3;
  filtered.precedence = 5;
  filtered.filters = {filter, filter};
  filtered.qfis = 0x220;
  s.pdrs = {up, down, filtered};
  FarSpec core, gnb;
  gnb.id = 2;
  gnb.destination = 1;
  gnb.tunnel = true;
  gnb.teid = 7;
  gnb.ipv4 = kGnb;
  s.fars = {core, gnb};
  QerSpec flow, ambr;
  flow.qfi = 9;
  flow.uplink_mbr = 1'000'000;
  ambr.id = 2;
  ambr.downlink_mbr = 1'000'000;
  ambr.shared = "ambr";
  s.qers = {flow, ambr};
  UrrSpec urr;
  urr.threshold[0] = 5000;
  urr.quota[0] = 1'000'000;
  urr.quota_holding_ms = 1000;
  urr.quota_validity_ms = 60'000;
  urr.dropped_packets = 10;
  urr.monitors = {{.time_s = 1, .threshold = {4000, 0, 0}}, {.time_s = 4'000'000'000}};
  urr.more_flags = record::urr::kReportEndMarker;
  s.urrs = {urr};
  return s;
}

inline Datapath& datapath() {
  static const std::unique_ptr<Datapath> path = [] {
    DatapathConfig config;
    config.packets_max = 256;
    config.hugepages = PagePolicy::Off;
    config.workers = 0;
    config.sessions.slots_per_bucket = 8;
    config.sessions.slot_bits = 13;
    config.sessions.teid_key = {1, 2, 3, 4, 5};
    PortConfig n3, n6;
    n3.name = "n3";
    n6.name = "n6";
    n3.driver = n6.driver = "memory";
    IpAddress address, pool;
    wire::store32(reinterpret_cast<std::byte*>(address.bytes.data()), kN3);
    wire::store32(reinterpret_cast<std::byte*>(pool.bytes.data()), kUe & 0xffff0000);
    IpAddress pool6{.bytes = {0xfd, 0, 0, 0x60}, .is_v6 = true};
    n3.addresses = {address};
    n3.outer_mtu = 700;
    n6.mtu = 600;
    n6.decrements_ttl = true;
    n6.clamp_mss = kClampToMtu;
    n6.ue_pools = {{pool, 16}, {pool6, 40}};
    config.held_packets_max = 64;
    config.held_max = kExpiry;
    config.given_time = kStart;
    config.echo = {.interval = 2 * kExpiry, .timeout = kExpiry, .tries = 2};
    config.reassembly = {.datagrams = 4, .fragments = 8, .timeout = kExpiry};
    n3.network_instances = n6.network_instances = {"*"};
    n6.role = PortRole::Core;
    config.ports = {n3, n6};
    auto made = Datapath::create(std::move(config));
    if (!made) std::abort();
    if (!made.value()->start()) std::abort();
    return std::move(made).value();
  }();
  return *path;
}

inline constexpr std::uint16_t kProtection = 1;

/// A protection whose packets come back: it seals for the port that it opens at.
inline void protect() {
  ProtectionSettings settings;
  settings.number = kProtection;
  wire::store32(reinterpret_cast<std::byte*>(settings.local.bytes.data()), kN3);
  settings.peer = settings.local;
  settings.window = 64;
  AssociationSettings association;
  association.spi = 0x1001;
  association.allowed = {~std::uint64_t{0}, ~std::uint64_t{0}};
  settings.outbound = settings.inbound = {association};
  if (!datapath().protections().set(settings)) std::abort();
}

/// As a control plane that keeps all it is told.
inline void take_events() {
  Event events[64];
  for (unsigned n = 64; n == 64;) {
    n = datapath().poll(events, 64);
    datapath().release(n);
  }
}

}  // namespace sluice::fuzz
