#include "gnb/capture_split.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "port/capture/capture_file.h"
#include "wire/gtpu.h"
#include "wire/inner.h"
#include "wire/udp.h"

namespace sluice::gnb {
namespace {

using Bytes = std::vector<std::byte>;

IpAddress address(const char* text) {
  IpAddress out;
  out.is_v6 = std::strchr(text, ':') != nullptr;
  inet_pton(out.is_v6 ? AF_INET6 : AF_INET, text, out.bytes.data());
  return out;
}
std::uint32_t ipv4(const char* text) {
  return wire::load32(reinterpret_cast<const std::byte*>(address(text).bytes.data()));
}

/// UDP with right checksums of its own.
Bytes udp_v4(const char* from, const char* to, std::uint16_t port, const Bytes& payload) {
  const std::size_t udp_bytes = wire::kUdpBytes + payload.size();
  Bytes out(wire::kIpv4Bytes + udp_bytes);
  wire::write_ipv4(out.data(), {.source = ipv4(from),
                                .destination = ipv4(to),
                                .total_length = static_cast<std::uint16_t>(out.size())});
  std::byte* const udp = out.data() + wire::kIpv4Bytes;
  wire::write_udp(udp, 4000, port, static_cast<std::uint16_t>(udp_bytes));
  if (!payload.empty()) std::memcpy(udp + wire::kUdpBytes, payload.data(), payload.size());
  const auto length = static_cast<std::uint16_t>(udp_bytes);
  wire::fill_udp_checksum(udp, length,
                          wire::pseudo_header_v4(ipv4(from), ipv4(to), wire::kProtocolUdp, length));
  return out;
}

class CaptureSplitTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "sluice-split-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    request_.input = folder_ + "/in";
    request_.access_output = folder_ + "/access";
    request_.core_output = folder_ + "/core";
    request_.n3 = {address("192.0.2.1")};
    SplitSession session;
    session.upf_teid = Teid{0x1234};
    session.qfi = 5;
    session.upf = address("192.0.2.1");
    session.gnb = address("192.0.2.2");
    session.ue_ipv4 = ipv4("10.60.0.2");
    request_.sessions = {session};
  }
  void TearDown() override {
    for (const char* name : {"/in", "/access", "/core", "/out"}) unlink((folder_ + name).c_str());
    rmdir(folder_.c_str());
  }

  void write(const std::string& path, const std::vector<Bytes>& packets, Nanoseconds start = 1000) {
    const std::array<std::string, 1> names{"test"};
    auto writer = CaptureWriter::create(path, names);
    ASSERT_TRUE(writer);
    for (const Bytes& packet : packets) {
      writer.value()->append(0, start, packet.data(), packet.size());
      start += 10;
    }
    ASSERT_TRUE(writer.value()->flush());
  }
  std::vector<Bytes> read(const std::string& path,
                          std::vector<std::uint32_t>* interfaces = nullptr) {
    auto reader = CaptureReader::open(path);
    std::vector<Bytes> packets;
    if (!reader) return packets;
    CaptureFrame frame;
    for (;;) {
      const auto step = reader.value()->next(frame);
      if (step == CaptureReader::Step::Other) continue;
      if (step != CaptureReader::Step::Frame) return packets;
      packets.emplace_back(frame.data, frame.data + frame.length);
      if (interfaces != nullptr) interfaces->push_back(frame.interface);
    }
  }
  SplitCounts split() {
    auto counts = split_capture(request_);
    EXPECT_TRUE(counts) << counts.error().message;
    return counts ? counts.value() : SplitCounts{};
  }

  std::string folder_;
  SplitRequest request_;
};

TEST_F(CaptureSplitTest, GtpuStaysAsItIs) {
  const Bytes gtpu = udp_v4("192.0.2.9", "192.0.2.1", 2152, Bytes(12));
  const Bytes other_way = udp_v4("192.0.2.1", "192.0.2.9", 2152, Bytes(12));
  write(request_.input, {gtpu, other_way});
  const SplitCounts counts = split();
  EXPECT_EQ(counts.frames, 2u);
  EXPECT_EQ(counts.gtpu, 2u);
  EXPECT_EQ(read(request_.access_output), (std::vector<Bytes>{gtpu, other_way}));
  EXPECT_TRUE(read(request_.core_output).empty());
}

