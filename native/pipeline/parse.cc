// parse: headers checked, the key taken (TEID, or UE address), the operand for the
// filters built, and the lines that lookup needs put on their way.
#include <cstring>

#include "pipeline/pipeline.h"
#include "wire/gtpu.h"
#include "wire/inner.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {
namespace {

constexpr unsigned kPlainOuter = 28;  // IPv4 without options, UDP

/// Sum of an IPv4 header without options; 0xffff when its checksum is right.
inline std::uint32_t header_sum(const std::byte* h) noexcept {
  std::uint64_t a, b;
  std::uint32_t c;
  std::memcpy(&a, h, 8);
  std::memcpy(&b, h + 8, 8);
  std::memcpy(&c, h + 16, 4);
  unsigned __int128 wide = static_cast<unsigned __int128>(a) + b + c;
  std::uint64_t sum = static_cast<std::uint64_t>(wide) + static_cast<std::uint64_t>(wide >> 64);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  return static_cast<std::uint32_t>((sum & 0xffff) + (sum >> 16));
}

inline std::uint64_t halves(std::uint32_t remote, std::uint32_t local) noexcept {
  // Lanes are 16-bit: high half first, so a rotation by 16 puts them in order.
  const auto rotate = [](std::uint32_t v) { return v << 16 | v >> 16; };
  return rotate(remote) | std::uint64_t{rotate(local)} << 32;
}

inline void set_operand(Operand& operand, std::uint64_t addresses, unsigned protocol,
                        unsigned remote_port, unsigned local_port, unsigned qfi) noexcept {
  const std::uint64_t rest = protocol | std::uint64_t{remote_port} << 16 |
                             std::uint64_t{local_port} << 32 | std::uint64_t{qfi} << 48;
  std::memcpy(operand.lanes, &addresses, 8);
  std::memcpy(operand.lanes + 4, &rest, 8);
}

}  // namespace

/// The UE's packet: at inner_offset, at most inner_length bytes; the length becomes the IP's.
DropReason Pipeline::set_inner(Burst& burst, unsigned i, bool uplink) noexcept {
  const std::byte* inner = burst.packets[i]->data() + burst.inner_offset[i];
  const unsigned n = burst.inner_length[i];
  const unsigned qfi = burst.qfi[i];
  if (__builtin_expect(
          n >= 24 && wire::load8(inner) == 0x45 && (wire::load16(inner + 6) & 0x3fff) == 0, 1)) {
    const unsigned total = wire::load16(inner + 2), protocol = wire::load8(inner + 9);
    const bool ports = wire::protocol_has_ports(static_cast<std::uint8_t>(protocol));
    if (__builtin_expect(total >= 24 && total <= n && protocol != wire::kProtocolEsp &&
                             protocol != wire::kProtocolAh,
                         1)) {
      const std::uint32_t source = wire::load32(inner + 12), destination = wire::load32(inner + 16);
      const unsigned first = ports ? wire::load16(inner + 20) : 0;
      const unsigned second = ports ? wire::load16(inner + 22) : 0;
      if (!ports) burst.flags[i] |= kInnerNoPorts;
      burst.inner_length[i] = static_cast<std::uint16_t>(total);
      set_operand(burst.operand[i],
                  uplink ? halves(destination, source) : halves(source, destination), protocol,
                  uplink ? second : first, uplink ? first : second, qfi);
      return DropReason::None;
    }
  }
  wire::InnerPacket parsed;
  const DropReason reason = wire::parse_inner(inner, n, parsed);
  if (reason != DropReason::None) return reason;
  burst.inner_length[i] = static_cast<std::uint16_t>(parsed.total_length);
  if (parsed.version == 6) burst.flags[i] |= kInnerV6;
  if (!parsed.has_ports) burst.flags[i] |= kInnerNoPorts;
  const auto& remote = uplink ? parsed.destination : parsed.source;
  const auto& local = uplink ? parsed.source : parsed.destination;
  const unsigned source_port = parsed.has_ports ? parsed.source_port : 0;
  const unsigned destination_port = parsed.has_ports ? parsed.destination_port : 0;
  set_operand(burst.operand[i], parsed.version == 4 ? halves(remote[0], local[0]) : 0,
              parsed.protocol, uplink ? destination_port : source_port,
              uplink ? source_port : destination_port, qfi);
  return DropReason::None;
}

