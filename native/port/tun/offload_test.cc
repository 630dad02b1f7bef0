// Segmenting and joining: what was joined must come apart into the very same packets.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "port/tun/join.h"
#include "port/tun/segment.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice {
namespace {

using Bytes = std::vector<std::byte>;

struct Spec {
  bool is_v6 = false;
  std::uint8_t protocol = wire::kProtocolTcp;
  std::uint16_t port = 1000;
  std::uint32_t sequence = 1;
  std::uint32_t ack = 77;
  std::uint8_t flags = 0x10;
  std::uint16_t window = 500;
  std::uint16_t id = 0;
  bool dont_fragment = true;
  std::uint8_t tos = 0;
  std::size_t payload = 100;
  std::size_t options = 12;
  std::byte option{1};
};

std::uint32_t seed_of(const std::byte* ip, bool is_v6, std::uint8_t protocol, std::size_t bytes) {
  const auto length = static_cast<std::uint16_t>(bytes);
  if (is_v6) return wire::pseudo_header_v6(ip + 8, ip + 24, protocol, length);
  return wire::pseudo_header_v4(wire::load32(ip + 12), wire::load32(ip + 16), protocol, length);
}

void write_ip(std::byte* ip, const Spec& s, std::size_t length) {
  if (s.is_v6) {
    std::byte source[16]{std::byte{0xfd}};
    std::byte destination[16]{std::byte{0xfd}, std::byte{1}};
    wire::write_ipv6(ip, {.source = source,
                          .destination = destination,
                          .payload_length = static_cast<std::uint16_t>(length - 40),
                          .next_header = s.protocol,
                          .traffic_class = s.tos});
    return;
  }
  wire::write_ipv4(ip, {.source = 0x0a3c0005,
                        .destination = 0x08080808,
                        .total_length = static_cast<std::uint16_t>(length),
                        .identification = s.id,
                        .protocol = s.protocol,
                        .tos = s.tos,
                        .dont_fragment = s.dont_fragment});
}

/// One whole packet with right checksums; its payload is a pattern by sequence number.
Bytes packet(const Spec& s) {
  const bool is_tcp = s.protocol == wire::kProtocolTcp;
  const std::size_t upper = s.is_v6 ? 40 : 20;
  const std::size_t headers = upper + (is_tcp ? 20 + s.options : 8);
  Bytes bytes(headers + s.payload);
  write_ip(bytes.data(), s, bytes.size());
  std::byte* l4 = bytes.data() + upper;
  for (std::size_t i = 0; i < s.payload; ++i) {
    bytes[headers + i] = static_cast<std::byte>((s.sequence + i) * 7);
  }
  const auto l4_bytes = static_cast<std::uint16_t>(bytes.size() - upper);
  if (!is_tcp) {
    wire::write_udp(l4, s.port, 53, l4_bytes);
    wire::fill_udp_checksum(l4, l4_bytes, seed_of(bytes.data(), s.is_v6, s.protocol, l4_bytes));
    return bytes;
  }
  wire::store16(l4, s.port);
  wire::store16(l4 + 2, 80);
  wire::store32(l4 + 4, s.sequence);
  wire::store32(l4 + 8, s.ack);
  wire::store8(l4 + 12, static_cast<std::uint8_t>((20 + s.options) / 4 << 4));
  wire::store8(l4 + 13, s.flags);
  wire::store16(l4 + 14, s.window);
  for (std::size_t i = 0; i < s.options; ++i) l4[20 + i] = s.option;
  wire::store16(l4 + 16, wire::fold(wire::checksum_partial(
                             l4, l4_bytes, seed_of(bytes.data(), s.is_v6, s.protocol, l4_bytes))));
  return bytes;
}

bool checksums_good(const Bytes& bytes) {
  const bool is_v6 = static_cast<unsigned>(bytes[0]) >> 4 == 6;
  const std::size_t upper = is_v6 ? 40 : 20;
  const auto protocol = static_cast<std::uint8_t>(bytes[is_v6 ? 6 : 9]);
  if (!is_v6 && wire::checksum(bytes.data(), 20) != 0) return false;
  const std::size_t l4_bytes = bytes.size() - upper;
  return wire::fold(wire::checksum_partial(bytes.data() + upper, l4_bytes,
                                           seed_of(bytes.data(), is_v6, protocol, l4_bytes))) == 0;
}

/// A burst in packet chunks, as a worker would hand it over.
class Burst {
 public:
  explicit Burst(const std::vector<Bytes>& packets) : memory_(packets.size() * kChunkBytes + 64) {
    for (std::size_t i = 0; i < packets.size(); ++i) {
      auto* p = reinterpret_cast<Packet*>(memory_.data() + i * kChunkBytes);
      p->offset = kCoreDataOffset;
      p->length = static_cast<std::uint16_t>(packets[i].size());
      std::memcpy(p->data(), packets[i].data(), packets[i].size());
      packets_.push_back(p);
    }
  }
  std::span<Packet* const> packets() const { return packets_; }

