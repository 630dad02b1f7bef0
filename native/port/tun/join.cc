#include "port/tun/join.h"

#include <cstring>

#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace sluice {
namespace {

constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kTcpChecksum = 16;
constexpr std::uint16_t kUdpChecksum = 6;
constexpr std::uint32_t kJoinedBytesMax = 65535;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const std::uint64_t product = (a ^ b) * 0x9e3779b97f4a7c15u;
  return product ^ product >> 29;
}

bool same(const std::byte* a, const std::byte* b, std::size_t offset, std::size_t bytes) noexcept {
  return std::memcmp(a + offset, b + offset, bytes) == 0;
}

std::uint32_t pseudo_header(const std::byte* ip, bool is_v6, std::uint8_t protocol,
                            std::uint16_t bytes) noexcept {
  if (is_v6) return wire::pseudo_header_v6(ip + 8, ip + 24, protocol, bytes);
  return wire::pseudo_header_v4(wire::load32(ip + 12), wire::load32(ip + 16), protocol, bytes);
}

}  // namespace

void JoinPlan::classify_tcp(const std::byte* ip, Flow& flow) noexcept {
  const std::byte* tcp = ip + flow.upper;
  const unsigned header_bytes = (wire::load8(tcp + 12) >> 4) * 4u;
  const unsigned available = flow.headers + flow.payload - flow.upper;
  const std::uint8_t flags = wire::load8(tcp + 13);
  flow.headers = static_cast<std::uint16_t>(flow.upper + header_bytes);
  flow.payload = static_cast<std::uint16_t>(available - header_bytes);
  flow.closes = (flags & wire::kTcpPush) != 0;
  flow.joinable = flow.joinable && header_bytes >= wire::kTcpBytes && header_bytes < available &&
                  (flags & ~wire::kTcpPush) == wire::kTcpAck && (wire::load8(tcp + 12) & 15) == 0 &&
                  wire::load16(tcp + 18) == 0;
}

JoinPlan::Flow JoinPlan::classify(const Packet& packet, JoinOffloads offloads) noexcept {
  Flow flow;
  const std::byte* ip = packet.data();
  const std::size_t length = packet.length;
  if (length < wire::kIpv4Bytes) return flow;
  const std::uint8_t first = wire::load8(ip);
  flow.is_v6 = first >> 4 == 6;
  if (flow.is_v6) {
    if (length < wire::kIpv6Bytes) return flow;
    flow.upper = wire::kIpv6Bytes;
    flow.protocol = wire::load8(ip + 6);
    flow.joinable = wire::load16(ip + 4) + wire::kIpv6Bytes == length;
  } else {
    const std::uint16_t fragment = wire::load16(ip + 6);
    if (first >> 4 != 4 || (fragment & 0x1fff) != 0) return flow;
    flow.upper = static_cast<std::uint16_t>((first & 15) * 4);
    flow.protocol = wire::load8(ip + 9);
    flow.joinable = flow.upper == wire::kIpv4Bytes && (fragment & ~kDontFragment) == 0 &&
                    wire::load16(ip + 2) == length;
  }
  const bool is_tcp = flow.protocol == wire::kProtocolTcp;
  if (!is_tcp && flow.protocol != wire::kProtocolUdp) return flow;
  const std::size_t upper_bytes = is_tcp ? wire::kTcpBytes : wire::kUdpBytes;
  if (flow.upper < wire::kIpv4Bytes || flow.upper + upper_bytes > length) return flow;
  flow.headers = static_cast<std::uint16_t>(flow.upper + upper_bytes);
  flow.payload = static_cast<std::uint16_t>(length - flow.headers);
  if (is_tcp) {
    flow.joinable = flow.joinable && offloads.tcp;
    classify_tcp(ip, flow);
  } else {
    flow.joinable = flow.joinable && offloads.udp && flow.payload != 0 &&
                    wire::load16(ip + flow.upper + 4) == length - flow.upper &&
                    wire::load16(ip + flow.upper + kUdpChecksum) != 0;
  }
  const std::uint64_t ports = wire::load32(ip + flow.upper) | std::uint64_t{flow.protocol} << 32;
  if (flow.is_v6) {
    flow.key = mix(mix(wire::load64(ip + 8), wire::load64(ip + 16)),
                   mix(wire::load64(ip + 24), wire::load64(ip + 32)));
  } else {
    flow.key = wire::load64(ip + 12);
  }
  flow.key = mix(flow.key, ports) | 1;
  return flow;
}

bool JoinPlan::checksum_good(const Packet& packet, const Flow& flow) noexcept {
  const std::byte* ip = packet.data();
  if (!flow.is_v6 && wire::checksum(ip, wire::kIpv4Bytes) != 0) return false;
  const auto bytes = static_cast<std::uint16_t>(packet.length - flow.upper);
  const std::uint32_t seed = pseudo_header(ip, flow.is_v6, flow.protocol, bytes);
  return wire::fold(wire::checksum_partial(ip + flow.upper, bytes, seed)) == 0;
}

