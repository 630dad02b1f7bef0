#include <gtest/gtest.h>

#include <random>

#include "wire/ethernet.h"
#include "wire/inner.h"
#include "wire/wire_test_bytes.h"

namespace sluice::wire {
namespace {
using test::Bytes;
using test::exact;
using test::from_hex;
using test::operator+;
using test::ipv4;
using test::ipv6;
using test::udp;

DropReason ethernet(const Bytes& bytes, EthernetFrame& frame) {
  return parse_ethernet(bytes.data(), bytes.size(), frame);
}

const Bytes kMacs = from_hex("020000000001020000000002");

TEST(Ethernet, TypesAndTags) {
  EthernetFrame frame{};
  ASSERT_EQ(ethernet(kMacs + from_hex("0800"), frame), DropReason::None);
  EXPECT_EQ(frame.payload_offset, 14);
  ASSERT_EQ(ethernet(kMacs + from_hex("88a8006481000065"
                                      "86dd"),
                     frame),
            DropReason::None);
  EXPECT_EQ(frame.ethertype, kEthertypeIpv6);
  EXPECT_EQ(frame.vlan_tags, 2);
  EXPECT_EQ(frame.vlan[0], 100);
  EXPECT_EQ(frame.vlan[1], 101);
  EXPECT_EQ(frame.payload_offset, 22);
  ASSERT_EQ(ethernet(kMacs + from_hex("0040aaaa030000000800"), frame), DropReason::None);
  EXPECT_EQ(frame.payload_offset, 22);
}

TEST(Ethernet, Refusals) {
  EthernetFrame frame{};
  EXPECT_EQ(ethernet(kMacs + from_hex("0806"), frame), DropReason::UnknownEthertype);
  EXPECT_EQ(ethernet(kMacs + from_hex("810000018100000281000003"
                                      "0800"),
                     frame),
            DropReason::UnknownEthertype);
  EXPECT_EQ(ethernet(kMacs + from_hex("0026424203000000000000"), frame),
            DropReason::UnknownEthertype);
  const Bytes tagged = kMacs + from_hex(
                                   "88a8006481000065"
                                   "86dd");
  for (std::size_t n = 0; n < tagged.size(); ++n) {
    const auto copy = exact(tagged, n);
    EXPECT_EQ(parse_ethernet(copy.get(), n, frame), DropReason::TruncatedPacket) << n;
  }
}

TEST(Ipv4, FieldsAndChecksum) {
  const Bytes bytes = ipv4(kProtocolUdp, udp(from_hex("0102")));
  Ipv4Header header{};
  ASSERT_EQ(parse_ipv4(bytes.data(), bytes.size(), header), DropReason::None);
  EXPECT_EQ(header.source, 0x0a3c0001u);
  EXPECT_EQ(header.destination, 0x08080808u);
  EXPECT_EQ(header.total_length, 30);
  EXPECT_EQ(header.tos, 0xb8);
  EXPECT_EQ(header.ttl, 64);
  EXPECT_TRUE(header.dont_fragment);
  EXPECT_FALSE(header.is_fragment);
  EXPECT_TRUE(ipv4_checksum_good(bytes.data(), header.header_length));
  Bytes wrong = bytes;
  wrong[8] = std::byte{63};
  EXPECT_FALSE(ipv4_checksum_good(wrong.data(), header.header_length));
}

TEST(Ipv4, Refusals) {
  Ipv4Header header{};
  const auto refused = [&](std::size_t at, std::uint8_t value) {
    Bytes bytes = ipv4(kProtocolUdp, udp({}));
    bytes[at] = std::byte{value};
    return parse_ipv4(bytes.data(), bytes.size(), header);
  };
  EXPECT_EQ(refused(0, 0x65), DropReason::BadIpVersion);
  EXPECT_EQ(refused(0, 0x44), DropReason::BadIpHeader);
  EXPECT_EQ(refused(0, 0x4f), DropReason::BadIpHeader) << "60 bytes of header in 28";
  EXPECT_EQ(refused(3, 19), DropReason::BadIpHeader);
  EXPECT_EQ(refused(3, 29), DropReason::TruncatedPacket);
}

TEST(Udp, LengthsAndChecksums) {
  Bytes bytes = udp(from_hex("010203"));
  UdpHeader header{};
  ASSERT_EQ(parse_udp(bytes.data(), bytes.size(), header), DropReason::None);
  EXPECT_EQ(header.source_port, 1234);
  EXPECT_EQ(header.destination_port, 53);
  EXPECT_TRUE(udp_checksum_good_v4(bytes.data(), header, 1, 2)) << "0 is: none";
  const Bytes a = from_hex("fd000060000000000000000000000001");
  const Bytes b = from_hex("20010db8000000000000000000000002");
  EXPECT_FALSE(udp_checksum_good_v6(bytes.data(), header, a.data(), b.data()));
  fill_udp_checksum(bytes.data(), header.length, pseudo_header_v4(1, 2, 17, header.length));
  ASSERT_EQ(parse_udp(bytes.data(), bytes.size(), header), DropReason::None);
  EXPECT_NE(header.checksum, 0);
  EXPECT_TRUE(udp_checksum_good_v4(bytes.data(), header, 1, 2));
  EXPECT_FALSE(udp_checksum_good_v4(bytes.data(), header, 1, 3));
  store16(bytes.data() + 6, 0);
  fill_udp_checksum(bytes.data(), header.length,
                    pseudo_header_v6(a.data(), b.data(), 17, header.length));
  ASSERT_EQ(parse_udp(bytes.data(), bytes.size(), header), DropReason::None);
  EXPECT_TRUE(udp_checksum_good_v6(bytes.data(), header, a.data(), b.data()));
  store16(bytes.data() + 4, 7);
  EXPECT_EQ(parse_udp(bytes.data(), bytes.size(), header), DropReason::BadUdpLength);
  store16(bytes.data() + 4, 12);
  EXPECT_EQ(parse_udp(bytes.data(), bytes.size(), header), DropReason::BadUdpLength);
  EXPECT_EQ(parse_udp(bytes.data(), 7, header), DropReason::TruncatedPacket);
}

InnerPacket inner(const Bytes& bytes) {
  InnerPacket packet{};
  EXPECT_EQ(parse_inner(bytes.data(), bytes.size(), packet), DropReason::None);
  return packet;
}
DropReason malformed(const Bytes& bytes) {
  InnerPacket packet{};
  packet.version = 77;
  const DropReason reason = parse_inner(bytes.data(), bytes.size(), packet);
  EXPECT_EQ(packet.version, 77) << "out was written although the parse failed";
  return reason;
}

TEST(Inner, Ipv4Udp) {
  const InnerPacket packet = inner(ipv4(kProtocolUdp, udp(from_hex("00"))) + from_hex("ffff"));
  EXPECT_EQ(packet.version, 4);
  EXPECT_EQ(packet.protocol, 17);
  EXPECT_EQ(packet.tos, 0xb8);
  EXPECT_EQ(packet.total_length, 29u) << "the padding is trimmed";
  EXPECT_EQ(packet.header_length, 20);
  EXPECT_EQ(packet.source[0], 0x0a3c0001u);
  EXPECT_EQ(packet.destination[0], 0x08080808u);
  EXPECT_TRUE(packet.has_ports);
  EXPECT_EQ(packet.source_port, 1234);
  EXPECT_EQ(packet.destination_port, 53);
  EXPECT_FALSE(packet.is_fragment);
}

TEST(Inner, Ipv4Fragments) {
  Bytes bytes = ipv4(kProtocolUdp, udp(from_hex("0001020304050607")));
  store16(bytes.data() + 6, 0x2000);
  const InnerPacket first = inner(bytes);
  EXPECT_TRUE(first.is_fragment);
  EXPECT_TRUE(first.has_ports);
  store16(bytes.data() + 6, 0x0001);
  const InnerPacket last = inner(bytes);
  EXPECT_TRUE(last.is_fragment);
  EXPECT_FALSE(last.has_ports);
  EXPECT_EQ(last.fragment_offset, 8);
  store16(bytes.data() + 6, 0x1fff);
  EXPECT_EQ(malformed(bytes), DropReason::InnerMalformed) << "would end beyond 65,535";
}

TEST(Inner, SecurityProtocolsAndPortless) {
  const InnerPacket esp = inner(ipv4(kProtocolEsp, from_hex("1122334400000001")));
  EXPECT_TRUE(esp.has_spi);
  EXPECT_EQ(esp.spi, 0x11223344u);
  EXPECT_FALSE(esp.has_ports);
  const InnerPacket ah = inner(ipv4(kProtocolAh, from_hex("110400001122334400000001")));
  EXPECT_EQ(ah.spi, 0x11223344u);
  EXPECT_FALSE(inner(ipv4(kProtocolIcmp, from_hex("08000000"))).has_ports);
  EXPECT_TRUE(inner(ipv4(kProtocolSctp, from_hex("00010002"))).has_ports);
  EXPECT_FALSE(inner(ipv4(kProtocolTcp, from_hex("000100"))).has_ports) << "too short for ports";
}

TEST(Inner, Ipv6WithExtensions) {
  const Bytes plain = ipv6(kProtocolUdp, udp({}));
  const InnerPacket packet = inner(plain);
  EXPECT_EQ(packet.version, 6);
  EXPECT_EQ(packet.tos, 0x28);
  EXPECT_EQ(packet.flow_label, 0x12345u);
  EXPECT_EQ(packet.source[0], 0xfd000060u);
  EXPECT_EQ(packet.source[3], 1u);
  EXPECT_EQ(packet.destination[0], 0x20010db8u);
  EXPECT_EQ(packet.total_length, 48u);
  EXPECT_EQ(packet.header_length, 40);
  // hop-by-hop, destination options of 16 bytes, routing, AH, then UDP
  const InnerPacket walked =
      inner(ipv6(0, from_hex("3c00010400000000 2b01010c000000000000000000000000 3300000000000000"
                             "1104000011223344000000010000000000000000aabbccdd") +
                        udp({})));
  EXPECT_EQ(walked.protocol, 17);
  EXPECT_EQ(walked.header_length, 40 + 8 + 16 + 8 + 24);
  EXPECT_EQ(walked.source_port, 1234);
  EXPECT_EQ(walked.spi, 0x11223344u);
}

TEST(Inner, Ipv6Fragments) {
  const InnerPacket first = inner(ipv6(44, from_hex("1100000100000007") + udp(from_hex("00"))));
  EXPECT_TRUE(first.is_fragment);
  EXPECT_TRUE(first.has_ports);
  const InnerPacket later = inner(ipv6(44, from_hex("1100000800000007") + udp(from_hex("00"))));
  EXPECT_TRUE(later.is_fragment);
  EXPECT_FALSE(later.has_ports);
  EXPECT_EQ(later.protocol, 17);
  const InnerPacket atomic = inner(ipv6(44, from_hex("1100000000000007") + udp(from_hex("00"))));
  EXPECT_FALSE(atomic.is_fragment);
  EXPECT_TRUE(atomic.has_ports);
  // The middle of a fragmented packet is no chain of headers, whatever it looks like.
  const InnerPacket middle = inner(ipv6(44, from_hex("3c00000900000007 ffffffff")));
  EXPECT_EQ(middle.protocol, 60);
  EXPECT_EQ(malformed(ipv6(44, from_hex("1100fff800000007 0000000000000000"))),
            DropReason::InnerMalformed);
}

TEST(Inner, Ipv6ChainIsBounded) {
  Bytes eight;
  for (int i = 0; i < 8; ++i) eight = eight + from_hex("3c00010400000000");
  const Bytes nine = ipv6(60, eight + from_hex("1100010400000000") + udp({}));
  EXPECT_EQ(malformed(nine), DropReason::ExtensionLimit);
  Ipv6Upper upper{};
  EXPECT_EQ(walk_ipv6(nine.data(), static_cast<std::uint32_t>(nine.size()), upper),
            DropReason::ExtensionLimit);
  eight[56] = std::byte{17};
  EXPECT_EQ(inner(ipv6(60, eight + udp({}))).header_length, 40 + 64);
  EXPECT_EQ(malformed(ipv6(60, from_hex("0000010400000000 1100010400000000"))),
            DropReason::InnerMalformed)
      << "hop-by-hop is only allowed first";
}

TEST(Inner, MalformedOnes) {
  EXPECT_EQ(malformed({}), DropReason::EmptyPayload);
  EXPECT_EQ(malformed(from_hex("55000014000000000000000000000000000000ff")),
            DropReason::InnerMalformed);
  for (const Bytes& whole :
       {ipv4(kProtocolUdp, udp(from_hex("00"))), ipv6(kProtocolUdp, udp(from_hex("00"))),
        ipv6(0, from_hex("3c00010400000000 1101010c000000000000000000000000") + udp({}))}) {
    for (std::size_t n = 1; n < whole.size(); ++n) {
      const auto copy = exact(whole, n);
      InnerPacket packet{};
      EXPECT_EQ(parse_inner(copy.get(), n, packet), DropReason::InnerMalformed) << n;
    }
  }
}

TEST(Inner, MutationsStayWithinBounds) {
  const Bytes seeds[] = {ipv4(kProtocolUdp, udp(from_hex("00"))),
                         ipv6(0, from_hex("2c00010400000000 3c00000100000007 3300010400000000"
                                          "1104000011223344000000010000000000000000aabbccdd") +
                                     udp(from_hex("00")))};
  std::mt19937 random(3);
  for (int i = 0; i < 100000; ++i) {
    Bytes bytes = seeds[random() % 2];
    for (unsigned flips = 1 + random() % 4; flips != 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const std::size_t n = random() % 2 != 0 ? bytes.size() : random() % (bytes.size() + 1);
    const auto copy = exact(bytes, n);
    InnerPacket packet{};
    if (parse_inner(copy.get(), n, packet) != DropReason::None) continue;
    ASSERT_LE(packet.total_length, n);
    ASSERT_LE(packet.header_length, packet.total_length);
    if (packet.has_ports) {
      ASSERT_LE(packet.header_length + 4u, packet.total_length);
    }
  }
}

}  // namespace
}  // namespace sluice::wire