 private:
  Bytes memory_;
  std::vector<Packet*> packets_;
};

struct Written {
  FrameHeader header;
  Bytes bytes;
};

std::vector<Written> join(const std::vector<Bytes>& packets, JoinOffloads offloads = {true, true}) {
  const Burst burst(packets);
  auto plan = std::make_unique<JoinPlan>();
  plan->build(burst.packets(), offloads);
  std::vector<Written> frames;
  std::vector<bool> seen(packets.size());
  for (unsigned f = 0; f < plan->frames(); ++f) {
    iovec pieces[kJoinPacketsMax + 2];
    const unsigned n = plan->pieces(f, pieces);
    Written frame;
    std::memcpy(&frame.header, pieces[0].iov_base, sizeof frame.header);
    for (unsigned i = 1; i < n; ++i) {
      const auto* from = static_cast<const std::byte*>(pieces[i].iov_base);
      frame.bytes.insert(frame.bytes.end(), from, from + pieces[i].iov_len);
    }
    frames.push_back(std::move(frame));
    plan->for_each(f, [&](unsigned i) {
      EXPECT_FALSE(seen[i]);
      seen[i] = true;
    });
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), false), 0) << "a packet is in no frame";
  return frames;
}

std::vector<Bytes> take_apart(const Written& frame) {
  if (frame.header.gso_type == kFrameGsoNone) return {frame.bytes};
  Segmenter segmenter;
  EXPECT_TRUE(segmenter.start(frame.header, frame.bytes));
  std::vector<Bytes> packets;
  while (!segmenter.done()) {
    Bytes bytes(kPacketBytesMax);
    bytes.resize(segmenter.next(bytes.data()));
    packets.push_back(std::move(bytes));
  }
  return packets;
}

std::vector<Bytes> stream(Spec spec, const std::vector<std::size_t>& payloads) {
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    spec.payload = payloads[i];
    packets.push_back(packet(spec));
    spec.sequence += static_cast<std::uint32_t>(payloads[i]);
    ++spec.id;
  }
  return packets;
}

TEST(Join, OneStreamBecomesOneFrameThatComesApartAgain) {
  for (const bool is_v6 : {false, true}) {
    for (const auto protocol : {wire::kProtocolTcp, wire::kProtocolUdp}) {
      Spec spec{.is_v6 = is_v6, .protocol = protocol, .sequence = 0xffffff00u};
      spec.dont_fragment = protocol == wire::kProtocolTcp;
      const auto packets = stream(spec, {1400, 1400, 1400, 1400, 333});
      const auto frames = join(packets);
      ASSERT_EQ(frames.size(), 1U);
      EXPECT_EQ(frames[0].header.segment_bytes, 1400);
      EXPECT_EQ(frames[0].header.flags, kFrameNeedsChecksum);
      EXPECT_EQ(take_apart(frames[0]), packets);
    }
  }
}

TEST(Join, PushEndsAFrameAndStaysOnItsPacket) {
  auto packets = stream({}, {500, 500, 500, 500});
  packets[1] = packet({.sequence = 501, .flags = 0x18, .id = 1, .payload = 500});
  const auto frames = join(packets);
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(take_apart(frames[0]), std::vector<Bytes>(packets.begin(), packets.begin() + 2));
  EXPECT_EQ(take_apart(frames[1]), std::vector<Bytes>(packets.begin() + 2, packets.end()));
}

TEST(Join, LeavesAloneWhatDiffers) {
  const Spec first{.sequence = 1, .id = 10};
  const Spec next{.sequence = 101, .id = 11};
  ASSERT_EQ(join({packet(first), packet(next)}).size(), 1U);
  const auto stays_apart = [&](const char* what, auto change) {
    Spec changed = next;
    change(changed);
    EXPECT_EQ(join({packet(first), packet(changed)}).size(), 2U) << what;
  };
  stays_apart("gap", [](Spec& s) { s.sequence = 102; });
  stays_apart("overlap", [](Spec& s) { s.sequence = 100; });
  stays_apart("ack", [](Spec& s) { s.ack = 78; });
  stays_apart("window", [](Spec& s) { s.window = 501; });
  stays_apart("port", [](Spec& s) { s.port = 1001; });
  stays_apart("tos", [](Spec& s) { s.tos = 8; });
  stays_apart("longer", [](Spec& s) { s.payload = 101; });
  stays_apart("no payload", [](Spec& s) { s.payload = 0; });
  stays_apart("options", [](Spec& s) { s.option = std::byte{2}; });
  stays_apart("more options", [](Spec& s) { s.options = 16; });
  stays_apart("fragmentable", [](Spec& s) { s.dont_fragment = false; });
  stays_apart("identification", [](Spec& s) { s.id = 13; });
  for (const unsigned flag : {0x01, 0x02, 0x04, 0x20, 0x40, 0x80}) {
    stays_apart("flag", [&](Spec& s) { s.flags = static_cast<std::uint8_t>(0x10 | flag); });
  }
  EXPECT_EQ(join({packet(first), packet(next)}, {false, true}).size(), 2U) << "no offload";
}

