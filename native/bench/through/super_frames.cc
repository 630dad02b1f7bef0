#include "bench/through/super_frames.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "port/tun/segment.h"
#include "wire/checksum.h"
#include "wire/gtpu.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

namespace bench {
namespace {
using namespace sluice;

constexpr unsigned kFlows = 16;
constexpr unsigned kTcpBytes = 20, kTcpChecksum = 16, kUdpChecksum = 6;
constexpr unsigned kGtpuBytes = 16;
constexpr std::uint8_t kTcp = 6, kUdp = 17;
// One that the sessions' first filter wants (packet_path.cc).
constexpr std::uint16_t kServerPort = 1005, kUePort = 4000;

constexpr unsigned kVirtio = sizeof(FrameHeader), kLink = sizeof(ether_header);

std::byte* write_link(std::byte* at, std::uint8_t from, std::uint8_t to) {
  const std::uint8_t header[kLink] = {2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0};
  std::memcpy(at, header, kLink);
  return at + kLink;
}

std::uint32_t pseudo_sum(std::uint32_t from, std::uint32_t to, unsigned protocol, unsigned bytes) {
  return (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + protocol + bytes;
}

/// For a checksum that the kernel goes on with.
std::uint16_t partial(std::uint32_t sum) { return static_cast<std::uint16_t>(~wire::fold(sum)); }

/// IPv4 and TCP; the checksum of TCP is for the caller.
void write_tcp(std::byte* at, std::uint32_t from, std::uint32_t to, bool uplink, unsigned bytes,
               std::uint32_t sequence) {
  wire::write_ipv4(at, {.source = from,
                        .destination = to,
                        .total_length = static_cast<std::uint16_t>(bytes),
                        .protocol = kTcp});
  std::byte* const tcp = at + wire::kIpv4Bytes;
  wire::store16(tcp, uplink ? kUePort : kServerPort);
  wire::store16(tcp + 2, uplink ? kServerPort : kUePort);
  wire::store32(tcp + 4, sequence);
  wire::store32(tcp + 8, 1);
  wire::store32(tcp + 12, 0x5010ffff);  // 20 bytes, ACK, window
}

/// As on a TUN queue, but that offsets begin at the frame's start.
FrameHeader super_frame(std::uint8_t kind, unsigned headers, unsigned segment, unsigned checksum) {
  return {.flags = kFrameNeedsChecksum,
          .gso_type = kind,
          .header_bytes = static_cast<std::uint16_t>(headers),
          .segment_bytes = static_cast<std::uint16_t>(segment),
          .checksum_start = kLink + wire::kIpv4Bytes,
          .checksum_offset = static_cast<std::uint16_t>(checksum)};
}

}  // namespace

SuperFrames::SuperFrames(const ThroughCase& wanted, const Node& node)
    : case_(wanted), node_(node) {}

SuperFrames::~SuperFrames() {
  if (socket_ >= 0) ::close(socket_);
}

bool SuperFrames::open() {
  socket_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  const int yes = 1;
  sockaddr_ll device{};
  device.sll_family = AF_PACKET;
  device.sll_ifindex = static_cast<int>(::if_nametoindex(case_.uplink ? "ran" : "dn"));
  if (socket_ < 0 || ::setsockopt(socket_, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes) != 0 ||
      ::bind(socket_, reinterpret_cast<const sockaddr*>(&device), sizeof device) != 0) {
    return false;
  }
  for (unsigned flow = 0; flow < kFlows; ++flow) {
    frames_.push_back(case_.uplink ? uplink_frame(flow) : downlink_frame(flow));
  }
  return true;
}

/// Datagrams of one tunnel, joined.
SuperFrames::Frame SuperFrames::uplink_frame(unsigned flow) const {
  const unsigned payload = case_.bytes - wire::kIpv4Bytes - kTcpBytes;
  const unsigned segment = case_.bytes + kGtpuBytes, udp_bytes = wire::kUdpBytes + kStep * segment;
  const PacketPath::Key& key = node_.keys()[flow];
  Frame frame(kVirtio + kLink + wire::kIpv4Bytes + udp_bytes);
  const FrameHeader header =
      super_frame(kFrameGsoUdp, kLink + wire::kIpv4Bytes + wire::kUdpBytes, segment, kUdpChecksum);
  std::memcpy(frame.data(), &header, sizeof header);
  std::byte* at = write_link(frame.data() + kVirtio, 0x13, 3);
  wire::write_ipv4(at, {.source = kGnb,
                        .destination = kN3,
                        .total_length = static_cast<std::uint16_t>(wire::kIpv4Bytes + udp_bytes)});
  at += wire::kIpv4Bytes;
  wire::write_udp(at, 2152, 2152, static_cast<std::uint16_t>(udp_bytes));
  wire::store16(at + kUdpChecksum, partial(pseudo_sum(kGnb, kN3, kUdp, udp_bytes)));
  at += wire::kUdpBytes;
  const wire::PscFields psc{.type = wire::kPscUplink, .qfi = 9};
  for (unsigned i = 0; i < kStep; ++i, at += segment) {
    wire::write_gpdu(at, Teid{key.teid}, static_cast<std::uint16_t>(case_.bytes), &psc);
    std::byte* const inner = at + kGtpuBytes;
    write_tcp(inner, key.ue, kServer, true, case_.bytes, 1 + i * payload);
    std::byte* const tcp = inner + wire::kIpv4Bytes;
    const unsigned tcp_bytes = case_.bytes - wire::kIpv4Bytes;
    wire::store16(tcp + kTcpChecksum,
                  wire::fold(wire::checksum_partial(tcp, tcp_bytes,
                                                    pseudo_sum(key.ue, kServer, kTcp, tcp_bytes))));
  }
  return frame;
}

SuperFrames::Frame SuperFrames::downlink_frame(unsigned flow) const {
  const unsigned payload = case_.bytes - wire::kIpv4Bytes - kTcpBytes;
  const unsigned tcp_bytes = kTcpBytes + kStep * payload;
  const std::uint32_t ue = node_.keys()[flow].ue;
  Frame frame(kVirtio + kLink + wire::kIpv4Bytes + tcp_bytes);
  const FrameHeader header =
      super_frame(kFrameGsoTcp4, kLink + wire::kIpv4Bytes + kTcpBytes, payload, kTcpChecksum);
  std::memcpy(frame.data(), &header, sizeof header);
  std::byte* const at = write_link(frame.data() + kVirtio, 0x16, 6);
  write_tcp(at, kServer, ue, false, wire::kIpv4Bytes + tcp_bytes, 1);
  wire::store16(at + wire::kIpv4Bytes + kTcpChecksum,
                partial(pseudo_sum(kServer, ue, kTcp, tcp_bytes)));
  return frame;
}

void SuperFrames::send() {
  const Frame& frame = frames_[next_++ % frames_.size()];
  if (::send(socket_, frame.data(), frame.size(), MSG_DONTWAIT) > 0) sent_ += kStep;
}

std::uint64_t SuperFrames::receive() {
  const std::uint64_t before = received_;
  received_ = node_.sent(case_.uplink);
  return received_ - before;
}

std::uint64_t SuperFrames::arrived_bytes() const {
  std::ifstream devices("/proc/thread-self/net/dev");
  const std::string wanted = case_.uplink ? "dn:" : "ran:";
  for (std::string name; devices >> name;) {
    if (name != wanted) continue;
    std::uint64_t bytes = 0;
    devices >> bytes;
    return bytes;
  }
  return 0;
}

}  // namespace bench
