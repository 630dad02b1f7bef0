#include "bench/through/far_ends.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "wire/bytes.h"

namespace bench {
namespace {
using namespace sluice;

constexpr std::uint32_t kPackets = 8192;
constexpr std::size_t kUplinkInner = 44, kHeaders = 28;

/// The kernel checks what it forwards.
void set_checksum(std::byte* ip) {
  wire::store16(ip + 10, 0);
  std::uint32_t sum = 0;
  for (unsigned i = 0; i < 20; i += 2) sum += wire::load16(ip + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  wire::store16(ip + 10, static_cast<std::uint16_t>(~sum));
}

}  // namespace

FarEnds::FarEnds(const ThroughCase& wanted, const Node& node)
    : case_(wanted), node_(node), template_(packet_template({}, wanted.uplink, wanted.bytes)) {}

bool FarEnds::open() {
  RegionOptions options;
  options.bytes = PacketPool::bytes(kPackets, 1) + 65536;
  auto made = Region::create(options);
  if (!made) return false;
  region_ = std::move(made).value();
  auto pooled = PacketPool::create(*region_, kPackets, 1);
  if (!pooled) return false;
  pool_ = std::move(pooled).value();
  PortConfig ran = afxdp_port("ran"), dn = afxdp_port("dn");
  ran.addresses = {ipv4(kGnb)};
  dn.role = PortRole::Core;
  dn.ue_pools = {{ipv4(kServer & 0xffffff00), 24}};
  return open_port(ran, 0) && open_port(dn, 1);
}

void FarEnds::send(unsigned count) {
  Packet* packets[kStep];
  count = pool_->cache(0).allocate(packets, count);
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
    set_checksum(data + inner);
    const std::uint64_t now = tsc();
    std::memcpy(data + inner + kHeaders, &now, sizeof now);
  }
  PortQueue& out = ports_[case_.uplink ? 0 : 1]->queue(0);
  const unsigned taken = out.tx(packets, count);
  if (taken < count) pool_->cache(0).free(packets + taken, count - taken);
  out.flush();
  sent_ += taken;
}

unsigned FarEnds::receive(std::vector<std::uint64_t>* times) {
  Packet* packets[kStep];
  const unsigned n = ports_[case_.uplink ? 1 : 0]->queue(0).rx(packets, kStep);
  const std::size_t inner = case_.uplink ? 0 : kUplinkInner;
  const std::uint64_t now = tsc();
  for (unsigned i = 0; i < n && times != nullptr; ++i) {
    std::uint64_t then;
    std::memcpy(&then, packets[i]->data() + inner + kHeaders, sizeof then);
    times->push_back(now - then);
  }
  if (n != 0) pool_->cache(0).free(packets, n);
  received_ += n;
  return n;
}

bool FarEnds::open_port(const PortConfig& config, std::uint8_t index) {
  PoolCache* cache = &pool_->cache(0);
  auto port = make_port(config, index);
  if (!port) return false;
  const Status opened = port.value()->open({&cache, 1});
  if (!opened) std::fprintf(stderr, "bench: %s\n", opened.error().message.c_str());
  ports_[index] = std::move(port).value();
  return static_cast<bool>(opened);
}

std::uint64_t FarEnds::next() {
  seed_ ^= seed_ << 13;
  seed_ ^= seed_ >> 7;
  seed_ ^= seed_ << 17;
  return seed_;
}

}  // namespace bench