TEST(Join, AWrongChecksumStaysWrong) {
  for (const auto protocol : {wire::kProtocolTcp, wire::kProtocolUdp}) {
    for (std::size_t broken = 0; broken < 3; ++broken) {
      auto packets = stream({.protocol = protocol}, {200, 200, 200});
      packets[broken].back() ^= std::byte{1};
      std::vector<Bytes> out;
      for (const Written& frame : join(packets)) {
        for (const Bytes& bytes : take_apart(frame)) out.push_back(bytes);
      }
      EXPECT_EQ(out, packets);
      EXPECT_FALSE(checksums_good(out[broken]));
    }
  }
}

TEST(Join, StaysBelow64KbAndLosesNothing) {
  const auto packets = stream({}, std::vector<std::size_t>(64, 1900));
  std::vector<Bytes> out;
  const auto frames = join(packets);
  EXPECT_EQ(frames.size(), 2U);
  for (const Written& frame : frames) {
    EXPECT_LE(frame.bytes.size(), 65535U);
    for (const Bytes& bytes : take_apart(frame)) out.push_back(bytes);
  }
  EXPECT_EQ(out, packets);
}

std::string flow_of(const Bytes& bytes) {
  const std::size_t upper = static_cast<unsigned>(bytes[0]) >> 4 == 6 ? 40 : 20;
  return {reinterpret_cast<const char*>(bytes.data() + upper), 2};
}

TEST(Join, RandomBurstsComeApartIntoTheSamePacketsPerFlow) {
  std::mt19937 random(42);
  std::size_t joined = 0;
  for (unsigned round = 0; round < 3000; ++round) {
    std::vector<Spec> flows;
    const auto flow_count = static_cast<std::uint16_t>(1 + random() % 5);
    for (std::uint16_t i = 0; i < flow_count; ++i) {
      flows.push_back({.is_v6 = random() % 2 == 0,
                       .protocol = random() % 3 == 0 ? wire::kProtocolUdp : wire::kProtocolTcp,
                       .port = static_cast<std::uint16_t>(1000 + i),
                       .sequence = static_cast<std::uint32_t>(random()),
                       .dont_fragment = random() % 2 == 0,
                       .payload = 1 + random() % 1400,
                       .options = random() % 11 * 4});
    }
    std::vector<Bytes> packets;
    std::map<std::string, std::vector<Bytes>> want;
    for (unsigned i = 0; i < 1 + random() % 64; ++i) {
      Spec& flow = flows[random() % flows.size()];
      Spec s = flow;
      if (random() % 8 == 0) s.payload = random() % (flow.payload + 10);
      if (random() % 16 == 0) s.flags = static_cast<std::uint8_t>(random() & 0x3f);
      if (random() % 16 == 0) s.sequence += 1;
      packets.push_back(packet(s));
      flow.sequence = s.sequence + static_cast<std::uint32_t>(s.payload);
      ++flow.id;
      if (random() % 32 == 0) packets.back().back() ^= std::byte{4};
      want[flow_of(packets.back())].push_back(packets.back());
    }
    std::map<std::string, std::vector<Bytes>> got;
    for (const Written& frame : join(packets)) {
      const auto apart = take_apart(frame);
      joined += apart.size() > 1 ? apart.size() : 0;
      for (const Bytes& bytes : apart) got[flow_of(bytes)].push_back(bytes);
    }
    ASSERT_TRUE(got == want) << "round " << round;
  }
  EXPECT_GT(joined, 10000U) << "the test hardly joins anything";
}

