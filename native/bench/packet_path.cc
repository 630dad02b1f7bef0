#include "bench/packet_path.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <tuple>

#include "bench/bench.h"
#include "wire/bytes.h"
#include "wire/gtpu.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

namespace bench {
namespace {
using namespace sluice;

constexpr std::uint16_t kProtections = 1000;
constexpr std::array<std::uint32_t, 5> kKey{0x1234567, 0x89abcdf, 0x3141592, 0x6535897, 0x9323846};

SessionSpec session_of(std::uint32_t teid, std::uint32_t ue, bool full, unsigned protection) {
  SessionSpec s;
  s.ue_ipv4 = ue;
  PdrSpec up, down;
  up.teid = teid;
  up.local_ipv4 = kN3;
  down.id = 2;
  down.source = 2;
  down.far = 1;
  FarSpec to_core, to_gnb;
  to_core.protection = protection;
  to_gnb.id = 2;
  to_gnb.destination = 1;
  to_gnb.tunnel = true;
  to_gnb.teid = teid ^ 0x5a5a5a;
  to_gnb.ipv4 = kGnb;
  s.fars = {to_core, to_gnb};
  if (!full) {
    s.pdrs = {up, down};
    return s;
  }
  FilterSpec first, second;
  first.protocol = 6;
  first.remote = kServer & 0xffffff00;
  first.remote_length = 24;
  first.remote_ports = {{80, 90}};
  second.protocol = 17;
  second.remote = kServer & 0xffff0000;
  second.remote_length = 16;
  second.remote_ports = {{400, 500}};
  QerSpec flow, ambr;
  flow.qfi = 9;
  flow.uplink_mbr = flow.downlink_mbr = 100'000'000;
  ambr.id = 2;
  ambr.uplink_mbr = ambr.downlink_mbr = 200'000'000;
  ambr.shared = "ambr";
  s.qers = {flow, ambr};
  UrrSpec urr;
  urr.threshold[0] = 1ull << 40;
  s.urrs = {urr};
  for (PdrSpec* p : {&up, &down}) {
    p->qers = {0, 1};
    p->urrs = {0};
  }
  PdrSpec up2 = up, down2 = down;
  up.precedence = down.precedence = 10;
  up2.id = 3;
  down2.id = 4;
  up.filters = down.filters = {first};
  up2.filters = down2.filters = {second};
  s.pdrs = {up, up2, down, down2};
  return s;
}

void fail(const Error& error) {
  std::fprintf(stderr, "bench: %s (%s)\n", error.message.c_str(), error.field.c_str());
  std::exit(1);
}

std::uint32_t teid_of(unsigned bucket, std::uint32_t slot, unsigned slot_bits) {
  constexpr std::uint32_t m = 0xffffff;
  std::uint32_t x = ((1u << slot_bits | slot) ^ kKey[0] ^ bucket * kKey[4]) & m;
  x = x * (kKey[1] | 1) & m;
  x ^= x >> 12;
  x = x * (kKey[2] | 1) & m;
  x ^= x >> 12;
  return bucket << 24 | (x * (kKey[3] | 1) & m);
}

/// Each with a key of its own, as worker 0 has it.
void protect(Datapath& datapath) {
  for (std::uint16_t number = 1; number <= kProtections; ++number) {
    ProtectionSettings settings;
    settings.number = number;
    settings.local = {{10, 0, 0, 1}, false};
    settings.peer = {{10, 0, 0, 2}, false};
    AssociationSettings association;
    association.spi = 1000u + number;
    association.key = {static_cast<std::byte>(number), static_cast<std::byte>(number >> 8)};
    association.numbers_up_to = ~std::uint64_t{0};
    settings.outbound = {association};
    if (Status status = datapath.protections().set(settings); !status) fail(status.error());
  }
}

IpAddress n3_address() {
  IpAddress address;
  wire::store32(reinterpret_cast<std::byte*>(address.bytes.data()), kN3);
  return address;
}

/// Datapath and sessions, not started.
void make(PacketPath& path, DatapathConfig config) {
  config.sessions.slots_per_bucket = (path.sessions + 255) / 256 + 8;
  config.sessions.slot_bits = 13;
  config.sessions.teid_key = kKey;
  config.ports[0].name = "n3";
  config.ports[0].addresses = {n3_address()};
  config.ports[1].name = "n6";
  config.ports[1].role = PortRole::Core;
  for (PortConfig& port : config.ports) port.network_instances = {"*"};
  const std::uint32_t slots = config.sessions.slots_per_bucket,
                      slot_bits = config.sessions.slot_bits;
  auto made = Datapath::create(std::move(config));
  if (!made) fail(made.error());
  path.datapath = std::move(made).value();
  if (path.is_protected) protect(*path.datapath);
  RecordBuilder builder;
  const std::size_t words = builder.build(session_of(1, 1, path.full, 0)).size();
  path.records.resize(words * path.sessions);
  path.datapath->register_chunk(reinterpret_cast<const std::byte*>(path.records.data()),
                                path.records.size() * 4);
  for (std::uint32_t i = 0; i < path.sessions; ++i) {
    const unsigned bucket = i % 256, slot = i / 256;
    const PacketPath::Key key{teid_of(bucket, slot, slot_bits), 0x0b000000 + i};
    path.keys.push_back(key);
    const unsigned protection = path.is_protected ? 1 + i % kProtections : 0;
    const auto record = builder.build(session_of(key.teid, key.ue, path.full, protection));
    std::copy(record.begin(), record.end(), path.records.begin() + static_cast<long>(words * i));
    std::uint32_t ticket;
    const auto error =
        path.datapath->sessions().prepare(OperationKind::Create, bucket * slots + slot,
                                          &path.records[words * i], words * 4, 0, 0, ticket);
    if (error.status != PrepareStatus::Ok)
      fail({"prepare refused session " + std::to_string(i), ""});
    path.datapath->apply(&ticket, 1);
  }
}

}  // namespace

PacketPath& PacketPath::of(std::uint32_t sessions, bool full, bool is_protected) {
  static std::map<std::tuple<std::uint32_t, bool, bool>, std::unique_ptr<PacketPath>> made;
  auto& path = made[{sessions, full, is_protected}];
  if (!path) {
    path = std::make_unique<PacketPath>();
    path->sessions = sessions;
    path->full = full;
    path->is_protected = is_protected;
    DatapathConfig config;
    config.packets_max = 8192;
    config.workers = 0;
    config.ports.resize(2);
    for (PortConfig& port : config.ports) port.driver = "memory";
    make(*path, std::move(config));
    if (Status status = path->datapath->start(); !status) fail(status.error());
  }
  return *path;
}

std::unique_ptr<PacketPath> PacketPath::through(std::uint32_t sessions, PortConfig n3,
                                                PortConfig n6) {
  auto path = std::make_unique<PacketPath>();
  path->sessions = sessions;
  path->full = true;
  path->is_protected = false;
  DatapathConfig config;
  config.packets_max = 16384;
  config.workers = 0;
  config.ports = {std::move(n3), std::move(n6)};
  make(*path, std::move(config));
  const Status status = path->datapath->start();
  if (status) return path;
  std::fprintf(stderr, "bench: %s (%s)\n", status.error().message.c_str(),
               status.error().field.c_str());
  return nullptr;
}

void write_packet(std::byte* headers, bool uplink, unsigned bytes) noexcept {
  std::byte* inner = uplink ? headers + 44 : headers;
  if (uplink) {
    wire::write_ipv4(headers, {.source = kGnb,
                               .destination = kN3,
                               .total_length = static_cast<std::uint16_t>(bytes + 44)});
    wire::write_udp(headers + 20, 2152, 2152, static_cast<std::uint16_t>(bytes + 24));
    wire::PscFields psc{.type = wire::kPscUplink, .qfi = 9};
    wire::write_gpdu(headers + 28, Teid{0}, static_cast<std::uint16_t>(bytes), &psc);
  }
  wire::write_ipv4(inner, {.source = uplink ? 0 : kServer,
                           .destination = uplink ? kServer : 0,
                           .total_length = static_cast<std::uint16_t>(bytes)});
  wire::write_udp(inner + 20, uplink ? 4000 : 443, uplink ? 443 : 4000,
                  static_cast<std::uint16_t>(bytes - 20));
}

}  // namespace bench
