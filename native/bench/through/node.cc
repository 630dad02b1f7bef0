#include "bench/through/node.h"

#include <array>
#include <cstring>
#include <utility>

#include "bench/path/own_ports.h"
#include "wire/gtpu.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

namespace bench {
namespace {
using namespace sluice;

constexpr std::uint32_t kSessions = 1000;
constexpr std::uint32_t kPackets = 16384;
constexpr unsigned kBurst = 32;  // as a worker's
constexpr unsigned kOuterBytes = 44;
constexpr unsigned kUeAt = 19;  ///< last octet of the destination

std::array<PortConfig, 2> ports_of(Ports ports) {
  PortConfig n3 = afxdp_port("n3"), n6 = afxdp_port("n6");
  n3.busy_poll = n6.busy_poll = ports == Ports::AfxdpBusy;
  n3.forward_in_driver = n6.forward_in_driver = ports == Ports::Driver;
  n6.role = PortRole::Core;
  if (ports == Ports::Kernel) {
    n3.driver = "socket";
    n6.driver = "tun";
    n6.device = "tun0";
    n6.mtu = 1500;
  }
  n3.addresses = {ipv4(kN3)};
  n6.ue_pools = {{ipv4(kUes), 16}};
  return {std::move(n3), std::move(n6)};
}

class WholeNode : public Node {
 public:
  explicit WholeNode(std::unique_ptr<PacketPath> path) : path_(std::move(path)) {
    keys_ = path_->keys;
  }
  void turn() override { path_->datapath->workers()[0]->loop(); }
  std::uint64_t sent(bool to_core) const override {
    return path_->datapath->statistics().ports[to_core ? 1 : 0].counters.tx_packets;
  }
  void stop() override { path_->datapath->stop(); }

 private:
  std::unique_ptr<PacketPath> path_;
};

/// All packets of one size, as the rows' are, so that the outer header is a constant but for the
/// source port, which says what may leave together.
class IoLoop : public Node {
 public:
  bool open(const ThroughCase& wanted) {
    for (std::uint32_t i = 0; i < kSessions; ++i) keys_.push_back({i + 1, kUes + i});
    write_outer(static_cast<std::uint16_t>(wanted.bytes));
    return ports_.open(ports_of(wanted.ports), kPackets);
  }

  void turn() override {
    Packet* packets[kBurst];
    for (unsigned from = 0; from < OwnPorts::kPorts; ++from) {
      const unsigned n = ports_.queue(from).rx(packets, kBurst);
      for (unsigned i = 0; i < n; ++i) from == 0 ? take_off(*packets[i]) : put_on(*packets[i]);
      if (n != 0) ports_.send(1 - from, packets, n);
    }
  }
  std::uint64_t sent(bool to_core) const override {
    return ports_.queue(to_core ? 1 : 0).counters().tx_packets;
  }
  void stop() override { ports_.close(); }

 private:
  static void take_off(Packet& packet) {
    packet.offset = static_cast<std::uint16_t>(packet.offset + kOuterBytes);
    packet.length = static_cast<std::uint16_t>(packet.length - kOuterBytes);
  }
  void put_on(Packet& packet) {
    const std::uint8_t flow = static_cast<std::uint8_t>(packet.data()[kUeAt]);
    packet.offset = static_cast<std::uint16_t>(packet.offset - kOuterBytes);
    packet.length = static_cast<std::uint16_t>(packet.length + kOuterBytes);
    std::memcpy(packet.data(), outer_, kOuterBytes);
    const auto ports = ports_.port(0).source_ports();
    wire::store16(packet.data() + wire::kIpv4Bytes, ports[flow % ports.size()]);
  }
  void write_outer(std::uint16_t inner) {
    const auto udp = static_cast<std::uint16_t>(inner + kOuterBytes - wire::kIpv4Bytes);
    wire::write_ipv4(outer_, {.source = kN3,
                              .destination = kGnb,
                              .total_length = static_cast<std::uint16_t>(inner + kOuterBytes)});
    wire::write_udp(outer_ + wire::kIpv4Bytes, 2152, 2152, udp);
    const wire::PscFields psc{.type = wire::kPscDownlink, .qfi = 9};
    wire::write_gpdu(outer_ + wire::kIpv4Bytes + wire::kUdpBytes, Teid{1}, inner, &psc);
  }

  OwnPorts ports_;
  std::byte outer_[kOuterBytes] = {};
};

}  // namespace

std::unique_ptr<Node> Node::open(const ThroughCase& wanted) {
  if (wanted.io_only) {
    auto loop = std::make_unique<IoLoop>();
    return loop->open(wanted) ? std::move(loop) : nullptr;
  }
  auto [n3, n6] = ports_of(wanted.ports);
  auto path = PacketPath::through(kSessions, !wanted.is_simple, std::move(n3), std::move(n6));
  return path == nullptr ? nullptr : std::make_unique<WholeNode>(std::move(path));
}

}  // namespace bench
