#include "bench/path/packet_path.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <tuple>

#include "bench/bench.h"
#include "wire/bytes.h"
#include "wire/gtpu.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace bench {
namespace {
using namespace sluice;

constexpr std::uint16_t kProtections = 1000;
constexpr std::array<std::uint32_t, 5> kKey{0x1234567, 0x89abcdf, 0x3141592, 0x6535897, 0x9323846};

constexpr std::uint32_t kN3v6[4] = {0xfd000003, 0, 0, 1}, kGnbV6[4] = {0xfd000003, 0, 0, 2};
constexpr std::uint32_t kServerV6[4] = {0x20010db8, 0, 0, 9};
constexpr std::uint32_t kUePrefixHigh = 0xfd000060;

/// Protocol, prefix and ports; those before the last want others.
FilterSpec filter_of(unsigned i, const PathKind& kind) {
  const bool is_last = i + 1 == kind.pdrs;
  FilterSpec filter;
  filter.protocol = is_last ? 17 : 6;
  if (kind.inner_v6) {
    std::copy_n(kServerV6, 4, filter.remote6);
    filter.remote6_length = is_last ? 32 : 64;
  } else {
    filter.remote = kServer & (is_last ? 0xffff0000 : 0xffffff00);
    filter.remote_length = is_last ? 16 : 24;
  }
  const auto port = static_cast<std::uint16_t>(is_last ? 400 : 1000 + 20 * i);
  filter.remote_ports = {{port, static_cast<std::uint16_t>(port + (is_last ? 100 : 10))}};
  return filter;
}

SessionSpec session_of(const PacketPath::Key& key, const PathKind& kind, unsigned protection = 0,
                       bool metered = false, bool other_tunnel = false) {
  SessionSpec s;
  if (kind.inner_v6) {
    s.ue_prefix = std::uint64_t{kUePrefixHigh} << 32 | key.ue;
  } else {
    s.ue_ipv4 = key.ue;
  }
  PdrSpec up, down;
  up.teid = key.teid;
  down.source = 2;
  down.far = 1;
  FarSpec to_core, to_gnb;
  to_core.protection = protection;
  to_gnb.id = 2;
  to_gnb.destination = 1;
  to_gnb.tunnel = true;
  to_gnb.teid = PacketPath::gnb_teid(key, other_tunnel);
  if (kind.outer_v6) {
    std::copy_n(kN3v6, 4, up.local_ipv6);
    std::copy_n(kGnbV6, 4, to_gnb.ipv6);
    to_gnb.is_v6 = true;
  } else {
    up.local_ipv4 = kN3;
    to_gnb.ipv4 = kGnb;
  }
  s.fars = {to_core, to_gnb};
  if (!kind.full) {
    down.id = 2;
    s.pdrs = {up, down};
    return s;
  }
  QerSpec flow, ambr;
  flow.qfi = 9;
  // Beyond what one core can reach with packets of 1400 bytes.
  flow.uplink_mbr = flow.downlink_mbr = metered ? 8 : 1'000'000'000;
  ambr.id = 2;
  ambr.uplink_mbr = ambr.downlink_mbr = 2'000'000'000;
  ambr.shared = "ambr";
  s.qers = {flow, ambr};
  UrrSpec urr;
  urr.threshold[0] = 1ull << 40;
  s.urrs = {urr};
  for (PdrSpec* pdr : {&up, &down}) {
    pdr->qers = {0, 1};
    pdr->urrs = {0};
    for (unsigned i = 0; i < (kind.filters ? kind.pdrs : 1); ++i) {
      if (kind.filters) pdr->filters = {filter_of(i, kind)};
      pdr->id = static_cast<unsigned>(s.pdrs.size()) + 1;
      pdr->precedence = 10 + i;
      s.pdrs.push_back(*pdr);
    }
  }
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
    association.allowed = {~std::uint64_t{0}, ~std::uint64_t{0}};
    settings.outbound = {association};
    if (Status status = datapath.protections().set(settings); !status) fail(status.error());
  }
}

