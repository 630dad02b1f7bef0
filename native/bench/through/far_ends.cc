#include "bench/through/far_ends.h"

#include <sched.h>

#include <cstring>

#include "base/clock.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"

namespace bench {
namespace {
using namespace sluice;

constexpr std::uint32_t kPackets = 8192;
constexpr std::size_t kUplinkInner = 44, kHeaders = 28;

}  // namespace

FarEnds::FarEnds(const ThroughCase& wanted, const Node& node)
    : case_(wanted), node_(node), template_(packet_template({}, wanted.uplink, wanted.bytes)) {}

bool FarEnds::open() {
  PortConfig ran = afxdp_port("ran"), dn = afxdp_port("dn");
  ran.addresses = {ipv4(kGnb)};
  dn.role = PortRole::Core;
  dn.ue_pools = {{ipv4(kServer & 0xffffff00), 24}};
  return ports_.open({ran, dn}, kPackets);
}

void FarEnds::send(unsigned count) {
  Packet* packets[kStep];
  count = ports_.cache().allocate(packets, count);
  const std::size_t inner = case_.uplink ? kUplinkInner : 0;
  for (unsigned i = 0; i < count; ++i) {
    Packet* packet = packets[i];
    *packet = Packet{};
    packet->offset = kCoreDataOffset;
    packet->length = static_cast<std::uint16_t>(case_.bytes + inner);
    std::byte* const data = packet->data();
    std::memset(data, 0, packet->length);
    std::memcpy(data, template_.headers, template_.bytes);
    const auto& key = node_.keys()[next() % node_.keys().size()];
    if (case_.uplink) wire::store32(data + 32, key.teid);
    wire::store32(data + inner + (case_.uplink ? 12 : 16), key.ue);
    // The kernel checks what it forwards.
    wire::store16(data + inner + 10, 0);
    wire::store16(data + inner + 10, wire::checksum(data + inner, wire::kIpv4Bytes));
    const std::uint64_t now = tsc();
    std::memcpy(data + inner + kHeaders, &now, sizeof now);
  }
  sent_ += ports_.send(case_.uplink ? 0 : 1, packets, count);
}

unsigned FarEnds::receive(std::vector<std::uint64_t>* times) {
  Packet* packets[kStep];
  const unsigned n = ports_.queue(case_.uplink ? 1 : 0).rx(packets, kStep);
  const std::size_t inner = case_.uplink ? 0 : kUplinkInner;
  const std::uint64_t now = tsc();
  for (unsigned i = 0; i < n && times != nullptr; ++i) {
    std::uint64_t then;
    std::memcpy(&then, packets[i]->data() + inner + kHeaders, sizeof then);
    times->push_back(now - then);
  }
  if (n != 0) ports_.cache().free(packets, n);
  if (n == 0 && case_.in_threads) sched_yield();  // the devices' threads are here
  received_ += n;
  return n;
}

std::uint64_t FarEnds::next() {
  seed_ ^= seed_ << 13;
  seed_ ^= seed_ >> 7;
  seed_ ^= seed_ << 17;
  return seed_;
}

}  // namespace bench
