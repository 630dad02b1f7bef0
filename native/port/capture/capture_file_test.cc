#include "port/capture/capture_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>

#include "port/capture/capture_test_bytes.h"

namespace sluice {
namespace {
using namespace test;
using Step = CaptureReader::Step;

struct Outcome {
  std::vector<CaptureFrame> frames;
  std::string error;
  std::unique_ptr<CaptureReader> reader;
};
Outcome read_all(const CaptureBytes& file) {
  Outcome outcome;
  auto made = CaptureReader::over(file.bytes, "x.pcap");
  if (!made) return {{}, made.error().message, nullptr};
  outcome.reader = std::move(made).value();
  CaptureFrame frame{};
  for (;;) {
    const Step step = outcome.reader->next(frame);
    if (step == Step::Frame) outcome.frames.push_back(frame);
    if (step == Step::Fault) outcome.error = outcome.reader->error().message;
    if (step == Step::End || step == Step::Fault) {
      EXPECT_EQ(outcome.reader->next(frame), step) << "the end is where it stays";
      return outcome;
    }
  }
}

TEST(CaptureReader, PcapInBothByteOrdersAndResolutions) {
  for (const bool big : {false, true}) {
    for (const bool nano : {false, true}) {
      CaptureBytes file(big);
      file.pcap_header(nano, 101).pcap_record(7, 5, 3, 99).pcap_record(8, 0, 0, 0);
      const Outcome outcome = read_all(file);
      EXPECT_EQ(outcome.error, "");
      ASSERT_EQ(outcome.frames.size(), 2u);
      EXPECT_EQ(outcome.frames[0].time, 7'000'000'000u + (nano ? 5u : 5000u));
      EXPECT_EQ(outcome.frames[0].length, 3u);
      EXPECT_EQ(outcome.frames[0].original_length, 99u);
      EXPECT_EQ(outcome.frames[0].link_type, LinkType::Raw);
      EXPECT_EQ(outcome.frames[0].offset, 24u);
      EXPECT_EQ(outcome.frames[1].offset, 24u + 16 + 3);
    }
  }
}

TEST(CaptureReader, PcapngWithSeveralInterfacesAndResolutions) {
  for (const bool big : {false, true}) {
    CaptureBytes file(big);
    file.section().interface(1, 0, {}).interface(101, 0, {{9, {9}}});
    file.interface(276, 0, {{9, {0x80 | 10}}, {2, {'n', '3'}}});
    file.offset_interface(12, -5);
    file.enhanced(0, 1'000'002, 4, 4).enhanced(1, 3'000'000'004, 5, 60);
    file.other_block().enhanced(2, 1024 * 3 + 512, 6, 6).enhanced(3, 12'000'000, 1, 1);
    const Outcome outcome = read_all(file);
    EXPECT_EQ(outcome.error, "");
    ASSERT_EQ(outcome.frames.size(), 4u);
    EXPECT_EQ(outcome.frames[0].time, 1'000'002'000u);
    EXPECT_EQ(outcome.frames[0].link_type, LinkType::Ethernet);
    EXPECT_EQ(outcome.frames[1].time, 3'000'000'004u);
    EXPECT_EQ(outcome.frames[1].interface, 1u);
    EXPECT_EQ(outcome.frames[1].length, 5u);
    EXPECT_EQ(outcome.frames[1].original_length, 60u);
    EXPECT_EQ(outcome.frames[2].time, 3'500'000'000u);
    EXPECT_EQ(outcome.frames[2].link_type, LinkType::LinuxCooked2);
    EXPECT_EQ(outcome.frames[3].time, 7'000'000'000u) << "the interface's offset is -5 s";
  }
}

TEST(CaptureReader, SimpleAndObsoletePackets) {
  CaptureBytes file(false);
  file.section().interface(101, 6, {}).simple(20, 8).simple(4, 4).obsolete(0, 77, 3);
  const Outcome outcome = read_all(file);
  EXPECT_EQ(outcome.error, "");
  ASSERT_EQ(outcome.frames.size(), 3u);
  EXPECT_EQ(outcome.frames[0].length, 6u) << "cut at the snap length";
  EXPECT_EQ(outcome.frames[0].original_length, 20u);
  EXPECT_EQ(outcome.frames[1].length, 4u);
  EXPECT_EQ(outcome.frames[2].time, 77'000u);
}

TEST(CaptureReader, ANewSectionForgetsTheInterfacesAndMayTurnTheByteOrder) {
  CaptureBytes file(false);
  file.section().interface(101, 0, {}).enhanced(0, 1, 1, 1);
  CaptureBytes second(true);
  second.section().interface(1, 0, {}).enhanced(0, 2, 1, 1).section().enhanced(0, 3, 1, 1);
  file.bytes.insert(file.bytes.end(), second.bytes.begin(), second.bytes.end());
  const Outcome outcome = read_all(file);
  EXPECT_EQ(outcome.frames.size(), 2u);
  EXPECT_NE(outcome.error.find("names interface 0, but only 0 are described"), std::string::npos)
      << outcome.error;
}

TEST(CaptureReader, TellsACutFileFromABrokenOne) {
  const auto is_cut = [](const CaptureBytes& file) { return read_all(file).reader->is_cut(); };
  CaptureBytes record(false);
  record.pcap_header(false, 1).pcap_record(0, 0, 10, 10);
  EXPECT_FALSE(is_cut(record)) << "it ends well";
  record.patch32(24 + 8, 11);
  EXPECT_TRUE(is_cut(record));
  record.patch32(24 + 8, 0x7fffffff);
  EXPECT_FALSE(is_cut(record)) << "no record is as long";
  CaptureBytes block(false);
  block.section().interface(1, 0, {}).enhanced(0, 1, 4, 4);
  block.patch32(28 + 20 + 4, 40);
  EXPECT_TRUE(is_cut(block));
  block.patch32(28 + 20 + 4, 6);
  EXPECT_FALSE(is_cut(block)) << "no block has such a length";
}

TEST(CaptureReader, FaultsSayWhere) {
  CaptureBytes cut(false);
  cut.pcap_header(false, 1).pcap_record(0, 0, 10, 10);
  cut.patch32(24 + 8, 70000);
  EXPECT_EQ(read_all(cut).error,
            "x.pcap: packet at byte 24 says 70016 bytes, but the file ends 26 bytes later");
  CaptureBytes block(false);
  block.section().interface(1, 0, {}).enhanced(0, 1, 4, 4);
  block.patch32(28 + 20 + 4, 70000);
  EXPECT_EQ(read_all(block).error,
            "x.pcap: block at byte 48 says 70000 bytes, but the file ends 36 bytes later");
  block.patch32(28 + 20 + 4, 6);
  EXPECT_NE(read_all(block).error.find("at byte 48 says 6 bytes"), std::string::npos);
  block.patch32(28 + 20 + 4, 36);
  block.patch32(28 + 20 + 20, 5);
  EXPECT_EQ(read_all(block).error,
            "x.pcap: block at byte 48 says 5 captured bytes, but has room for 4");
  block.patch32(28 + 20 + 20, 4);
  block.patch32(28 + 20 + 32, 40);
  EXPECT_EQ(read_all(block).error,
            "x.pcap: block at byte 48 says 36 bytes at its start and 40 at its end");
  CaptureBytes option(false);
  option.section().interface(1, 0, {{9, {6}}});
  option.patch32(28 + 16, 9 | 100 << 16);
  EXPECT_EQ(read_all(option).error,
            "x.pcap: option at byte 44 says 100 bytes, but its block has room for 8");
  CaptureBytes section(false);
  section.section().patch32(8, 1);
  EXPECT_NE(read_all(section).error.find("byte-order magic"), std::string::npos);
  CaptureBytes version(false);
  version.section().patch32(12, 2);
  EXPECT_NE(read_all(version).error.find("version 2"), std::string::npos);
}

TEST(CaptureReader, NotACapture) {
  const auto complaint = [](const std::vector<int>& bytes) {
    CaptureBytes file(false);
    for (const int byte : bytes) file.bytes.push_back(static_cast<std::byte>(byte));
    return read_all(file).error;
  };
  EXPECT_NE(complaint({}).find("has 0 bytes"), std::string::npos);
  EXPECT_NE(complaint({'G', 'E', 'T', ' '}).find("neither pcap nor pcapng"), std::string::npos);
  EXPECT_NE(complaint({0x1f, 0x8b, 8, 0}).find("gzip -d"), std::string::npos);
  EXPECT_NE(complaint({0xd4, 0xc3, 0xb2, 0xa1}).find("inside the file header"), std::string::npos);
  CaptureBytes wlan(false);
  wlan.pcap_header(false, 105);
  EXPECT_NE(read_all(wlan).error.find("link type 105 is not supported"), std::string::npos);
  EXPECT_FALSE(CaptureReader::open("/nonexistent/x.pcap"));
  const auto folder = CaptureReader::open("/");
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().message.find("is a directory"), std::string::npos);
  EXPECT_EQ(folder.error().field, "file");
}

TEST(CaptureReader, InterfacesAreBounded) {
  CaptureBytes file(false);
  file.section();
  for (std::size_t i = 0; i <= CaptureReader::kInterfacesMax; ++i) file.interface(1, 0, {});
  EXPECT_NE(read_all(file).error.find("1024 are the limit"), std::string::npos);
}

TEST(CaptureReader, TimesAtTheEdgesStayInRange) {
  for (const int resolution : {0, 9, 19, 20, 38, 39, 127, 0x80, 0x80 | 63, 0x80 | 127}) {
    CaptureBytes file(false);
    file.section().interface(101, 0, {{9, {static_cast<std::uint8_t>(resolution)}}});
    file.enhanced(0, ~0ULL, 1, 1).enhanced(0, 0, 1, 1);
    const Outcome outcome = read_all(file);
    ASSERT_EQ(outcome.frames.size(), 2u);
    EXPECT_EQ(outcome.frames[1].time, 0u);
    const Nanoseconds latest = outcome.frames[0].time;
    EXPECT_TRUE(resolution > 9 || latest == ~0ULL);
    EXPECT_TRUE(resolution != 19 || latest == 1'844'674'407);
  }
}

// Whatever the bytes, a frame lies inside the file. (The fuzzer looks further.)
TEST(CaptureReader, PrefixesAndMutationsStayInside) {
  CaptureBytes ng(true);
  ng.section().interface(1, 0, {{9, {6}}}).enhanced(0, 5, 60, 60).simple(30, 32).obsolete(0, 1, 9);
  CaptureBytes classic(false);
  classic.pcap_header(true, 113).pcap_record(1, 2, 40, 40).pcap_record(1, 3, 0, 0);
  std::mt19937 random(1);
  for (unsigned i = 0; i < 20000; ++i) {
    CaptureBytes file = random() % 2 != 0 ? ng : classic;
    for (unsigned flips = random() % 4; flips != 0; --flips) {
      file.bytes[random() % file.bytes.size()] = static_cast<std::byte>(random());
    }
    file.bytes.resize(random() % (file.bytes.size() + 1));
    file.bytes.shrink_to_fit();
    const Outcome outcome = read_all(file);
    const std::byte* end = file.bytes.data() + file.bytes.size();
    for (const CaptureFrame& frame : outcome.frames) {
      ASSERT_GE(frame.data, file.bytes.data());
      ASSERT_LE(frame.length, static_cast<std::size_t>(end - frame.data));
      CapturedPacket packet{};
      if (find_ip_packet(frame, packet) != DropReason::None) continue;
      ASSERT_LE(packet.offset, frame.length);
      ASSERT_LE(packet.length, frame.length - packet.offset);
    }
  }
}

TEST(LinkLayer, FindsThePacketBehindEveryHeader) {
  const auto found = [](LinkType type, const std::vector<int>& header, std::size_t ip_bytes) {
    std::vector<std::byte> bytes;
    for (const int byte : header) bytes.push_back(static_cast<std::byte>(byte));
    const std::size_t offset = bytes.size();
    bytes.resize(offset + ip_bytes + 6);  // padding behind the packet
    bytes[offset] = std::byte{0x45};
    bytes[offset + 3] = static_cast<std::byte>(ip_bytes);
    const CaptureFrame frame{.data = bytes.data(), .length = bytes.size(), .link_type = type};
    CapturedPacket packet{};
    EXPECT_EQ(find_ip_packet(frame, packet), DropReason::None);
    EXPECT_EQ(packet.length, ip_bytes);
    return packet.offset == offset;
  };
  const std::vector<int> macs = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  const auto after = [](std::vector<int> bytes, std::vector<int> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return bytes;
  };
  EXPECT_TRUE(found(LinkType::Ethernet, after(macs, {8, 0}), 40));
  EXPECT_TRUE(found(LinkType::Ethernet, after(macs, {0x81, 0, 0, 1, 8, 0}), 40));
  EXPECT_TRUE(found(LinkType::LinuxCooked, {0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0}, 28));
  EXPECT_TRUE(found(LinkType::LinuxCooked2,
                    {8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0}, 28));
  EXPECT_TRUE(found(LinkType::Null, {2, 0, 0, 0}, 28));
  EXPECT_TRUE(found(LinkType::Null, {0, 0, 0, 2}, 28));
  EXPECT_TRUE(found(LinkType::Loop, {0, 0, 0, 2}, 28));
  for (const LinkType type :
       {LinkType::Raw, LinkType::RawBsd, LinkType::RawOpenBsd, LinkType::Ipv4}) {
    EXPECT_TRUE(found(type, {}, 20));
  }
}

TEST(LinkLayer, SaysWhyThereIsNone) {
  const auto reason = [](LinkType type, const std::vector<int>& content) {
    std::vector<std::byte> bytes;
    for (const int byte : content) bytes.push_back(static_cast<std::byte>(byte));
    CapturedPacket packet{};
    return find_ip_packet({.data = bytes.data(), .length = bytes.size(), .link_type = type},
                          packet);
  };
  EXPECT_EQ(reason(LinkType::Ethernet, {1, 2, 3}), DropReason::TruncatedPacket);
  EXPECT_EQ(reason(LinkType::Raw, {}), DropReason::TruncatedPacket);
  EXPECT_EQ(reason(LinkType::Raw, {0x15}), DropReason::BadIpVersion);
  EXPECT_EQ(reason(LinkType::Ipv6, {0x45}), DropReason::BadIpVersion);
  EXPECT_EQ(reason(LinkType::Null, {7, 0, 0, 0, 0x45}), DropReason::UnknownEthertype);
  EXPECT_EQ(reason(LinkType{195}, {0x45}), DropReason::UnknownEthertype);
}

struct TemporaryFile {
  TemporaryFile() {
    char name[] = "/tmp/sluice-capture-XXXXXX";
    const int fd = ::mkstemp(name);
    EXPECT_GE(fd, 0);
    ::close(fd);
    path = name;
  }
  ~TemporaryFile() { ::unlink(path.c_str()); }
  std::string path;
};

TEST(CaptureWriter, WhatItWritesReadsBack) {
  const TemporaryFile file;
  const std::string names[] = {"n3", "n6 to the internet"};
  std::vector<std::byte> packet(1500, std::byte{0x45});
  {
    auto writer = CaptureWriter::create(file.path, names);
    ASSERT_TRUE(writer) << writer.error().message;
    auto second = writer.value()->share();
    ASSERT_TRUE(second) << second.error().message;
    for (unsigned i = 0; i < 1000; ++i) {
      CaptureWriter& one = i % 2 == 0 ? *writer.value() : *second.value();
      EXPECT_TRUE(one.append(i % 2, 1'700'000'000'123'456'789 + i, packet.data(), 1 + i));
    }
    std::vector<std::byte> huge(CaptureWriter::kFrameBytesMax + 1);
    EXPECT_TRUE(writer.value()->append(0, 1, huge.data(), huge.size()));
  }
  struct stat status{};
  ASSERT_EQ(::stat(file.path.c_str(), &status), 0);
  auto reader = CaptureReader::open(file.path);
  ASSERT_TRUE(reader) << reader.error().message;
  std::vector<std::size_t> lengths;
  CaptureFrame frame{};
  for (Step step; (step = reader.value()->next(frame)) != Step::End;) {
    ASSERT_NE(step, Step::Fault) << reader.value()->error().message;
    if (step != Step::Frame) continue;
    EXPECT_EQ(frame.link_type, LinkType::Raw);
    if (frame.original_length > 1500) {
      EXPECT_EQ(frame.length, CaptureWriter::kFrameBytesMax);
      continue;
    }
    EXPECT_EQ(frame.interface, (frame.length - 1) % 2);
    EXPECT_EQ(frame.time, 1'700'000'000'123'456'789 + frame.length - 1);
    lengths.push_back(frame.length);
  }
  std::sort(lengths.begin(), lengths.end());
  ASSERT_EQ(lengths.size(), 1000u);
  for (std::size_t i = 0; i < lengths.size(); ++i) EXPECT_EQ(lengths[i], i + 1);
}

TEST(CaptureWriter, SaysWhyItCannot) {
  const auto nowhere = CaptureWriter::create("/nonexistent/out.pcapng", {});
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().field, "output_file");
  EXPECT_NE(nowhere.error().message.find("No such file"), std::string::npos);
  const std::string name = "n3";
  auto full = CaptureWriter::create("/dev/full", std::span(&name, 1));
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().message.find("No space left"), std::string::npos);
}

}  // namespace
}  // namespace sluice
