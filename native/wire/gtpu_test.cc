#include "wire/gtpu.h"

#include <gtest/gtest.h>

#include <random>

#include "wire/wire_test_bytes.h"

namespace sluice::wire {
namespace {
using test::Bytes;
using test::exact;
using test::from_hex;
using test::operator+;

GtpuHeader parsed(const Bytes& bytes) {
  GtpuHeader header{};
  EXPECT_EQ(parse_gtpu(bytes.data(), bytes.size(), header), DropReason::None);
  return header;
}
DropReason refused(const Bytes& bytes) {
  GtpuHeader header{};
  header.type = 77;
  const DropReason reason = parse_gtpu(bytes.data(), bytes.size(), header);
  EXPECT_EQ(header.type, 77) << "out was written although the parse failed";
  return reason;
}

TEST(Gtpu, PlainHeader) {
  const GtpuHeader header = parsed(from_hex("30ff0003 12345678 aabbcc"));
  EXPECT_EQ(header.type, kGtpuGpdu);
  EXPECT_EQ(header.teid, Teid{0x12345678});
  EXPECT_EQ(header.payload_offset, 8);
  EXPECT_EQ(header.payload_length, 3);
  EXPECT_FALSE(header.has_sequence);
  EXPECT_FALSE(header.has_psc);
}

TEST(Gtpu, TrailingBytesAreTrimmed) {
  const GtpuHeader header = parsed(from_hex("30ff0001 00000001 aabbccdd"));
  EXPECT_EQ(header.payload_length, 1);
}

TEST(Gtpu, LengthPastTheDatagramIsRefused) {
  EXPECT_EQ(refused(from_hex("30ff0004 00000001 aabbcc")), DropReason::GtpuTruncated);
  EXPECT_EQ(refused(from_hex("30ffffff 00000001")), DropReason::GtpuTruncated);
  EXPECT_EQ(refused({}), DropReason::GtpuTruncated);
}

TEST(Gtpu, VersionAndProtocolType) {
  for (const char* first : {"10", "50", "20", "00", "ff"}) {
    EXPECT_EQ(refused(from_hex(std::string(first) + "ff0000 00000001")), DropReason::GtpuVersion);
  }
  EXPECT_EQ(parsed(from_hex("38ff0000 00000001")).type, kGtpuGpdu) << "the spare bit is ignored";
}

TEST(Gtpu, OptionalFieldsCountOnlyWhenFlagged) {
  const GtpuHeader sequence = parsed(from_hex("32ff0005 00000001 beef 00 85 aa"));
  EXPECT_TRUE(sequence.has_sequence);
  EXPECT_EQ(sequence.sequence, 0xbeef);
  EXPECT_FALSE(sequence.has_psc) << "E is not set, so that the next type means nothing";
  EXPECT_EQ(sequence.payload_offset, 12);
  EXPECT_EQ(sequence.payload_length, 1);
  const GtpuHeader npdu = parsed(from_hex("31ff0005 00000001 beef 07 85 aa"));
  EXPECT_FALSE(npdu.has_sequence);
  EXPECT_EQ(npdu.payload_offset, 12);
  EXPECT_EQ(refused(from_hex("32ff0003 00000001 beef00")), DropReason::GtpuTruncated);
}

TEST(Gtpu, DownlinkContainer) {
  const GtpuHeader header = parsed(from_hex("34ff000a 00000002 00000085 01000900 4500"));
  EXPECT_TRUE(header.has_psc);
  EXPECT_EQ(header.psc_type, kPscDownlink);
  EXPECT_EQ(header.qfi, 9);
  EXPECT_FALSE(header.rqi);
  EXPECT_EQ(header.payload_offset, 16);
  EXPECT_EQ(header.payload_length, 2);
}

TEST(Gtpu, DownlinkContainerWithRqiAndPpi) {
  const Bytes bytes = from_hex("34ff000c 00000002 00000085 0200c9a0 00000000");
  const GtpuHeader header = parsed(bytes);
  EXPECT_TRUE(header.rqi);
  EXPECT_EQ(header.qfi, 9);
  PduSessionContainer psc{};
  ASSERT_EQ(parse_psc(bytes.data() + header.psc_offset, header.psc_length, psc), DropReason::None);
  EXPECT_TRUE(psc.has_ppi);
  EXPECT_EQ(psc.ppi, 5);
  EXPECT_TRUE(psc.rqi);
}

TEST(Gtpu, UplinkContainerHasNoRqi) {
  const GtpuHeader header = parsed(from_hex("34ff0008 00000002 00000085 01104500"));
  EXPECT_EQ(header.psc_type, kPscUplink);
  EXPECT_EQ(header.qfi, 5);
  EXPECT_FALSE(header.rqi) << "bit 7 of an uplink container is another flag";
}

TEST(Gtpu, WholeContainers) {
  PduSessionContainer psc{};
  const Bytes downlink = from_hex("0c c9 a0 0102030405060708 00000a 000000");
  ASSERT_EQ(parse_psc(downlink.data(), downlink.size(), psc), DropReason::None);
  EXPECT_TRUE(psc.qmp);
  EXPECT_EQ(psc.sending_time, 0x0102030405060708u);
  EXPECT_EQ(psc.qfi_sequence, 10u);
  const Bytes uplink = from_hex(
      "1f 85 1111111111111111 2222222222222222 3333333333333333 00000004 00000005 000006 00000007");
  ASSERT_EQ(parse_psc(uplink.data(), uplink.size(), psc), DropReason::None);
  EXPECT_EQ(psc.qfi, 5);
  EXPECT_EQ(psc.received_time, 0x2222222222222222u);
  EXPECT_EQ(psc.uplink_sending_time, 0x3333333333333333u);
  EXPECT_EQ(psc.downlink_delay_ms, 4u);
  EXPECT_EQ(psc.uplink_delay_ms, 5u);
  EXPECT_EQ(psc.qfi_sequence, 6u);
  EXPECT_EQ(psc.n3_n9_delay_ms, 7u);
  for (std::size_t n = 0; n < uplink.size(); ++n) {
    const auto copy = exact(uplink, n);
    EXPECT_EQ(parse_psc(copy.get(), n, psc), DropReason::GtpuExtension) << n;
  }
}

TEST(Gtpu, ExtensionOfLengthZeroOrPastTheEnd) {
  EXPECT_EQ(refused(from_hex("34ff0008 00000002 00000085 00000900")), DropReason::GtpuExtension);
  EXPECT_EQ(refused(from_hex("34ff0008 00000002 00000085 02000900")), DropReason::GtpuExtension);
  EXPECT_EQ(refused(from_hex("34ff0008 00000002 00000085 01000985")), DropReason::GtpuExtension);
  EXPECT_EQ(refused(from_hex("34ff0004 00000002 00000085 01000900")), DropReason::GtpuExtension)
      << "the extension lies in the trimmed part";
}

Bytes chain(unsigned headers) {
  Bytes bytes = from_hex("34ff0000 00000002 00000020");
  for (unsigned i = 0; i < headers; ++i) bytes = bytes + from_hex("01000020");
  bytes.back() = std::byte{0};
  store16(bytes.data() + 2, static_cast<std::uint16_t>(bytes.size() - 8));
  return bytes;
}

TEST(Gtpu, ChainIsBounded) {
  EXPECT_EQ(parsed(chain(8)).payload_offset, 12 + 32);
  EXPECT_EQ(refused(chain(9)), DropReason::ExtensionLimit);
  EXPECT_EQ(refused(chain(300)), DropReason::ExtensionLimit);
}

TEST(Gtpu, ComprehensionBits) {
  const auto unknown = [](std::uint8_t type) {
    Bytes bytes = from_hex("34ff0008 00000002 00000000 01000000");
    bytes[11] = std::byte{type};
    return parsed(bytes).unknown_required;
  };
  EXPECT_EQ(unknown(0x20), 0);
  EXPECT_EQ(unknown(0x7f), 0);
  EXPECT_EQ(unknown(0x8f), 0x8f);
  EXPECT_EQ(unknown(0xcf), 0xcf);
  EXPECT_EQ(unknown(kExtensionPdcpNumber), 0);
  EXPECT_EQ(unknown(kExtensionNrRanContainer), 0);
}

TEST(Gtpu, PdcpNumbersAreTakenAlong) {
  const Bytes in = from_hex("34ff0010 00000002 000000c0 01123485 01100700 11223344");
  PdcpNumber number;
  take_pdcp_number(in.data(), parsed(in), number);
  EXPECT_EQ(number.bytes, 4);
  const PscFields psc{.type = kPscDownlink, .qfi = 7};
  Bytes out(gpdu_bytes(&psc, number));
  EXPECT_EQ(write_gpdu(out.data(), Teid{2}, 4, &psc, number), out.size());
  EXPECT_EQ(out, from_hex("34ff0010 00000002 00000085 010007c0 01123400"));
  out.resize(gpdu_bytes(nullptr, number));
  EXPECT_EQ(write_gpdu(out.data(), Teid{2}, 4, nullptr, number), out.size());
  EXPECT_EQ(out, from_hex("34ff000c 00000002 000000c0 01123400"));
}

TEST(Gtpu, ContainerBehindOtherExtensions) {
  const GtpuHeader header =
      parsed(from_hex("36ff0014 00000002 00010040 010868c0 01abcd20 01001185 01100700"));
  EXPECT_TRUE(header.has_psc);
  EXPECT_EQ(header.qfi, 7);
  EXPECT_EQ(header.payload_length, 0);
  const GtpuHeader twice = parsed(from_hex("34ff000c 00000002 00000085 01000585 01000900"));
  EXPECT_EQ(twice.qfi, 5) << "the first of two containers counts";
}

TEST(Gtpu, WritesTheKnownVectors) {
  std::byte bytes[64];
  const auto written = [&](std::size_t n) { return Bytes(bytes, bytes + n); };
  EXPECT_EQ(written(write_gpdu(bytes, Teid{0x01020304}, 0x54, nullptr)),
            from_hex("30ff0054 01020304"));
  PscFields psc{.qfi = 9};
  EXPECT_EQ(written(write_gpdu(bytes, Teid{1}, 0x54, &psc)),
            from_hex("34ff005c 00000001 00000085 01000900"));
  psc = {.qfi = 9, .rqi = true, .has_ppi = true, .ppi = 5};
  EXPECT_EQ(written(write_gpdu(bytes, Teid{1}, 0x54, &psc)),
            from_hex("34ff0060 00000001 00000085 0200c9a0 00000000"));
  psc = {.type = kPscUplink, .qfi = 5, .rqi = true, .has_ppi = true, .ppi = 5};
  EXPECT_EQ(written(write_gpdu(bytes, Teid{1}, 0x54, &psc)),
            from_hex("34ff005c 00000001 00000085 01100500"));
  EXPECT_EQ(written(write_echo_response(bytes, 0x1234)),
            from_hex("32020006 00000000 12340000 0e00"));
  EXPECT_EQ(written(write_end_marker(bytes, Teid{0xabcdef01})), from_hex("30fe0000 abcdef01"));
  EXPECT_EQ(written(write_supported_extensions(bytes, 0)),
            from_hex("321f0007 00000000 00000000 8d0185"));
  const Bytes address = from_hex("0a000003");
  EXPECT_EQ(written(write_error_indication(bytes, 1, Teid{9}, address.data(), 4)),
            from_hex("321a0010 00000000 00010000 1000000009 8500040a000003"));
}

TEST(Gtpu, HeadersReadBackAsWritten) {
  std::mt19937 random(1);
  for (int i = 0; i < 10000; ++i) {
    PscFields psc{.type = static_cast<std::uint8_t>(random() & 1),
                  .qfi = static_cast<std::uint8_t>(random() & 63),
                  .rqi = (random() & 1) != 0,
                  .has_ppi = (random() & 1) != 0,
                  .ppi = static_cast<std::uint8_t>(random() & 7)};
    const PscFields* used = (random() & 3) != 0 ? &psc : nullptr;
    const auto payload = static_cast<std::uint16_t>(random() % 1400);
    const Teid teid{static_cast<std::uint32_t>(random())};
    Bytes bytes(kGpduBytesMax + payload);
    const std::size_t size = write_gpdu(bytes.data(), teid, payload, used);
    ASSERT_EQ(size, gpdu_bytes(used));
    bytes.resize(size + payload);
    const GtpuHeader header = parsed(bytes);
    ASSERT_EQ(header.teid, teid);
    ASSERT_EQ(header.payload_offset, size);
    ASSERT_EQ(header.payload_length, payload);
    ASSERT_EQ(header.has_psc, used != nullptr);
    if (used == nullptr) continue;
    PduSessionContainer read{};
    ASSERT_EQ(parse_psc(bytes.data() + header.psc_offset, header.psc_length, read),
              DropReason::None);
    const bool downlink = psc.type == kPscDownlink;
    ASSERT_EQ(read.type, psc.type);
    ASSERT_EQ(read.qfi, psc.qfi);
    ASSERT_EQ(read.rqi, downlink && psc.rqi);
    ASSERT_EQ(read.has_ppi, downlink && psc.has_ppi);
    if (read.has_ppi) {
      ASSERT_EQ(read.ppi, psc.ppi);
    }
  }
}

TEST(Gtpu, ErrorIndicationReadsBack) {
  for (const char* text : {"0a000003", "20010db8000000000000000000000003"}) {
    const Bytes address = from_hex(text);
    Bytes bytes(kErrorIndicationBytesMax);
    bytes.resize(
        write_error_indication(bytes.data(), 3, Teid{0xdeadbeef}, address.data(), address.size()));
    const GtpuHeader header = parsed(bytes);
    EXPECT_EQ(header.type, kGtpuErrorIndication);
    EXPECT_EQ(header.sequence, 3);
    ErrorIndication indication{};
    const std::byte* elements = bytes.data() + header.payload_offset;
    ASSERT_EQ(parse_error_indication(elements, header.payload_length, indication),
              DropReason::None);
    EXPECT_EQ(indication.teid, Teid{0xdeadbeef});
    ASSERT_EQ(indication.address_bytes, address.size());
    EXPECT_EQ(std::memcmp(indication.address, address.data(), address.size()), 0);
    const Bytes whole(elements, elements + header.payload_length);
    for (std::size_t n = 0; n < whole.size(); ++n) {
      const auto copy = exact(whole, n);
      EXPECT_EQ(parse_error_indication(copy.get(), n, indication), DropReason::GtpuTruncated) << n;
    }
  }
}

// Every prefix is refused, because the GTP-U length covers the whole; and whatever bytes
// lie in the header, an accepted one stays within its datagram.
TEST(Gtpu, PrefixesAndMutationsStayWithinBounds) {
  const Bytes whole =
      from_hex("36ff0018 00000002 00010040 010868c0 01abcd20 01001185 01100700 45000014");
  GtpuHeader header{};
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto copy = exact(whole, n);
    EXPECT_EQ(parse_gtpu(copy.get(), n, header), DropReason::GtpuTruncated) << n;
  }
  std::mt19937 random(2);
  for (int i = 0; i < 50000; ++i) {
    Bytes bytes = whole;
    for (unsigned flips = 1 + random() % 4; flips != 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const std::size_t n = random() % (bytes.size() + 1);
    const auto copy = exact(bytes, n);
    if (parse_gtpu(copy.get(), n, header) != DropReason::None) continue;
    ASSERT_LE(std::size_t{header.payload_offset} + header.payload_length, n);
    if (header.has_psc) {
      ASSERT_LE(std::size_t{header.psc_offset} + header.psc_length, header.payload_offset);
    }
  }
}

}  // namespace
}  // namespace sluice::wire
