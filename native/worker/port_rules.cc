// What a port's configuration means for the IP rules of the pipeline.
#include "worker/port_rules.h"

#include <algorithm>

#include "wire/bytes.h"

namespace sluice {
namespace {

constexpr unsigned kTcpHeadersV4 = 40, kTcpHeadersV6 = 60;
constexpr unsigned kOuterBytesV4 = 48, kOuterBytesV6 = 68;  // with the longest container

/// The pool's first address, which a tun device has itself.
IpAddress first_of(const IpPrefix& pool) {
  IpAddress address = pool.address;
  address.bytes[address.is_v6 ? 15 : 3] |= 1;
  return address;
}

void set_icmp_source(const IpAddress& address, PipelinePort& row) {
  if (address.is_v6) {
    row.has_icmp_source6 = true;
    std::copy_n(address.bytes.begin(), 16, row.icmp_source6);
  } else {
    row.has_icmp_source4 = true;
    std::copy_n(address.bytes.begin(), 4, row.icmp_source4);
  }
}

}  // namespace

LocalAddress local_address(const IpAddress& address, std::uint8_t port) {
  LocalAddress local{};
  local.is_v6 = address.is_v6;
  local.port = port;
  const auto* bytes = reinterpret_cast<const std::byte*>(address.bytes.data());
  for (unsigned i = 0; i < (address.is_v6 ? 4u : 1u); ++i)
    local.words[i] = wire::load32(bytes + 4 * i);
  return local;
}

void set_ip_rules(const PortConfig& config, PipelinePort& row) {
  const bool access = config.role == PortRole::Access;
  row.mtu = !access ? config.mtu : config.outer_mtu != 0 ? config.outer_mtu : 0xffff;
  row.decrements_ttl = config.decrements_ttl;
  row.takes_esp = config.esp;
  row.takes_esp_in_udp = config.esp || config.esp_in_udp;
  if (config.clamp_mss != 0) {
    const bool v6 = std::any_of(config.addresses.begin(), config.addresses.end(),
                                [](const IpAddress& a) { return a.is_v6; });
    const unsigned outer = access ? (v6 ? kOuterBytesV6 : kOuterBytesV4) : 0;
    const bool to_mtu = config.clamp_mss == kClampToMtu;
    const unsigned room = row.mtu - outer;
    row.mss4 = static_cast<std::uint16_t>(to_mtu ? room - kTcpHeadersV4 : config.clamp_mss);
    row.mss6 = static_cast<std::uint16_t>(to_mtu ? room - kTcpHeadersV6 : config.clamp_mss);
  }
  if (access) return;
  // RFC 7600: an address for routers that have none to speak from.
  set_icmp_source({{192, 0, 0, 8}, false}, row);
  for (auto pool = config.ue_pools.rbegin(); pool != config.ue_pools.rend(); ++pool) {
    if (pool->length < (pool->address.is_v6 ? 127 : 31)) set_icmp_source(first_of(*pool), row);
  }
  for (const IpAddress& address : config.icmp_sources) set_icmp_source(address, row);
}

}  // namespace sluice