Bytes super_frame(const Spec& spec, FrameHeader& header, std::uint16_t segment) {
  Bytes bytes = packet(spec);
  const bool is_tcp = spec.protocol == wire::kProtocolTcp;
  header.flags = kFrameNeedsChecksum;
  header.gso_type = !is_tcp ? kFrameGsoUdp : spec.is_v6 ? kFrameGsoTcp6 : kFrameGsoTcp4;
  header.segment_bytes = segment;
  header.checksum_start = spec.is_v6 ? 40 : 20;
  header.checksum_offset = is_tcp ? 16 : 6;
  return bytes;
}

TEST(Segmenter, WritesWhatTheSendersStackWould) {
  FrameHeader header;
  const Spec spec{
      .sequence = 1000, .flags = 0x99, .id = 0xffff, .payload = 2500};  // CWR ACK PSH FIN
  const Bytes frame = super_frame(spec, header, 1000);
  const auto packets = take_apart({header, frame});
  ASSERT_EQ(packets.size(), 3U);
  const std::uint8_t flags[3] = {0x90, 0x10, 0x19};
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(checksums_good(packets[i]));
    EXPECT_EQ(wire::load16(packets[i].data() + 2), packets[i].size());
    EXPECT_EQ(wire::load16(packets[i].data() + 4), static_cast<std::uint16_t>(0xffff + i));
    EXPECT_EQ(wire::load32(packets[i].data() + 24), 1000 + i * 1000);
    EXPECT_EQ(wire::load8(packets[i].data() + 33), flags[i]);
    EXPECT_EQ(
        std::memcmp(packets[i].data() + 52, frame.data() + 52 + i * 1000, packets[i].size() - 52),
        0);
  }
  EXPECT_EQ(packets[2].size(), 52U + 500);
}

TEST(Segmenter, RefusesWhatContradictsItself) {
  FrameHeader good;
  const Bytes frame = super_frame({.payload = 3000}, good, 1000);
  Segmenter segmenter;
  ASSERT_TRUE(segmenter.start(good, frame));
  const auto refuses = [&](const char* what, auto change, std::size_t bytes = 4000) {
    FrameHeader header = good;
    Bytes copy = frame;
    change(header, copy);
    copy.resize(std::min(bytes, copy.size()));
    EXPECT_FALSE(segmenter.start(header, copy)) << what;
    EXPECT_TRUE(segmenter.done()) << what;
  };
  refuses("type", [](FrameHeader& h, Bytes&) { h.gso_type = 3; });
  refuses("family", [](FrameHeader& h, Bytes&) { h.gso_type = kFrameGsoTcp6; });
  refuses("version", [](FrameHeader&, Bytes& b) { b[0] = std::byte{0x55}; });
  refuses("header length", [](FrameHeader&, Bytes& b) { b[0] = std::byte{0x44}; });
  refuses("segment 0", [](FrameHeader& h, Bytes&) { h.segment_bytes = 0; });
  refuses("segment too big", [](FrameHeader& h, Bytes&) { h.segment_bytes = 2000; });
  refuses("no checksum", [](FrameHeader& h, Bytes&) { h.flags = 0; });
  refuses("start", [](FrameHeader& h, Bytes&) { h.checksum_start = 24; });
  refuses("data offset", [](FrameHeader&, Bytes& b) { b[32] = std::byte{0x40}; });
  refuses("no payload", [](FrameHeader&, Bytes&) {}, 52);
  refuses("cut TCP header", [](FrameHeader&, Bytes&) {}, 39);
  refuses("cut IP header", [](FrameHeader&, Bytes&) {}, 19);
  refuses("nothing", [](FrameHeader&, Bytes&) {}, 0);
}

TEST(CompleteChecksum, FillsInWhatTheHardwareWould) {
  Bytes bytes = packet({.protocol = wire::kProtocolUdp, .payload = 333});
  const Bytes want = bytes;
  const std::uint32_t seed = seed_of(bytes.data(), false, wire::kProtocolUdp, bytes.size() - 20);
  wire::store16(bytes.data() + 26, static_cast<std::uint16_t>(~wire::fold(seed)));
  const FrameHeader header{.flags = 1, .checksum_start = 20, .checksum_offset = 6};
  ASSERT_TRUE(complete_checksum(header, bytes));
  EXPECT_EQ(bytes, want);
  for (const std::size_t size : {0U, 19U, 27U}) {
    bytes.resize(size);
    EXPECT_FALSE(complete_checksum(header, bytes));
  }
}

TEST(CompleteChecksum, NeverWritesZero) {
  Bytes bytes(40, std::byte{0});
  wire::store16(bytes.data() + 30, 0xffff);
  ASSERT_TRUE(complete_checksum({.flags = 1, .checksum_start = 20, .checksum_offset = 6}, bytes));
  EXPECT_EQ(wire::load16(bytes.data() + 26), 0xffff);
}

}  // namespace
}  // namespace sluice