TEST_F(CaptureSplitTest, WrapsWhatTheUeSendsAndLeavesWhatItReceives) {
  const Bytes up = udp_v4("10.60.0.2", "203.0.113.1", 53, Bytes(8));
  const Bytes down = udp_v4("203.0.113.1", "10.60.0.2", 4000, Bytes(8));
  const Bytes strange = udp_v4("203.0.113.1", "203.0.113.2", 4000, Bytes(8));
  write(request_.input, {up, down, strange});
  const SplitCounts counts = split();
  EXPECT_EQ(counts.uplink, 1u);
  EXPECT_EQ(counts.downlink, 1u);
  EXPECT_EQ(counts.other, 1u);
  EXPECT_EQ(read(request_.core_output), (std::vector<Bytes>{down, strange}));
  const auto wrapped = read(request_.access_output);
  ASSERT_EQ(wrapped.size(), 1u);
  const std::byte* outer = wrapped[0].data();
  wire::Ipv4Header ip;
  ASSERT_EQ(wire::parse_ipv4(outer, wrapped[0].size(), ip), DropReason::None);
  EXPECT_TRUE(wire::ipv4_checksum_good(outer, ip.header_length));
  EXPECT_EQ(ip.destination, ipv4("192.0.2.1"));
  wire::GtpuHeader gtpu;
  const std::size_t before = wire::kIpv4Bytes + wire::kUdpBytes;
  ASSERT_EQ(wire::parse_gtpu(outer + before, wrapped[0].size() - before, gtpu), DropReason::None);
  EXPECT_EQ(gtpu.teid, Teid{0x1234});
  EXPECT_EQ(gtpu.psc_type, wire::kPscUplink);
  EXPECT_EQ(gtpu.qfi, 5);
  const std::byte* inner = outer + before + gtpu.payload_offset;
  EXPECT_EQ(Bytes(inner, inner + gtpu.payload_length), up);
}

TEST_F(CaptureSplitTest, AdoptsConversationsWithRightChecksums) {
  request_.adopt = true;
  const Bytes up = udp_v4("172.16.0.5", "203.0.113.1", 53, Bytes(9, std::byte{7}));
  const Bytes down = udp_v4("203.0.113.1", "172.16.0.5", 4000, Bytes(9, std::byte{7}));
  write(request_.input, {up, down});
  const SplitCounts counts = split();
  EXPECT_EQ(counts.adopted, 2u);
  EXPECT_EQ(counts.uplink, 1u);
  const auto core = read(request_.core_output);
  ASSERT_EQ(core.size(), 1u);
  EXPECT_EQ(core[0], udp_v4("203.0.113.1", "10.60.0.2", 4000, Bytes(9, std::byte{7})));
  const auto access = read(request_.access_output);
  ASSERT_EQ(access.size(), 1u);
  const Bytes inner(access[0].begin() + 44, access[0].end());
  EXPECT_EQ(inner, udp_v4("10.60.0.2", "203.0.113.1", 53, Bytes(9, std::byte{7})));
}

TEST_F(CaptureSplitTest, SkipsWhatCannotBeAPacketAndCountsEveryFrameOnce) {
  Bytes large(kChunkBytes, std::byte{0x45});
  Bytes no_ip(30, std::byte{0x99});
  write(request_.input, {large, no_ip, udp_v4("10.60.0.2", "203.0.113.1", 1, Bytes(2040))});
  const SplitCounts counts = split();
  std::uint64_t skipped = 0;
  for (const std::uint64_t count : counts.skipped) skipped += count;
  EXPECT_EQ(skipped + counts.gtpu + counts.uplink + counts.downlink + counts.other, counts.frames);
  EXPECT_EQ(counts.frames, 3u);
  EXPECT_GE(counts.skipped[static_cast<std::size_t>(DropReason::MtuExceeded)], 1u);
}

TEST_F(CaptureSplitTest, FindsTheBusiestDestinationAndMergesByTime) {
  const Bytes a = udp_v4("192.0.2.9", "192.0.2.1", 2152, Bytes(12));
  const Bytes b = udp_v4("192.0.2.1", "192.0.2.9", 2152, Bytes(12));
  write(request_.input, {b, a, a});
  auto busiest = busiest_gtpu_destination(request_.input);
  ASSERT_TRUE(busiest);
  EXPECT_EQ(busiest.value(), address("192.0.2.1"));
  write(request_.access_output, {a, a}, 100);
  write(request_.core_output, {b}, 105);
  ASSERT_TRUE(merge_captures({request_.access_output, request_.core_output}, {"n3", "n6"},
                             folder_ + "/out"));
  std::vector<std::uint32_t> interfaces;
  EXPECT_EQ(read(folder_ + "/out", &interfaces), (std::vector<Bytes>{a, b, a}));
  EXPECT_EQ(interfaces, (std::vector<std::uint32_t>{0, 1, 0}));
}

TEST_F(CaptureSplitTest, SaysWhatIsWrongWithAFile) {
  EXPECT_FALSE(split_capture(request_));
  EXPECT_FALSE(busiest_gtpu_destination(folder_ + "/nothing"));
}

}  // namespace
}  // namespace sluice::gnb
