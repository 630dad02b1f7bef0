// A whole frame on its way in: Ethernet, outer IP, UDP, GTP-U and the inner packet, each of the
// parsers by itself on the same bytes, and what a router makes of a packet that it understood:
// fragments, ICMP errors, a hop less, a lower MSS.
#include <algorithm>
#include <cstring>
#include <vector>

#include "fuzz/expect.h"
#include "wire/ethernet.h"
#include "wire/fragment.h"
#include "wire/gtpu.h"
#include "wire/icmp.h"
#include "wire/inner.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace sluice::wire {
namespace {

/// The sum stays what it was: 0 and 0xffff are the same in it.
bool same_sum(const std::byte* a, const std::byte* b, std::size_t n) {
  return checksum(a, n) % 0xffff == checksum(b, n) % 0xffff;
}

void check_fragments(const std::vector<std::byte>& whole, const InnerPacket& packet) {
  const unsigned header = packet.header_length;
  const unsigned payload = packet.total_length - header;
  const unsigned step = fragment_payload_bytes(header, header + 8 + packet.tos % 64);
  fuzz::expect(step != 0 && step % 8 == 0);
  for (unsigned at = 0; at < payload && at < 3 * step; at += step) {
    std::byte out[60];
    const unsigned bytes = write_fragment_header(out, whole.data());
    fuzz::expect(bytes >= kIpv4Bytes && bytes <= header);
    const unsigned n = std::min(step, payload - at);
    const unsigned place = packet.fragment_offset + at;
    finish_fragment(out, bytes + n, place, at + n < payload);
    std::vector<std::byte> piece(out, out + bytes);
    piece.resize(bytes + n);
    Ipv4Header again{};
    fuzz::expect(parse_ipv4(piece.data(), piece.size(), again) == DropReason::None);
    fuzz::expect(ipv4_checksum_good(piece.data(), bytes));
    fuzz::expect(again.header_length == bytes && again.total_length == bytes + n);
    fuzz::expect(again.fragment_offset == place && again.protocol == packet.protocol);
  }
}

void check_error(const std::vector<std::byte>& about, IcmpError error) {
  std::byte source[16] = {std::byte{10}}, out[kIcmpErrorBytesMax];
  const unsigned n = write_icmp_error(out, about.data(), about.size(), error, source, 1300);
  fuzz::expect(n <= sizeof out);
  InnerPacket parsed{};
  fuzz::expect(parse_inner(out, n, parsed) == DropReason::None && parsed.total_length == n);
  // Nobody answers an error with an error.
  fuzz::expect(!may_answer_with_icmp(out, n));
  fuzz::expect(
      std::memcmp(out + parsed.header_length + 8, about.data(), n - parsed.header_length - 8) == 0);
}

/// What a packet that parsed may become; it ends where its memory does.
void check_router(const std::byte* bytes, const InnerPacket& packet) {
  const std::vector<std::byte> whole(bytes, bytes + packet.total_length);
  if (packet.version == 4) check_fragments(whole, packet);
  if (may_answer_with_icmp(whole.data(), whole.size())) {
    check_error(whole, IcmpError::TooBig);
    check_error(whole, IcmpError::TimeExceeded);
  }
  std::vector<std::byte> changed = whole;
  const unsigned hops = packet.version == 4 ? 8 : 7;
  const bool taken = take_hop(changed.data());
  fuzz::expect(load8(changed.data() + hops) + (taken ? 1 : 0) == load8(bytes + hops));
  fuzz::expect(packet.version == 6 || same_sum(bytes, changed.data(), load8(bytes) % 16 * 4));
  changed = whole;
  const std::size_t upper = packet.header_length;
  const bool clamped = clamp_mss(changed.data(), packet, 1200);
  fuzz::expect(clamped == (changed != whole));
  fuzz::expect(same_sum(bytes + upper, changed.data() + upper, packet.total_length - upper));
  fuzz::expect(!clamp_mss(changed.data(), packet, 1200) || clamped);
}

void check_inner(const std::byte* bytes, std::size_t n) {
  InnerPacket packet{};
  if (parse_inner(bytes, n, packet) != DropReason::None) return;
  fuzz::expect(packet.version == 4 || packet.version == 6);
  fuzz::expect(packet.total_length <= n && packet.header_length <= packet.total_length);
  fuzz::expect(packet.header_length >= (packet.version == 4 ? kIpv4Bytes : kIpv6Bytes));
  fuzz::expect(packet.fragment_offset == 0 || (packet.is_fragment && !packet.has_ports));
  if (packet.has_ports) {
    fuzz::expect(packet.header_length + 4u <= packet.total_length);
    fuzz::expect(packet.source_port == load16(bytes + packet.header_length));
  }
  check_router(bytes, packet);
}

void check_datagram(const std::byte* bytes, std::size_t n) {
  UdpHeader udp{};
  if (parse_udp(bytes, n, udp) != DropReason::None) return;
  fuzz::expect(udp.length >= kUdpBytes && udp.length <= n);
  udp_checksum_good_v4(bytes, udp, 1, 2);
  GtpuHeader gtpu{};
  const std::byte* payload = bytes + kUdpBytes;
  if (parse_gtpu(payload, udp.length - kUdpBytes, gtpu) != DropReason::None) return;
  fuzz::expect(gtpu.payload_offset + std::size_t{gtpu.payload_length} + kUdpBytes <= udp.length);
  check_inner(payload + gtpu.payload_offset, gtpu.payload_length);
}

void check_v4(const std::byte* bytes, std::size_t n) {
  Ipv4Header header{};
  if (parse_ipv4(bytes, n, header) != DropReason::None) return;
  fuzz::expect(header.header_length >= kIpv4Bytes && header.header_length <= header.total_length);
  fuzz::expect(header.total_length <= n);
  ipv4_checksum_good(bytes, header.header_length);
  check_datagram(bytes + header.header_length, header.total_length - header.header_length);
}

void check_v6(const std::byte* bytes, std::size_t n) {
  Ipv6Header header{};
  if (parse_ipv6(bytes, n, header) != DropReason::None) return;
  fuzz::expect(header.total_length >= kIpv6Bytes && header.total_length <= n);
  Ipv6Upper upper{};
  if (walk_ipv6(bytes, header.total_length, upper) != DropReason::None) return;
  fuzz::expect(upper.offset >= kIpv6Bytes && upper.offset <= header.total_length);
  fuzz::expect(upper.extensions <= kIpv6ExtensionsMax);
  check_datagram(bytes + upper.offset, header.total_length - upper.offset);
}

// A header that is written from what was parsed parses to the same, and its checksum holds.
void check_rewrite(const std::byte* bytes, std::size_t n) {
  Ipv4Header header{};
  if (parse_ipv4(bytes, n, header) != DropReason::None || header.total_length < kIpv4Bytes) return;
  std::byte written[kIpv4Bytes];
  write_ipv4(written, {header.source, header.destination, kIpv4Bytes, header.identification,
                       header.protocol, header.tos, header.ttl, header.dont_fragment});
  Ipv4Header again{};
  fuzz::expect(parse_ipv4(written, kIpv4Bytes, again) == DropReason::None);
  fuzz::expect(ipv4_checksum_good(written, kIpv4Bytes));
  fuzz::expect(again.source == header.source && again.protocol == header.protocol);
  const std::uint16_t before = load16(written + 10);
  const std::uint32_t changed = ~header.source;
  store32(written + 12, changed);
  store16(written + 10, checksum_update32(before, header.source, changed));
  fuzz::expect(ipv4_checksum_good(written, kIpv4Bytes));
}

}  // namespace
}  // namespace sluice::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::wire;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  check_v4(bytes, size);
  check_v6(bytes, size);
  check_inner(bytes, size);
  check_rewrite(bytes, size);
  EthernetFrame frame{};
  if (parse_ethernet(bytes, size, frame) == sluice::DropReason::None) {
    sluice::fuzz::expect(frame.payload_offset <= size && frame.vlan_tags <= kVlanTagsMax);
    const std::size_t left = size - frame.payload_offset;
    check_v4(bytes + frame.payload_offset, left);
    check_v6(bytes + frame.payload_offset, left);
  }
  return 0;
}