IpAddress n3_address() {
  IpAddress address;
  wire::store32(reinterpret_cast<std::byte*>(address.bytes.data()), kN3);
  return address;
}

void store_v6(void* to, const std::uint32_t (&words)[4]) noexcept {
  for (unsigned i = 0; i < 4; ++i) wire::store32(static_cast<std::byte*>(to) + 4 * i, words[i]);
}

/// Datapath and sessions, not started.
void make(PacketPath& path, DatapathConfig config) {
  config.sessions.slots_per_bucket = (path.kind.sessions + 255) / 256 + 8;
  // As in src/session/identity.ts.
  config.sessions.slot_bits =
      std::max(13u, static_cast<unsigned>(std::bit_width(config.sessions.slots_per_bucket - 1)));
  config.sessions.teid_key = kKey;
  config.ports[0].name = "n3";
  config.ports[0].addresses = {n3_address()};
  if (path.kind.outer_v6) {
    IpAddress address;
    address.is_v6 = true;
    store_v6(address.bytes.data(), kN3v6);
    config.ports[0].addresses.push_back(address);
  }
  config.ports[1].name = "n6";
  config.ports[1].role = PortRole::Core;
  for (PortConfig& port : config.ports) port.network_instances = {"*"};
  const std::uint32_t slots = config.sessions.slots_per_bucket,
                      slot_bits = config.sessions.slot_bits;
  auto made = Datapath::create(std::move(config));
  if (!made) fail(made.error());
  path.datapath = std::move(made).value();
  if (path.kind.is_protected) protect(*path.datapath);
  path.slots = slots;
  RecordBuilder builder;
  const std::size_t words = builder.build(session_of({1, 1}, path.kind)).size();
  path.records.resize(words * path.kind.sessions);
  path.datapath->register_chunk(reinterpret_cast<const std::byte*>(path.records.data()),
                                path.records.size() * 4);
  for (std::uint32_t i = 0; i < path.kind.sessions; ++i) {
    const unsigned bucket = i % 256, slot = i / 256;
    const PacketPath::Key key{teid_of(bucket, slot, slot_bits), kUes + i};
    path.keys.push_back(key);
    const unsigned protection = path.kind.is_protected ? 1 + i % kProtections : 0;
    const bool metered = path.kind.metered_half && i / 2 % 2 != 0;
    const auto record = builder.build(session_of(key, path.kind, protection, metered));
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

std::uint64_t PacketPath::dropped() const {
  std::uint64_t all = 0;
  for (const std::uint64_t reason : datapath->statistics().dropped) all += reason;
  return all;
}

std::uint32_t PacketPath::gnb_teid(const Key& key, bool other) noexcept {
  return key.teid ^ (other ? 0xa5a5a5 : 0x5a5a5a);
}

void PacketPath::change(std::uint32_t session, bool to_other) {
  const std::size_t words = records.size() / keys.size();
  if (other_records.empty()) {
    other_records.resize(records.size());
    RecordBuilder builder;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto record = builder.build(session_of(keys[i], kind, 0, false, true));
      std::copy(record.begin(), record.end(), other_records.begin() + static_cast<long>(words * i));
    }
    datapath->register_chunk(reinterpret_cast<const std::byte*>(other_records.data()),
                             other_records.size() * 4);
  }
  const std::uint32_t* record = (to_other ? other_records : records).data() + words * session;
  std::uint32_t ticket;
  const auto error =
      datapath->sessions().prepare(OperationKind::Update, session % 256 * slots + session / 256,
                                   record, words * 4, 0, 0, ticket);
  if (error.status != PrepareStatus::Ok) fail({"prepare refused a change", ""});
  datapath->apply(&ticket, 1);
  Event events[64];
  datapath->release(datapath->poll(events, 64));
}

PacketPath& PacketPath::of(const PathKind& kind) {
  static std::map<PathKind, std::unique_ptr<PacketPath>> made;
  auto& path = made[kind];
  if (!path) {
    path = std::make_unique<PacketPath>();
    path->kind = kind;
    DatapathConfig config;
    config.packets_max = 8192 * kind.workers;
    config.workers = 0;
    config.stepped_workers = kind.workers;
    config.lanes = kind.lanes;
    config.ports.resize(2);
    for (PortConfig& port : config.ports) port.driver = "memory";
    make(*path, std::move(config));
    if (Status status = path->datapath->start(); !status) fail(status.error());
    if (kind.lanes != 0) {
      path->datapath->crypto_lanes()->limit_threads(kind.lanes);
      path->lane = std::jthread([lanes = path->datapath->crypto_lanes()] {
        while (lanes->run(0)) {
        }
      });
    }
  }
  return *path;
}

std::unique_ptr<PacketPath> PacketPath::through(std::uint32_t sessions, bool filters, PortConfig n3,
                                                PortConfig n6) {
  auto path = std::make_unique<PacketPath>();
  path->kind.sessions = sessions;
  path->kind.filters = filters;
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

PacketTemplate packet_template(const PathKind& kind, bool uplink, unsigned bytes) noexcept {
  PacketTemplate made;
  const unsigned outer = !uplink ? 0 : kind.outer_v6 ? 64 : 44;
  const auto udp_bytes = static_cast<std::uint16_t>(bytes + 24);
  std::byte* const at = made.headers;
  if (uplink) {
    if (kind.outer_v6) {
      std::byte gnb[16], n3[16];
      store_v6(gnb, kGnbV6);
      store_v6(n3, kN3v6);
      wire::write_ipv6(at, {.source = gnb, .destination = n3, .payload_length = udp_bytes});
    } else {
      wire::write_ipv4(at, {.source = kGnb,
                            .destination = kN3,
                            .total_length = static_cast<std::uint16_t>(udp_bytes + 20)});
    }
    wire::write_udp(at + outer - 24, 2152, 2152, udp_bytes);
    const wire::PscFields psc{.type = wire::kPscUplink, .qfi = 9};
    wire::write_gpdu(at + outer - 16, Teid{0}, static_cast<std::uint16_t>(bytes), &psc);
  }
  std::byte* const inner = at + outer;
  const unsigned inner_header = kind.inner_v6 ? 40 : 20;
  if (kind.inner_v6) {
    std::byte ue[16], server[16];
    store_v6(ue, {kUePrefixHigh, 0, 0, 1});
    store_v6(server, kServerV6);
    wire::write_ipv6(inner, {.source = uplink ? ue : server,
                             .destination = uplink ? server : ue,
                             .payload_length = static_cast<std::uint16_t>(bytes - 40)});
  } else {
    wire::write_ipv4(inner, {.source = uplink ? 0 : kServer,
                             .destination = uplink ? kServer : 0,
                             .total_length = static_cast<std::uint16_t>(bytes)});
  }
  wire::write_udp(inner + inner_header, uplink ? 4000 : 443, uplink ? 443 : 4000,
                  static_cast<std::uint16_t>(bytes - inner_header));
  made.bytes = outer + inner_header + 8;
  made.packet_bytes = outer + bytes;
  made.inner_at = outer;
  made.ue_at = outer + (kind.inner_v6 ? (uplink ? 12 : 28) : (uplink ? 12 : 16));
  return made;
}

void end_for_losses(const PacketPath& path, std::uint64_t sent, std::uint64_t received) noexcept {
  std::fprintf(stderr, "bench: %llu sent, %llu received\n", static_cast<unsigned long long>(sent),
               static_cast<unsigned long long>(received));
  const DatapathStatistics statistics = path.datapath->statistics();
  for (std::size_t reason = 1; reason < kDropReasons; ++reason) {
    if (statistics.dropped[reason] == 0) continue;
    std::fprintf(stderr, "bench: %s: %llu\n", drop_reason_label(static_cast<DropReason>(reason)),
                 static_cast<unsigned long long>(statistics.dropped[reason]));
  }
  std::_Exit(1);
}

}  // namespace bench
