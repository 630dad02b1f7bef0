#include "port/dpdk/plugin/device.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <string_view>

#include "port/dpdk/plugin/stale_socket.h"

namespace sluice::dpdk {
namespace {

constexpr std::uint16_t kDescriptors = 1024;
constexpr unsigned kBurst = 64;
constexpr unsigned kLinkBytes = RTE_ETHER_HDR_LEN;
constexpr unsigned kFrameBytes = kLinkBytes + RTE_ETHER_CRC_LEN;
constexpr unsigned kMtu = RTE_ETHER_MTU;
/// What a chunk has room for, less 2 that net_af_packet has not (lend_memory()).
constexpr unsigned kMtuMax = kChunkBytes - RTE_PKTMBUF_HEADROOM - kLinkBytes - 2;
constexpr std::uint64_t kSpread = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP;
constexpr std::uint64_t kChecksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
constexpr std::string_view kCannotBe = "net_af_xdp";
constexpr std::string_view kPacketSocket = "net_af_packet";

bool fail(DpdkError& error, const char* field, const std::string& message) {
  std::snprintf(error.field, sizeof error.field, "%s", field);
  std::snprintf(error.message, sizeof error.message, "%s", message.c_str());
  return false;
}

/// An errno in words, and what DPDK has said of it.
std::string reason(int error) {
  const std::string said = take_complaints();
  return std::string(std::strerror(error < 0 ? -error : error)) +
         (said.empty() ? "" : " (" + said + ")");
}

std::string name_of(const std::string& text) { return text.substr(0, text.find(',')); }

/// The port of a device that DPDK knows; RTE_MAX_ETHPORTS: none.
std::uint16_t port_of(const std::string& arguments) {
  rte_dev_iterator iterator;
  if (rte_eth_iterator_init(&iterator, arguments.c_str()) != 0) return RTE_MAX_ETHPORTS;
  const std::uint16_t port = rte_eth_iterator_next(&iterator);
  if (port != RTE_MAX_ETHPORTS) rte_eth_iterator_cleanup(&iterator);
  return port;
}

bool is_pci(const std::string& device) { return device.find(':') < device.find(','); }

}  // namespace

std::unique_ptr<Device> Device::open(const DpdkRequest& request, DpdkError& error) {
  if (const std::string wrong = begin_environment(); !wrong.empty()) {
    fail(error, "driver", wrong);
    return nullptr;
  }
  take_complaints();  // of earlier calls
  std::unique_ptr<Device> made(new Device);
  const bool is_open = made->find(request, error) && made->lend_memory(request, error) &&
                       made->configure(request, error) &&
                       made->set_up_queues(request.pool.queues, error) &&
                       made->start(request.pool.queues, error);
  return is_open ? std::move(made) : nullptr;
}

bool Device::find(const DpdkRequest& request, DpdkError& error) {
  const std::string arguments = request.device;
  const std::string name = name_of(arguments);
  if (name.starts_with(kPacketSocket) && arguments.find("framesz=") != std::string::npos) {
    return fail(error, "device",
                "packets fit the frames that net_af_packet has by itself; leave "
                "framesz out");
  }
  if (name.starts_with(kCannotBe)) {
    return fail(error, "device",
                "DPDK's net_af_xdp has no way to the packet pool; use driver "
                "afxdp for this device, which is the same without DPDK");
  }
  std::uint16_t known = 0;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &known) == 0) {
    return fail(error, "device", name + " is the device of another port of this node");
  }
  remove_stale_socket(arguments);
  const int result = rte_dev_probe(arguments.c_str());
  port_ = result == 0 ? port_of(arguments) : std::uint16_t{RTE_MAX_ETHPORTS};
  if (port_ == RTE_MAX_ETHPORTS) {
    const std::string hint =
        is_pci(name)
            ? "; is it bound to vfio-pci (dpdk-devbind.py -s), with an IOMMU, and not used by "
              "another process?"
            : "; its driver is a package of its own (apt-get install librte-net-af-packet23, "
              "librte-net-memif23 …), and its arguments are in DPDK's guide of network drivers";
    return fail(
        error, "device",
        "DPDK has no device " + name + ": " +
            (result == 0 ? std::string("no driver of Ethernet devices takes it") : reason(result)) +
            hint);
  }
  rte_eth_dev_info info;
  if (rte_eth_dev_info_get(port_, &info) != 0) return fail(error, "device", name + " is gone");
  device_ = info.device;
  std::snprintf(facts_.driver, sizeof facts_.driver, "%s", info.driver_name);
  facts_.is_dma = is_pci(name);
  return true;
}

