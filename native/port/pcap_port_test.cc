#include "port/pcap_port.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "port/capture/capture_test_bytes.h"
#include "port/port_contract_test.h"

namespace sluice {
namespace {
using test::Bytes;
using test::CaptureBytes;
using test::PoolFixture;

/// A folder with in.pcap and out.pcapng that goes away with the test.
struct Folder {
  Folder() {
    char name[] = "/tmp/sluice-pcap-XXXXXX";
    EXPECT_NE(::mkdtemp(name), nullptr);
    path = name;
  }
  ~Folder() {
    ::unlink(in().c_str());
    ::unlink(out().c_str());
    ::rmdir(path.c_str());
  }
  std::string in() const { return path + "/in.pcap"; }
  std::string out() const { return path + "/out.pcapng"; }
  void write(const CaptureBytes& file) const {
    std::ofstream stream(in(), std::ios::binary);
    stream.write(reinterpret_cast<const char*>(file.bytes.data()),
                 static_cast<std::streamsize>(file.bytes.size()));
  }
  PortConfig config(bool reads, bool writes) const {
    PortConfig config;
    config.name = "n3";
    config.driver = "pcap";
    if (reads) config.file = in();
    if (writes) config.output_file = out();
    return config;
  }
  std::string path;
};

void add_packet(CaptureBytes& file, std::uint32_t seconds, const Bytes& packet) {
  const auto length = static_cast<std::uint32_t>(packet.size());
  file.put32(seconds).put32(0).put32(length).put32(length);
  file.bytes.insert(file.bytes.end(), packet.begin(), packet.end());
}

std::vector<CaptureFrame> frames_of(CaptureReader& reader) {
  std::vector<CaptureFrame> frames;
  CaptureFrame frame{};
  for (CaptureReader::Step step; (step = reader.next(frame)) != CaptureReader::Step::End;) {
    if (step == CaptureReader::Step::Fault) {
      ADD_FAILURE() << reader.error().message;
      break;
    }
    if (step == CaptureReader::Step::Frame) frames.push_back(frame);
  }
  return frames;
}

TEST(PcapPort, SendingKeepsTheContract) {
  const Folder folder;
  PoolFixture f(256, 1);
  PcapPort port(folder.config(false, true), 1);
  PoolCache* caches[] = {&f.pool->cache(0)};
  ASSERT_TRUE(port.open(caches));
  std::size_t taken = 0;
  test::PortPeer peer;
  peer.receives = false;
  peer.take = [&] {
    for (unsigned i = 0; i < 2000; ++i) port.queue(0).flush();  // what quiet loops do
    auto reader = CaptureReader::open(folder.out());
    std::vector<Bytes> packets;
    if (!reader) return packets;
    const auto frames = frames_of(*reader.value());
    for (; taken < frames.size(); ++taken) {
      packets.emplace_back(frames[taken].data, frames[taken].data + frames[taken].length);
    }
    return packets;
  };
  test::port_contract(port, *f.pool, 0, peer);
}

TEST(PcapPort, ReplaysInOrderAndCounts) {
  const Folder folder;
  CaptureBytes file(false);
  file.pcap_header(false, 101);
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < 500; ++i) {
    add_packet(file, i, test::numbered_packet(i, 64 + i));
    bytes += 64 + i;
  }
  folder.write(file);
  PoolFixture f(64, 1);
  for (const PortRole role : {PortRole::Access, PortRole::Core}) {
    PortConfig config = folder.config(true, false);
    config.role = role;
    PcapPort port(config, 5);
    PoolCache* caches[] = {&f.pool->cache(0)};
    ASSERT_TRUE(port.open(caches));
    EXPECT_EQ(port.next_time(), 0u);
    unsigned number = 0;
    while (!port.exhausted()) {
      Packet* burst[64];
      const unsigned n = port.queue(0).rx(burst, 32);
      ASSERT_GT(n, 0u);
      for (unsigned i = 0; i < n; ++i, ++number) {
        EXPECT_EQ(burst[i]->offset, role == PortRole::Access ? kAccessDataOffset : kCoreDataOffset);
        EXPECT_EQ(burst[i]->port, 5);
        EXPECT_EQ(burst[i]->flags, 0);
        EXPECT_EQ(test::bytes_of(*burst[i]), test::numbered_packet(number, 64 + number));
      }
      f.pool->cache(0).free(burst, n);
    }
    EXPECT_EQ(number, 500u);
    EXPECT_TRUE(port.input_status());
    EXPECT_EQ(port.queue(0).counters().rx_packets, 500u);
    EXPECT_EQ(port.queue(0).counters().rx_bytes, bytes);
    EXPECT_EQ(f.pool->available(), 64u);
  }
}

TEST(PcapPort, WaitsForThePoolAndLosesNothing) {
  const Folder folder;
  CaptureBytes file(false);
  file.pcap_header(false, 101);
  for (unsigned i = 0; i < 40; ++i) add_packet(file, i, test::numbered_packet(i, 64));
  folder.write(file);
  PoolFixture f(8, 1);
  PcapPort port(folder.config(true, false), 0);
  PoolCache& cache = f.pool->cache(0);
  PoolCache* caches[] = {&cache};
  ASSERT_TRUE(port.open(caches));
  Packet* held[8];
  Packet* none[64];
  unsigned number = 0;
  while (!port.exhausted()) {
    unsigned n = 0;
    while (n < 8) n += port.queue(0).rx(held + n, 8 - n);
    const std::uint64_t before = port.queue(0).counters().rx_no_buffer;
    if (!port.exhausted()) {
      EXPECT_EQ(port.queue(0).rx(none, 64), 0u);
      EXPECT_EQ(port.queue(0).counters().rx_no_buffer, before + 1);
    }
    for (unsigned i = 0; i < n; ++i) {
      EXPECT_EQ(wire::load32(held[i]->data() + 28), number++);
    }
    cache.free(held, n);
  }
  EXPECT_EQ(number, 40u);
}

TEST(PcapPort, FramesLaterThanTheTimeWait) {
  const Folder folder;
  CaptureBytes file(false);
  file.pcap_header(false, 101);
  for (unsigned i = 1; i <= 10; ++i) add_packet(file, i, test::numbered_packet(i, 64));
  folder.write(file);
  PoolFixture f(64, 1);
  PcapPort port(folder.config(true, false), 0);
  PoolCache* caches[] = {&f.pool->cache(0)};
  ASSERT_TRUE(port.open(caches));
  Packet* burst[64];
  for (unsigned second = 1; second <= 10; ++second) {
    EXPECT_EQ(port.next_time(), second * 1'000'000'000ULL);
    port.set_time(port.next_time() - 1);
    EXPECT_EQ(port.queue(0).rx(burst, 64), 0u);
    port.set_time(port.next_time());
    ASSERT_EQ(port.queue(0).rx(burst, 64), 1u);
    EXPECT_EQ(wire::load32(burst[0]->data() + 28), second);
    f.pool->cache(0).free(burst, 1);
  }
  EXPECT_TRUE(port.exhausted());
}

TEST(PcapPort, SkipsByReason) {
  const Folder folder;
  CaptureBytes file(false);
  file.pcap_header(false, 1);
  Bytes ethernet(14, std::byte{2});
  wire::store16(ethernet.data() + 12, 0x0806);
  for (unsigned i = 0; i < 1000; ++i) add_packet(file, i, ethernet);  // more than one rx() passes
  wire::store16(ethernet.data() + 12, 0x0800);
  const auto framed = [&](const Bytes& packet) {
    Bytes frame = ethernet;
    frame.insert(frame.end(), packet.begin(), packet.end());
    return frame;
  };
  add_packet(file, 2000, framed(test::numbered_packet(1, 100)));
  add_packet(file, 2001, Bytes(13));
  add_packet(file, 2002, framed(test::numbered_packet(2, kChunkBytes - kAccessDataOffset + 1)));
  add_packet(file, 2003, framed(test::numbered_packet(3, kChunkBytes - kAccessDataOffset)));
  add_packet(file, 2004, framed(Bytes(20, std::byte{0x15})));
  for (unsigned i = 0; i < 1000; ++i) add_packet(file, 3000, Bytes(13));
  folder.write(file);
  PoolFixture f(64, 1);
  PcapPort port(folder.config(true, false), 0);
  PoolCache* caches[] = {&f.pool->cache(0)};
  ASSERT_TRUE(port.open(caches));
  std::vector<unsigned> numbers;
  Packet* burst[64];
  for (unsigned round = 0; !port.exhausted(); ++round) {
    ASSERT_LT(round, 100u);
    const unsigned n = port.queue(0).rx(burst, 64);
    for (unsigned i = 0; i < n; ++i) numbers.push_back(wire::load32(burst[i]->data() + 28));
    f.pool->cache(0).free(burst, n);
  }
  EXPECT_EQ(numbers, (std::vector<unsigned>{1, 3}));
  EXPECT_EQ(port.skipped(DropReason::UnknownEthertype), 1000u);
  EXPECT_EQ(port.skipped(DropReason::TruncatedPacket), 1001u);
  EXPECT_EQ(port.skipped(DropReason::MtuExceeded), 1u);
  EXPECT_EQ(port.skipped(DropReason::BadIpVersion), 1u);
  EXPECT_EQ(port.queue(0).counters().rx_packets, 2u);
}

TEST(PcapPort, OutputCarriesTheTimeAndThePortsName) {
  const Folder folder;
  PoolFixture f(64, 2);
  PcapPort port(folder.config(false, true), 0);
  PoolCache* caches[] = {&f.pool->cache(0), &f.pool->cache(1)};
  ASSERT_TRUE(port.open(caches));
  EXPECT_TRUE(port.exhausted()) << "there is no input";
  port.set_time(1'700'000'000'123'456'789);
  for (unsigned queue = 0; queue < 2; ++queue) {
    Packet* packet = nullptr;
    ASSERT_EQ(f.pool->cache(queue).allocate(&packet, 1), 1u);
    const Bytes bytes = test::numbered_packet(queue, 77);
    packet->offset = kAccessDataOffset;
    packet->length = 77;
    std::memcpy(packet->data(), bytes.data(), bytes.size());
    ASSERT_EQ(port.queue(queue).tx(&packet, 1), 1u);
  }
  port.close();
  EXPECT_TRUE(port.output_status());
  EXPECT_EQ(f.pool->available(), 64u);
  auto reader = CaptureReader::open(folder.out());
  ASSERT_TRUE(reader);
  const auto frames = frames_of(*reader.value());
  ASSERT_EQ(frames.size(), 2u);
  for (const CaptureFrame& frame : frames) {
    EXPECT_EQ(frame.time, 1'700'000'000'123'456'789u);
    EXPECT_EQ(frame.length, 77u);
  }
}

TEST(PcapPort, RefusalsNameTheField) {
  const Folder folder;
  PoolFixture f(64, 1);
  PoolCache* caches[] = {&f.pool->cache(0)};
  EXPECT_EQ(make_pcap_port(folder.config(false, false), 0).error().field, "file");
  {
    PcapPort port(folder.config(true, false), 0);
    const Status status = port.open(caches);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().field, "file");
    EXPECT_NE(status.error().message.find("No such file"), std::string::npos);
  }
  CaptureBytes broken(false);
  broken.section().interface(1, 0, {}).enhanced(7, 1, 4, 4);
  folder.write(broken);
  PcapPort port(folder.config(true, true), 0);
  const Status status = port.open(caches);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("names interface 7"), std::string::npos);
  EXPECT_NE(::access(folder.out().c_str(), F_OK), 0) << "no output is made for a bad input";
  PortConfig same = folder.config(true, false);
  same.output_file = folder.path + "/./in.pcap";
  EXPECT_EQ(make_pcap_port(same, 0).error().field, "output_file");
}