void Pipeline::parse_access(Burst& burst) noexcept {
  const std::uint16_t udp_port = ports_[burst.port].udp_port;
  const std::uint16_t port_locals = ports_[burst.port].local_mask;
  for (unsigned i = 0; i < burst.count; ++i) __builtin_prefetch(burst.packets[i]->data());
  for (unsigned i = 0; i < burst.count; ++i) {
    Packet* packet = burst.packets[i];
    const std::byte* p = packet->data();
    const unsigned n = packet->length;
    DropReason reason = DropReason::None;
    // The plain case in one condition: IPv4 without options or fragments, UDP to our port
    // without a checksum to verify, a G-PDU with nothing but a PDU Session Container.
    const unsigned total = n >= kPlainOuter + 16 ? wire::load16(p + 2) : 0;
    const unsigned udp_length = total != 0 ? wire::load16(p + 24) : 0;
    const bool plain =
        total != 0 && wire::load8(p) == 0x45 && wire::load8(p + 9) == wire::kProtocolUdp &&
        (wire::load16(p + 6) & 0x3fff) == 0 && total <= n && udp_length + 20 == total &&
        wire::load16(p + 22) == udp_port && wire::load16(p + 26) == 0 &&
        wire::load16(p + 28) == 0x34ff && udp_length == wire::load16(p + 30) + 16u &&
        (wire::load32(p + 36) & 0xff) == wire::kExtensionPduSession && wire::load8(p + 40) == 1 &&
        wire::load8(p + 43) == 0 && udp_length >= 24 &&
        ((packet->flags & kPacketOuterChecksumGood) || header_sum(p) == 0xffff);
    if (__builtin_expect(plain, 1)) {
      const std::uint32_t to = wire::load32(p + 16);
      unsigned local = 0;
      while (local < local_count_ && local_ipv4_[local] != to) ++local;
      burst.key[i] = wire::load32(p + 32);
      burst.qfi[i] = wire::load8(p + 42) & 0x3f;
      burst.flags[i] |= kHasContainer;
      burst.local[i] = static_cast<std::uint8_t>(local);
      burst.inner_offset[i] = kPlainOuter + 16;
      burst.inner_length[i] = static_cast<std::uint16_t>(total - kPlainOuter - 16);
      if (__builtin_expect(local == local_count_ || (port_locals >> local & 1) == 0, 0)) {
        reason = DropReason::NotForUs;
      }
    } else {
      reason = parse_outer_slow(burst, i);
    }
    if (reason == DropReason::None) {
      const SessionIndex session = (burst.flags[i] & kResolved)
                                       ? packet->session
                                       : sessions_.scheme().candidate(Teid{burst.key[i]});
      burst.session[i] = session;
      if (session != kNoSession) {
        __builtin_prefetch(&uplink_[session].state, 1);
        __builtin_prefetch(&uplink_[session].rules);
      }
      reason = set_inner(burst, i, true);
    }
    burst.verdict[i] = reason;
  }
}

