#include "worker/datapath_fixture_test.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/topology.h"

namespace sluice::test {

Bytes ipv4(const Udp& u) {
  Bytes b(u.bytes);
  for (std::size_t i = 28; i < b.size(); ++i) b[i] = std::byte(i);
  wire::write_ipv4(b.data(), {.source = u.source,
                              .destination = u.destination,
                              .total_length = u.bytes,
                              .protocol = u.protocol,
                              .tos = u.tos});
  wire::write_udp(b.data() + 20, u.source_port, u.destination_port,
                  static_cast<std::uint16_t>(u.bytes - 20));
  return b;
}

Bytes ipv6(std::uint64_t source_prefix, std::uint64_t destination_prefix, std::uint16_t port,
           std::uint16_t bytes) {
  Bytes b(bytes);
  wire::store32(b.data(), 0x60000000);
  wire::store16(b.data() + 4, static_cast<std::uint16_t>(bytes - 40));
  wire::store16(b.data() + 6, 17 << 8 | 64);
  wire::store64(b.data() + 8, source_prefix);
  wire::store64(b.data() + 16, 1);
  wire::store64(b.data() + 24, destination_prefix);
  wire::store64(b.data() + 32, 2);
  wire::write_udp(b.data() + 40, 4000, port, static_cast<std::uint16_t>(bytes - 40));
  return b;
}

Bytes gtpu_message(std::uint32_t source, const Bytes& message) {
  Bytes b(28 + message.size());
  wire::write_ipv4(
      b.data(),
      {.source = source, .destination = kN3, .total_length = static_cast<std::uint16_t>(b.size())});
  wire::write_udp(b.data() + 20, 2152, 2152, static_cast<std::uint16_t>(b.size() - 20));
  std::copy(message.begin(), message.end(), b.begin() + 28);
  return b;
}

Bytes gtpu(std::uint32_t teid, const Bytes& inner, int qfi, std::uint32_t to) {
  wire::PscFields psc;
  psc.type = wire::kPscUplink;
  psc.qfi = static_cast<std::uint8_t>(qfi);
  const wire::PscFields* container = qfi < 0 ? nullptr : &psc;
  const std::size_t header = wire::gpdu_bytes(container);
  Bytes b(28 + header + inner.size());
  wire::write_ipv4(
      b.data(),
      {.source = kGnb, .destination = to, .total_length = static_cast<std::uint16_t>(b.size())});
  wire::write_udp(b.data() + 20, 2152, 2152, static_cast<std::uint16_t>(b.size() - 20));
  wire::write_gpdu(b.data() + 28, Teid{teid}, static_cast<std::uint16_t>(inner.size()), container);
  std::copy(inner.begin(), inner.end(), b.begin() + static_cast<std::ptrdiff_t>(28 + header));
  return b;
}

SessionSpec plain_session(std::uint32_t teid, std::uint32_t ue) {
  SessionSpec s;
  s.ue_ipv4 = ue;
  PdrSpec up, down;
  up.teid = teid;
  up.local_ipv4 = kN3;
  down.id = 2;
  down.source = 2;
  down.far = 1;
  s.pdrs = {up, down};
  FarSpec to_core, to_gnb;
  to_gnb.id = 2;
  to_gnb.destination = 1;
  to_gnb.tunnel = true;
  to_gnb.teid = 0x1234;
  to_gnb.ipv4 = kGnb;
  s.fars = {to_core, to_gnb};
  return s;
}

void DatapathTest::SetUp() {
  open();
  if (HasFatalFailure()) return;
  Status started = path_->start();
  ASSERT_TRUE(started) << started.error().message;
}

/// So that buckets are the workers' in turn; empty: no node has so many.
static std::vector<unsigned> cores_of_one_node(unsigned workers) {
  std::map<unsigned, std::vector<unsigned>> nodes;
  auto topology = discover_topology();
  if (!topology) return {};
  for (const Core& core : topology.value().cores) nodes[core.numa_node].push_back(core.os_index);
  for (auto& [node, cores] : nodes) {
    if (cores.size() < workers) continue;
    cores.resize(workers);
    return cores;
  }
  return {};
}

void DatapathTest::open() {
  DatapathConfig config;
  config.survival = survival();
  config.packets_max = 4096;
  config.hugepages = PagePolicy::Off;
  config.workers = workers();
  if (workers() > 1) config.cores = cores_of_one_node(workers());
  config.sessions.slots_per_bucket = slots_per_bucket_;
  config.sessions.slot_bits = kSlotBits;
  config.sessions.teid_key = kKey;
  PortConfig n3, n6;
  n3.name = "n3";
  n3.driver = n6.driver = "memory";
  n3.addresses = {v4(kN3), v6(0xfd000000000000aa)};
  n3.network_instances = {"*"};
  n6.name = "n6";
  n6.role = PortRole::Core;
  n6.network_instances = {"internet"};
  config.ports = {n3, n6};
  config.held_packets_max = 4096;
  config.answers_per_second = 0;
  config.given_time = starts_at_;
  configure(config);
  auto made = Datapath::create(std::move(config));
  ASSERT_TRUE(made) << made.error().message;
  path_ = std::move(made).value();
  chunks_ = 0;
  now_ = starts_at_;
}

void DatapathTest::TearDown() {
  if (path_ == nullptr) return;  // the test was passed over before there was one
  path_->stop();
  conserve();
  path_.reset();
}

PrepareStatus DatapathTest::change(OperationKind kind, SessionIndex session,
                                   const SessionSpec* spec, const std::vector<std::uint32_t>& query,
                                   std::uint32_t flags) {
  Operation op{};
  op.flags = flags;
  op.kind = static_cast<std::uint32_t>(kind);
  op.session = session;
  if (spec != nullptr) {
    records_.push_back(RecordBuilder().build(*spec));
    records_.back()[record::header::SessionIndex] = session;
    op.chunk = chunks_++;
    path_->register_chunk(reinterpret_cast<const std::byte*>(records_.back().data()),
                          records_.back().size() * 4);
  }
  std::vector<std::uint32_t> queries;
  for (const std::uint32_t q : query) queries.insert(queries.end(), {0, q});
  queries.push_back(~0u);
  if (!query.empty()) op.flags |= kOperationQuery;
  path_->prepare(&op, 1, queries.data());
  detail_ = op.detail;
  if (op.status != 0) return static_cast<PrepareStatus>(op.status);
  const std::uint64_t number = path_->apply(&op.ticket, 1);
  while (path_->completed() < number) collect_events();
  collect_events();
  return PrepareStatus::Ok;
}

void DatapathTest::pass(Nanoseconds time) {
  now_ += time;
  path_->run_at(now_);
  collect_events();
}

void DatapathTest::collect_events() {
  Event events[32];
  for (unsigned n; (n = path_->poll(events, 32)) != 0;)
    events_.insert(events_.end(), events, events + n);
}

bool DatapathTest::inject(unsigned at, const Bytes& bytes, unsigned queue) {
  Packet* packet;
  PoolCache& cache = path_->pool().cache(path_->pool().caches() - 1);
  if (cache.allocate(&packet, 1) == 0) return false;
  packet->offset = at == 0 ? kAccessDataOffset : kCoreDataOffset;
  packet->length = static_cast<std::uint16_t>(bytes.size());
  packet->flags = packet_flags_;
  packet->port = static_cast<std::uint8_t>(at);
  std::copy(bytes.begin(), bytes.end(), packet->data());
  if (port(at).inject(queue, &packet, 1) == 1) return true;
  cache.free(&packet, 1);
  return false;
}

std::vector<Bytes> DatapathTest::collect(unsigned at, unsigned queue) {
  std::vector<Bytes> out;
  Packet* packet;
  while (port(at).collect(queue, &packet, 1) == 1) {
    out.emplace_back(packet->data(), packet->data() + packet->length);
    path_->pool().cache(path_->pool().caches() - 1).free(&packet, 1);
  }
  return out;
}

std::vector<Bytes> DatapathTest::send(unsigned at, const Bytes& bytes) {
  EXPECT_TRUE(inject(at, bytes));
  path_->step();
  std::vector<Bytes> out = collect(0);
  for (auto& b : collect(1)) out.push_back(std::move(b));
  return out;
}

void DatapathTest::expect_drop(unsigned at, const Bytes& bytes, DropReason reason) {
  const std::uint64_t before = dropped(reason);
  EXPECT_TRUE(send(at, bytes).empty()) << drop_reason_label(reason);
  EXPECT_EQ(dropped(reason), before + 1) << drop_reason_label(reason);
  conserve();
}

void DatapathTest::conserve() const {
  const auto s = path_->statistics();
  std::uint64_t in = s.created, out = s.held;
  for (const auto& p : s.ports) {
    in += p.counters.rx_packets;
    out += p.counters.tx_packets;
  }
  for (const auto n : s.dropped) out += n;
  EXPECT_EQ(in, out);
}

}  // namespace sluice::test