TEST(PcapPort, ACutCaptureIsReplayedUpToTheCut) {
  const Folder folder;
  CaptureBytes file(false);
  file.pcap_header(false, 101);
  for (unsigned i = 0; i < 3; ++i) add_packet(file, i, test::numbered_packet(i, 64));
  file.bytes.erase(file.bytes.end() - 10, file.bytes.end());
  folder.write(file);
  PoolFixture f(64, 1);
  PcapPort port(folder.config(true, false), 0);
  PoolCache* caches[] = {&f.pool->cache(0)};
  ASSERT_TRUE(port.open(caches));
  Packet* burst[64];
  ASSERT_EQ(port.queue(0).rx(burst, 64), 2u);
  f.pool->cache(0).free(burst, 2);
  EXPECT_TRUE(port.exhausted());
  const Status status = port.input_status();
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("packet at byte 184 says 80 bytes"), std::string::npos)
      << status.error().message;
}

// A limit on the file's size stands for a disk that becomes full.
struct FileSizeLimit {
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit limit{bytes, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, SIG_DFL);
  }
  rlimit before{};
};

TEST(PcapPort, AFullDiskIsCountedAndSaid) {
  const Folder folder;
  PoolFixture f(64, 1);
  PcapPort port(folder.config(false, true), 0);
  PoolCache* caches[] = {&f.pool->cache(0)};
  ASSERT_TRUE(port.open(caches));
  {
    const FileSizeLimit limit(300'000);
    for (unsigned i = 0; i < 1000; ++i) {
      Packet* packet = nullptr;
      ASSERT_EQ(f.pool->cache(0).allocate(&packet, 1), 1u);
      packet->offset = kAccessDataOffset;
      packet->length = 1500;
      std::memset(packet->data(), 0x45, 1500);
      ASSERT_EQ(port.queue(0).tx(&packet, 1), 1u);
    }
  }
  const PortCounters counters = port.queue(0).counters();
  EXPECT_GT(counters.tx_errors, 0u);
  EXPECT_EQ(counters.tx_packets + counters.tx_errors, 1000u);
  EXPECT_EQ(counters.tx_bytes, counters.tx_packets * 1500);
  EXPECT_EQ(f.pool->available(), 64u);
  port.close();
  ASSERT_FALSE(port.output_status());
  EXPECT_EQ(port.output_status().error().field, "output_file");
}

// The input may be a pipe, as in `tcpdump -w - | …`.
TEST(PcapPort, ReadsAPipe) {
  const Folder folder;
  CaptureBytes file(true);
  file.pcap_header(true, 101);
  for (unsigned i = 0; i < 100; ++i) add_packet(file, i, test::numbered_packet(i, 1500));
  ASSERT_EQ(::mkfifo(folder.in().c_str(), 0600), 0);
  std::thread writer([&] { folder.write(file); });
  PoolFixture f(128, 1);
  PcapPort port(folder.config(true, false), 0);
  PoolCache* caches[] = {&f.pool->cache(0)};
  const Status status = port.open(caches);
  writer.join();
  ASSERT_TRUE(status) << status.error().message;
  auto packets = test::receive(port.queue(0), 100);
  EXPECT_EQ(packets.size(), 100u);
  f.pool->cache(0).free(packets.data(), static_cast<unsigned>(packets.size()));
}

}  // namespace
}  // namespace sluice
