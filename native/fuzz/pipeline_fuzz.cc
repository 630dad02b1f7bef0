// Any bytes into both ports of a packet path with a session: nothing is read outside a
// packet, and every packet is in the books.
#include "fuzz/expect.h"
#include "fuzz/fuzz_path.h"
#include "wire/gtpu.h"
#include "wire/udp.h"

namespace sluice::fuzz {
namespace {

void install() {
  static const auto record = RecordBuilder().build(rich_session());
  static const bool done = [] {
    std::uint32_t ticket = 0;
    const auto error = datapath().sessions().prepare(OperationKind::Create, kSession, record.data(),
                                                     record.size() * 4, 0, 0, ticket);
    expect(error.status == PrepareStatus::Ok);
    datapath().apply(&ticket, 1);
    return true;
  }();
  (void)done;
}

/// The first byte says how deep the input lies: a whole packet, or what a good tunnel carries.
void inject(std::uint8_t depth, const std::uint8_t* data, std::size_t size) {
  const unsigned port = depth & 1;
  PoolCache& cache = datapath().pool().cache(datapath().pool().caches() - 1);
  Packet* packet;
  expect(cache.allocate(&packet, 1) == 1);
  packet->offset = port == 0 ? kAccessDataOffset : kCoreDataOffset;
  packet->port = static_cast<std::uint8_t>(port);
  packet->flags = depth & 4 ? kPacketOuterChecksumGood : 0;
  std::byte* p = packet->data();
  const std::size_t header = port == 0 && (depth & 2) ? 44 : 0;
  const std::size_t n = std::min<std::size_t>(size, 1500);
  if (n != 0) std::memcpy(p + header, data, n);
  if (header != 0) {
    wire::write_ipv4(p, {.source = 0x0a000002,
                         .destination = kN3,
                         .total_length = static_cast<std::uint16_t>(n + header)});
    wire::write_udp(p + 20, 2152, 2152, static_cast<std::uint16_t>(n + 24));
    wire::PscFields psc{.type = wire::kPscUplink, .qfi = 9};
    wire::write_gpdu(p + 28, Teid{kTeid}, static_cast<std::uint16_t>(n), &psc);
  }
  packet->length = static_cast<std::uint16_t>(n + header);
  expect(static_cast<MemoryPort&>(*datapath().ports()[port]).inject(0, &packet, 1) == 1);
}

void collect() {
  PoolCache& cache = datapath().pool().cache(datapath().pool().caches() - 1);
  Packet* packet;
  for (const auto& port : datapath().ports()) {
    while (static_cast<MemoryPort&>(*port).collect(0, &packet, 1) == 1) cache.free(&packet, 1);
  }
}

void check_books() {
  const auto s = datapath().statistics();
  std::uint64_t in = s.created, out = s.held;
  for (const auto& port : s.ports) {
    in += port.counters.rx_packets;
    out += port.counters.tx_packets;
  }
  for (const std::uint64_t n : s.dropped) out += n;
  expect(in == out);
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::fuzz;
  if (size < 1) return 0;
  install();
  inject(data[0], data + 1, size - 1);
  datapath().step();
  collect();
  check_books();
  sluice::Event events[64];
  while (datapath().poll(events, 64) == 64) continue;
  return 0;
}
