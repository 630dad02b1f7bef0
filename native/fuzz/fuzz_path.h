// A packet path of memory ports and no thread for the targets that need a whole one, with
// one session that lets packets through. Made once a process.
#pragma once
#include <cstdlib>
#include <cstring>

#include "port/memory_port.h"
#include "session/compile/record_builder.h"
#include "wire/bytes.h"
#include "worker/datapath.h"

namespace sluice::fuzz {

inline constexpr std::uint32_t kN3 = 0x0a000001, kUe = 0x0a3c0007, kTeid = 0x00c0ffee;
inline constexpr SessionIndex kSession = 5;

inline SessionSpec rich_session() {
  SessionSpec s;
  s.ue_ipv4 = kUe;
  s.ue_prefix = 0xfd00006000000007;
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
  gnb.ipv4 = 0x0a000002;
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
    config.sessions.teid_key = {1, 2, 3, 4};
    PortConfig n3, n6;
    n3.name = "n3";
    n6.name = "n6";
    n3.driver = n6.driver = "memory";
    IpAddress address;
    wire::store32(reinterpret_cast<std::byte*>(address.bytes.data()), kN3);
    n3.addresses = {address};
    n3.network_instances = n6.network_instances = {"*"};
    n6.role = PortRole::Core;
    config.ports = {n3, n6};
    auto made = Datapath::create(std::move(config));
    if (!made || !made.value()->start()) std::abort();
    return std::move(made).value();
  }();
  return *path;
}

}  // namespace sluice::fuzz
