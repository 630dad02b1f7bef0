#include "bench/path/own_ports.h"

#include <cstdio>
#include <utility>

namespace bench {
using namespace sluice;

namespace {

bool fail(const Error& error) {
  std::fprintf(stderr, "bench: %s\n", error.message.c_str());
  return false;
}

}  // namespace

bool OwnPorts::open(const std::array<PortConfig, kPorts>& configs, std::uint32_t packets) {
  RegionOptions options;
  options.bytes = PacketPool::bytes(packets, 1) + 65536;
  auto region = Region::create(options);
  if (!region) return fail(region.error());
  region_ = std::move(region).value();
  auto pool = PacketPool::create(*region_, packets, 1);
  if (!pool) return fail(pool.error());
  pool_ = std::move(pool).value();
  PoolCache* own = &cache();
  for (std::uint8_t index = 0; index < kPorts; ++index) {
    auto port = make_port(configs[index], index);
    if (!port) return fail(port.error());
    if (const Status opened = port.value()->open({&own, 1}); !opened) return fail(opened.error());
    ports_[index] = std::move(port).value();
  }
  return true;
}

void OwnPorts::close() {
  for (auto& port : ports_) port->close();
}

unsigned OwnPorts::send(unsigned port, Packet* const* packets, unsigned count) {
  PortQueue& out = queue(port);
  const unsigned taken = out.tx(packets, count);
  if (taken < count) cache().free(packets + taken, count - taken);
  out.flush();
  return taken;
}

}  // namespace bench