bool Device::lend_memory(const DpdkRequest& request, DpdkError& error) {
  memory_ = std::make_unique<ExternalMemory>(request.pool);
  if (memory_->error() != 0) {
    return fail(error, "driver",
                "DPDK does not take the packet memory: " + reason(memory_->error()));
  }
  // Devices that do not read memory themselves have nothing to map.
  const int mapped =
      rte_dev_dma_map(device_, memory_->start(), reinterpret_cast<std::uint64_t>(memory_->start()),
                      memory_->bytes());
  is_mapped_ = mapped == 0;
  if (!is_mapped_ && facts_.is_dma) {
    return fail(error, "device",
                std::string(request.device) +
                    " cannot reach the packet memory: " + reason(rte_errno) +
                    "; raise the limit of locked memory (ulimit -l unlimited), and see whether its "
                    "IOMMU has 48 address bits (sluice doctor)");
  }
  // Of its frames of 2,048 octets net_af_packet takes 32 for the kernel's header, which is 66 long,
  // and refuses buffers that are smaller; what comes is 1,982 octets at most.
  const bool is_frames = std::string_view(facts_.driver) == kPacketSocket;
  chunks_ = ChunkMempool::create(request.pool, "sluice" + std::to_string(port_),
                                 is_frames ? 2016 + RTE_PKTMBUF_HEADROOM : kChunkBytes);
  if (chunks_ == nullptr) {
    return fail(error, "driver", "DPDK has no room for buffers: " + reason(rte_errno));
  }
  return true;
}

bool Device::configure(const DpdkRequest& request, DpdkError& error) {
  rte_eth_dev_info info;
  rte_eth_dev_info_get(port_, &info);
  const unsigned queues = request.pool.queues;
  const unsigned most = std::min(info.max_rx_queues, info.max_tx_queues);
  if (most < queues) {
    return fail(error, "device",
                std::string(request.device) + " has " + std::to_string(most) + " queues for " +
                    std::to_string(queues) +
                    " workers, and each needs one; lower workers.count, or give it more "
                    "(net_af_packet: qpairs=, VFs: by their driver)");
  }
  rte_eth_conf conf{};
  if (queues > 1 && (info.flow_type_rss_offloads & kSpread) != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = kSpread & info.flow_type_rss_offloads;
    facts_.spreads = true;
  }
  if ((info.rx_offload_capa & kChecksums) == kChecksums) {
    conf.rxmode.offloads |= kChecksums;
    facts_.checks_checksums = true;
  }
  if (request.mtu > kMtuMax) {
    return fail(error, "mtu",
                "is more than a packet holds with driver dpdk, " + std::to_string(kMtuMax));
  }
  conf.rxmode.mtu = request.mtu != 0 ? request.mtu : kMtu;
  facts_.mtu = conf.rxmode.mtu;
  // Packet sockets say that they take no more, and take what their interface does.
  const bool is_told = facts_.is_dma || conf.rxmode.mtu + kFrameBytes <= info.max_rx_pktlen;
  if (!is_told) conf.rxmode.mtu = kMtu;
  if (info.max_mtu != 0 && conf.rxmode.mtu > info.max_mtu) {
    return fail(
        error, "mtu",
        "is more than " + std::string(request.device) + " takes, " + std::to_string(info.max_mtu));
  }
  if (const int result = rte_eth_dev_configure(port_, static_cast<std::uint16_t>(queues),
                                               static_cast<std::uint16_t>(queues), &conf);
      result != 0) {
    return fail(error, "device",
                std::string(request.device) + " cannot be set up: " + reason(result));
  }
  if (request.mtu != 0 && is_told) {
    const int result = rte_eth_dev_set_mtu(port_, static_cast<std::uint16_t>(request.mtu));
    if (result != 0 && result != -ENOTSUP) {
      return fail(error, "mtu",
                  "is refused by " + std::string(request.device) + ": " + reason(result));
    }
  }
  return true;
}

bool Device::set_up_queues(unsigned queues, DpdkError& error) {
  std::uint16_t rx = kDescriptors, tx = kDescriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(port_, &rx, &tx);
  const int socket = rte_eth_dev_socket_id(port_);
  const auto node =
      socket < 0 ? static_cast<unsigned>(SOCKET_ID_ANY) : static_cast<unsigned>(socket);
  for (unsigned queue = 0; queue < queues; ++queue) {
    const ChunkMempool::Turn turn(*chunks_, queue);
    const auto q = static_cast<std::uint16_t>(queue);
    int result = rte_eth_rx_queue_setup(port_, q, rx, node, nullptr, chunks_->mempool());
    if (result == 0) result = rte_eth_tx_queue_setup(port_, q, tx, node, nullptr);
    if (result != 0) {
      return fail(error, "device",
                  "queue " + std::to_string(queue) + " cannot be set up: " + reason(result));
    }
  }
  return true;
}