bool JoinPlan::continues(const Frame& frame, const Flow& flow,
                         const Packet& packet) const noexcept {
  const Flow& head = frame.flow;
  if (!frame.open || !flow.joinable || flow.is_v6 != head.is_v6 || flow.protocol != head.protocol ||
      flow.headers != head.headers || flow.payload > head.payload ||
      frame.bytes + flow.payload > kJoinedBytesMax) {
    return false;
  }
  const std::byte* a = packets_[frame.first]->data();
  const std::byte* b = packet.data();
  if (flow.is_v6) {
    if (!same(a, b, 0, 4) || !same(a, b, 6, 34)) return false;
  } else {
    if (!same(a, b, 0, 2) || !same(a, b, 6, 4) || !same(a, b, 12, 8)) return false;
    // Segmenting numbers the packets consecutively. That loses nothing of an unfragmentable
    // packet's identification, which has no meaning (RFC 6864), if it is the same in all.
    const std::uint16_t id = wire::load16(a + 4);
    const std::uint16_t expected = static_cast<std::uint16_t>(id + frame.count);
    const bool is_atomic = (wire::load16(b + 6) & kDontFragment) != 0;
    if (wire::load16(b + 4) != expected && !(is_atomic && wire::load16(b + 4) == id)) return false;
  }
  const std::size_t upper = flow.upper;
  if (!same(a, b, upper, 4)) return false;
  if (flow.protocol == wire::kProtocolUdp) return true;
  const std::uint32_t sequence = wire::load32(a + upper + 4) + frame.bytes - head.headers;
  return wire::load32(b + upper + 4) == sequence && same(a, b, upper + 8, 5) &&
         same(a, b, upper + 14, 2) &&
         same(a, b, upper + wire::kTcpBytes, flow.headers - upper - wire::kTcpBytes);
}

bool JoinPlan::append(Frame& frame, const Flow& flow, unsigned position) noexcept {
  const Packet& packet = *packets_[position];
  if (!continues(frame, flow, packet)) return false;
  // The kernel computes the checksums of what it takes apart; a wrong one must stay wrong.
  if (!frame.verified) {
    frame.verified = checksum_good(*packets_[frame.first], frame.flow);
    frame.open = frame.verified;
  }
  if (!frame.open || !checksum_good(packet, flow)) return false;
  next_[frame.last] = static_cast<std::uint8_t>(position);
  next_[position] = kNone;
  frame.last = static_cast<std::uint8_t>(position);
  frame.bytes += flow.payload;
  ++frame.count;
  frame.open = flow.payload == frame.flow.payload && !flow.closes;
  return true;
}

void JoinPlan::build(std::span<Packet* const> packets, JoinOffloads offloads) noexcept {
  packets_ = packets;
  frames_used_ = 0;
  for (unsigned i = 0; i < packets.size(); ++i) {
    const Flow flow = classify(*packets[i], offloads);
    // Only the flow's latest frame may grow, else packets would overtake each other.
    Frame* latest = nullptr;
    for (unsigned f = frames_used_; flow.key != 0 && f-- > 0;) {
      if (frames_[f].flow.key == flow.key) {
        latest = &frames_[f];
        break;
      }
    }
    if (latest != nullptr && append(*latest, flow, i)) continue;
    Frame& frame = frames_[frames_used_++];
    frame.flow = flow;
    frame.bytes = flow.headers + std::uint32_t{flow.payload};
    frame.first = frame.last = static_cast<std::uint8_t>(i);
    frame.count = 1;
    frame.open = flow.joinable && !flow.closes;
    frame.verified = false;
    frame.header = {};
    next_[i] = kNone;
  }
}

void JoinPlan::write_head(Frame& frame) noexcept {
  const Flow& flow = frame.flow;
  const bool is_tcp = flow.protocol == wire::kProtocolTcp;
  const std::uint16_t field = is_tcp ? kTcpChecksum : kUdpChecksum;
  std::byte* ip = frame.head.data();
  std::byte* upper = ip + flow.upper;
  std::memcpy(ip, packets_[frame.first]->data(), flow.headers);
  if (flow.is_v6) {
    wire::store16(ip + 4, static_cast<std::uint16_t>(frame.bytes - wire::kIpv6Bytes));
  } else {
    wire::store16(ip + 2, static_cast<std::uint16_t>(frame.bytes));
    wire::store16(ip + 10, 0);
    wire::store16(ip + 10, wire::checksum(ip, wire::kIpv4Bytes));
  }
  const auto upper_bytes = static_cast<std::uint16_t>(frame.bytes - flow.upper);
  if (is_tcp) {
    const std::byte* last = packets_[frame.last]->data() + flow.upper;
    wire::store8(upper + 13, wire::load8(last + 13));
  } else {
    wire::store16(upper + 4, upper_bytes);
  }
  const std::uint32_t sum = pseudo_header(ip, flow.is_v6, flow.protocol, upper_bytes);
  wire::store16(upper + field, static_cast<std::uint16_t>(~wire::fold(sum)));
  frame.header.flags = kFrameNeedsChecksum;
  frame.header.gso_type = !is_tcp ? kFrameGsoUdp : flow.is_v6 ? kFrameGsoTcp6 : kFrameGsoTcp4;
  frame.header.header_bytes = flow.headers;
  frame.header.segment_bytes = flow.payload;
  frame.header.checksum_start = flow.upper;
  frame.header.checksum_offset = field;
}

unsigned JoinPlan::pieces(unsigned index, iovec* out) noexcept {
  Frame& frame = frames_[index];
  out[0] = {&frame.header, sizeof frame.header};
  Packet* first = packets_[frame.first];
  if (frame.count == 1) {
    out[1] = {first->data(), first->length};
    return 2;
  }
  write_head(frame);
  out[1] = {frame.head.data(), frame.flow.headers};
  unsigned used = 2;
  for (std::uint8_t i = frame.first; i != kNone; i = next_[i]) {
    Packet* packet = packets_[i];
    const std::size_t payload = packet->length - std::size_t{frame.flow.headers};
    out[used++] = {packet->data() + frame.flow.headers, payload};
  }
  return used;
}

}  // namespace sluice