/// Any outer packet, header by header.
DropReason Pipeline::parse_outer_slow(Burst& burst, unsigned i) noexcept {
  Packet* packet = burst.packets[i];
  const PipelinePort& port = ports_[packet->port];
  const std::byte* p = packet->data();
  const std::size_t n = packet->length;
  const bool checked = (packet->flags & kPacketOuterChecksumGood) != 0;
  if (n == 0) return DropReason::TruncatedPacket;
  std::uint32_t to[4] = {};
  std::size_t upper = 0, end = 0;
  const bool is_v6 = wire::load8(p) >> 4 == 6;
  wire::Ipv4Header v4{};
  if (is_v6) {
    wire::Ipv6Header v6{};
    wire::Ipv6Upper walk{};
    DropReason reason = wire::parse_ipv6(p, n, v6);
    if (reason == DropReason::None) reason = wire::walk_ipv6(p, v6.total_length, walk);
    if (reason != DropReason::None) return reason;
    if (walk.is_fragment) return DropReason::OuterFragment;
    if (walk.protocol != wire::kProtocolUdp) return DropReason::NotGtpu;
    upper = walk.offset;
    end = v6.total_length;
    for (unsigned w = 0; w < 4; ++w) to[w] = wire::load32(p + 24 + 4 * w);
  } else {
    if (const auto reason = wire::parse_ipv4(p, n, v4); reason != DropReason::None) return reason;
    if (!checked && !wire::ipv4_checksum_good(p, v4.header_length))
      return DropReason::BadIpChecksum;
    if (v4.is_fragment) return DropReason::OuterFragment;
    if (v4.protocol != wire::kProtocolUdp) return DropReason::NotGtpu;
    upper = v4.header_length;
    end = v4.total_length;
    to[0] = v4.destination;
  }
  unsigned local = 0;
  for (; local < network_.locals.size(); ++local) {
    const LocalAddress& address = network_.locals[local];
    if ((port.local_mask >> local & 1) && address.is_v6 == is_v6 &&
        std::memcmp(address.words, to, sizeof(to)) == 0) {
      break;
    }
  }
  if (local == network_.locals.size()) return DropReason::NotForUs;
  wire::UdpHeader udp{};
  if (const auto reason = wire::parse_udp(p + upper, end - upper, udp);
      reason != DropReason::None) {
    return reason;
  }
  if (udp.destination_port != port.udp_port) return DropReason::NotGtpu;
  if (!checked &&
      !(is_v6 ? wire::udp_checksum_good_v6(p + upper, udp, p + 8, p + 24)
              : wire::udp_checksum_good_v4(p + upper, udp, v4.source, v4.destination))) {
    return DropReason::BadUdpChecksum;
  }
  burst.local[i] = static_cast<std::uint8_t>(local);
  return gtpu_message(burst, i, static_cast<unsigned>(upper + wire::kUdpBytes),
                      static_cast<unsigned>(udp.length - wire::kUdpBytes));
}

/// The GTP-U part, at `gtpu` in the packet's data. An Echo Request is answered in place.
DropReason Pipeline::gtpu_message(Burst& burst, unsigned i, unsigned gtpu, unsigned n) noexcept {
  Packet* packet = burst.packets[i];
  wire::GtpuHeader header{};
  if (const auto reason = wire::parse_gtpu(packet->data() + gtpu, n, header);
      reason != DropReason::None) {
    return reason;
  }
  if (header.type == wire::kGtpuEchoRequest) return answer_echo(burst, i, gtpu, header.sequence);
  if (header.type == wire::kGtpuEchoResponse) return DropReason::GtpuEcho;
  if (header.type != wire::kGtpuGpdu) return DropReason::GtpuMessageType;
  if (header.unknown_required != 0) return DropReason::GtpuUnknownExtension;
  burst.key[i] = static_cast<std::uint32_t>(header.teid);
  burst.qfi[i] = header.has_psc ? header.qfi : static_cast<std::uint8_t>(kNoQfi);
  if (header.has_psc) burst.flags[i] |= kHasContainer;
  burst.inner_offset[i] = static_cast<std::uint16_t>(gtpu + header.payload_offset);
  burst.inner_length[i] = header.payload_length;
  return header.payload_length == 0 ? DropReason::EmptyPayload : DropReason::None;
}

void Pipeline::parse_core(Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.count; ++i) __builtin_prefetch(burst.packets[i]->data());
  for (unsigned i = 0; i < burst.count; ++i) {
    Packet* packet = burst.packets[i];
    burst.inner_offset[i] = 0;
    burst.inner_length[i] = packet->length;
    burst.qfi[i] = kNoQfi;
    burst.session[i] = (burst.flags[i] & kResolved) ? packet->session : kNoSession;
    const DropReason reason = set_inner(burst, i, false);
    burst.verdict[i] = reason == DropReason::EmptyPayload ? DropReason::TruncatedPacket : reason;
    if (reason != DropReason::None) continue;
    const std::byte* p = packet->data();
    if (burst.flags[i] & kInnerV6) {
      burst.prefix[i] = wire::load64(p + 24);
      sessions_.ipv6().prefetch(burst.prefix[i]);
    } else {
      burst.key[i] = wire::load32(p + 16);
      sessions_.ipv4().prefetch(burst.key[i]);
    }
  }
}

}  // namespace sluice