/// A device without an address of its own gets one that nobody else has.
void Device::choose_link_address() {
  rte_ether_addr address{};
  rte_eth_macaddr_get(port_, &address);
  if (rte_is_zero_ether_addr(&address)) {
    std::random_device random;
    for (std::uint8_t& octet : address.addr_bytes) octet = static_cast<std::uint8_t>(random());
    address.addr_bytes[0] = 0x02;                       // local, one host's
    rte_eth_dev_default_mac_addr_set(port_, &address);  // those that filter have one
  }
  std::memcpy(facts_.link_address.data(), address.addr_bytes, RTE_ETHER_ADDR_LEN);
}

/// Neighbour discovery is by multicast: all of it, or everything where that cannot be had.
void Device::listen() noexcept {
  if (rte_eth_allmulticast_enable(port_) != 0) rte_eth_promiscuous_enable(port_);
}

bool Device::start(unsigned queues, DpdkError& error) {
  (void)queues;
  const ChunkMempool::Turn turn(*chunks_, 0);
  if (const int result = rte_eth_dev_start(port_); result != 0) {
    return fail(error, "device", std::string("the device does not start: ") + reason(result));
  }
  is_started_ = true;
  choose_link_address();
  listen();
  return true;
}

Device::~Device() {
  if (device_ == nullptr) return;
  if (chunks_ != nullptr) {
    const ChunkMempool::Turn turn(*chunks_, 0);
    if (is_started_) rte_eth_dev_stop(port_);
    rte_eth_dev_close(port_);
  } else {
    rte_eth_dev_close(port_);
  }
  if (is_mapped_) {
    rte_dev_dma_unmap(device_, memory_->start(), reinterpret_cast<std::uint64_t>(memory_->start()),
                      memory_->bytes());
  }
  rte_dev_remove(device_);
}

unsigned Device::receive(unsigned queue, Packet** frames, unsigned max) noexcept {
  const ChunkMempool::Turn turn(*chunks_, queue);
  std::array<rte_mbuf*, kBurst> mbufs;
  const unsigned received = rte_eth_rx_burst(port_, static_cast<std::uint16_t>(queue), mbufs.data(),
                                             static_cast<std::uint16_t>(std::min(max, kBurst)));
  unsigned kept = 0;
  for (unsigned i = 0; i < received; ++i) {
    rte_mbuf* const m = mbufs[i];
    // Devices that cut frames in pieces smaller than a chunk are the exception.
    if (m->nb_segs != 1 && rte_pktmbuf_linearize(m) != 0) [[unlikely]] {
      rte_pktmbuf_free(m);
      continue;
    }
    constexpr std::uint64_t kGood = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    Packet* const packet = chunks_->take(m);
    *packet = Packet{};
    packet->offset = m->data_off;
    packet->length = m->data_len;
    if ((m->ol_flags & kGood) == kGood) packet->flags = kPacketOuterChecksumGood;
    m->ol_flags = RTE_MBUF_F_EXTERNAL;
    frames[kept++] = packet;
  }
  return kept;
}

unsigned Device::send(unsigned queue, Packet* const* frames, const std::uint16_t* offsets,
                      const std::uint16_t* lengths, unsigned count) noexcept {
  const ChunkMempool::Turn turn(*chunks_, queue);
  std::array<rte_mbuf*, kBurst> mbufs;
  const unsigned n = std::min(count, kBurst);
  for (unsigned i = 0; i < n; ++i) {
    rte_mbuf* const m = chunks_->give(frames[i]);
    m->data_off = offsets[i];
    m->data_len = lengths[i];
    m->pkt_len = lengths[i];
    m->ol_flags = RTE_MBUF_F_EXTERNAL;
    mbufs[i] = m;
  }
  const unsigned sent = rte_eth_tx_burst(port_, static_cast<std::uint16_t>(queue), mbufs.data(),
                                         static_cast<std::uint16_t>(n));
  for (unsigned i = sent; i < n; ++i) chunks_->take(mbufs[i]);
  return sent;
}

DpdkLinkState Device::link() const noexcept {
  rte_eth_link link{};
  if (rte_eth_link_get_nowait(port_, &link) != 0) return {};
  const bool is_known = link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN;
  return {link.link_status == RTE_ETH_LINK_UP, is_known ? link.link_speed : 0};
}

std::uint64_t Device::missed() const noexcept {
  rte_eth_stats stats{};
  return rte_eth_stats_get(port_, &stats) == 0 ? stats.imissed + stats.rx_nombuf : 0;
}

}  // namespace sluice::dpdk
