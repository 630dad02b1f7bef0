#include "port/dpdk/dpdk_port.h"

#include <algorithm>

#include "memory/packet_pool.h"
#include "port/device_source_ports.h"
#include "port/dpdk/plugin_library.h"

namespace sluice {
namespace {

unsigned allocate(void* cache, Packet** out, unsigned n) noexcept {
  return static_cast<PoolCache*>(cache)->allocate(out, n);
}
void give_back(void* cache, Packet* const* packets, unsigned n) noexcept {
  static_cast<PoolCache*>(cache)->free(packets, n);
}

std::vector<HopAddress> hops_of(const std::vector<IpAddress>& addresses) {
  std::vector<HopAddress> hops;
  for (const IpAddress& a : addresses) hops.push_back(HopAddress::of(a.bytes.data(), a.is_v6));
  return hops;
}

}  // namespace

Status DpdkPort::check_config() const {
  if (config_.device.empty()) {
    return Error{
        "a dpdk port needs its device: a PCI address such as 0000:01:00.0, or a virtual "
        "one such as net_memif0,role=client",
        "device"};
  }
  if (config_.role == PortRole::Access && config_.addresses.empty()) {
    return Error{"an access port needs at least one local address", "addresses"};
  }
  if (config_.gateways.empty()) {
    return Error{"a dpdk port needs its next hop, because no kernel has routes for it", "gateway"};
  }
  const auto families = [](const std::vector<IpAddress>& all, bool is_v6) {
    return std::count_if(all.begin(), all.end(), [&](const auto& a) { return a.is_v6 == is_v6; });
  };
  for (const bool is_v6 : {false, true}) {
    if (families(config_.gateways, is_v6) > 1) {
      return Error{"has two gateways of one family; one is possible", "gateway"};
    }
  }
  if (families(config_.gateways, false) != 0 && families(config_.addresses, false) == 0) {
    return Error{"an IPv4 gateway is asked for from an IPv4 address of the port; give it one",
                 "addresses"};
  }
  return check_device_source_ports(config_);
}

Status DpdkPort::open_device(std::span<PoolCache* const> caches) {
  auto plugin = load_dpdk_plugin();
  if (!plugin) return plugin.error();
  version_ = plugin.value()->version;
  const std::vector<void*> each(caches.begin(), caches.end());
  const std::span<std::byte> chunks = caches[0]->chunks();
  std::uint16_t& mtu = config_.role == PortRole::Access ? config_.outer_mtu : config_.mtu;
  DpdkRequest request{};
  request.device = config_.device.c_str();
  request.mtu = mtu;
  request.pool = {chunks.data(),
                  chunks.size(),
                  caches[0]->page_bytes(),
                  each.data(),
                  static_cast<unsigned>(each.size()),
                  allocate,
                  give_back};
  DpdkError error;
  device_.reset(plugin.value()->open(request, error));
  if (device_ == nullptr) return Error{error.message, error.field};
  mtu = static_cast<std::uint16_t>(device_->facts().mtu);
  return Ok{};
}

Status DpdkPort::open(std::span<PoolCache* const> caches) {
  close();
  Status status = check_config();
  if (status) status = open_device(caches);
  if (!status) return status;
  gateways_ = std::make_unique<Gateways>(device_->facts().link_address, hops_of(config_.addresses),
                                         hops_of(config_.gateways));
  for (unsigned w = 0; w < caches.size(); ++w) {
    queues_.push_back(std::make_unique<DpdkQueue>(index_, w, *caches[w], *device_, *gateways_));
  }
  source_ports_ = device_source_ports(config_);
  return status;
}

void DpdkPort::close() noexcept {
  queues_.clear();
  device_.reset();
  gateways_.reset();
  source_ports_.clear();
}

std::map<std::string, std::string> DpdkPort::capabilities() const {
  if (device_ == nullptr) return {{"device", config_.device}};
  const DpdkFacts& facts = device_->facts();
  const DpdkLinkState link = device_->link();
  char address[18];
  const auto& a = facts.link_address;
  std::snprintf(address, sizeof address, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3],
                a[4], a[5]);
  std::map<std::string, std::string> found{
      {"device", config_.device},
      {"dpdk", version_},
      {"driver", facts.driver},
      {"mac", address},
      {"mtu", std::to_string(facts.mtu)},
      {"queues", std::to_string(queues_.size())},
      {"steering", facts.spreads ? "rss" : "device"},
      {"checksums", facts.checks_checksums ? "device" : "worker"},
      {"zeroCopy", facts.is_dma ? "yes" : "port"},
      {"link", !link.is_up            ? "down"
               : link.speed_mbps == 0 ? "up"
                                      : std::to_string(link.speed_mbps) + " Mbit/s"},
  };
  for (const IpAddress& gateway : config_.gateways) {
    LinkAddress to;
    found[gateway.is_v6 ? "gateway6" : "gateway4"] =
        gateways_->find(!gateway.is_v6, to) ? "known" : "unknown";
  }
  return found;
}

}  // namespace sluice
