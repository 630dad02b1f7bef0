// Any file as a capture that is split into the two sides of a UPF: each frame is counted once
// and is in the file that the counts say, what is written can be read, and put together again
// it has as many frames. Files are in memory.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "fuzz/expect.h"
#include "gnb/capture_split.h"
#include "memory/packet.h"
#include "port/capture/capture_file.h"
#include "wire/bytes.h"

namespace sluice::fuzz {
namespace {

class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    if (fd_ < 0) std::abort();
  }
  ~MemoryFile() { close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }
  void set(const std::uint8_t* data, std::size_t size) {
    if (ftruncate(fd_, 0) != 0) std::abort();
    if (pwrite(fd_, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  }

 private:
  int fd_;
};

/// Frames of a file that Sluice has written: whole IP packets that fit a packet's buffer.
std::uint64_t frames_of(const std::string& path) {
  auto reader = CaptureReader::open(path);
  expect(bool(reader));
  CaptureFrame frame{};
  CapturedPacket packet{};
  for (std::uint64_t n = 0;;) {
    const CaptureReader::Step step = reader.value()->next(frame);
    expect(step != CaptureReader::Step::Fault);
    if (step == CaptureReader::Step::End) return n;
    if (step != CaptureReader::Step::Frame) continue;
    expect(find_ip_packet(frame, packet) == DropReason::None);
    expect(frame.length <= kChunkBytes - kAccessDataOffset);
    ++n;
  }
}

IpAddress address(std::uint32_t host, bool is_v6) {
  IpAddress out;
  out.is_v6 = is_v6;
  wire::store32(reinterpret_cast<std::byte*>(out.bytes.data()), host);
  return out;
}

/// Up to three sessions, of which each bit of `how` decides something.
std::vector<gnb::SplitSession> sessions(unsigned how) {
  std::vector<gnb::SplitSession> out;
  for (unsigned n = 0; n < (how & 3); ++n) {
    const bool outer_v6 = (how >> (2 + n) & 1) != 0;
    gnb::SplitSession session;
    session.upf_teid = Teid{0x1000 + n};
    session.qfi = static_cast<std::uint8_t>(n + 9);
    session.upf = address(0x0a000001, outer_v6);
    session.gnb = address(0x0a000002, outer_v6);
    if (how >> 5 & 1) session.ue_ipv4 = 0x0a3c0007 + n;
    if (how >> 6 & 1) {
      session.ue_prefix.emplace();
      wire::store64(session.ue_prefix->data(), 0xfd00006000000007 + n);
    }
    out.push_back(session);
  }
  return out;
}

}  // namespace
}  // namespace sluice::fuzz

/// The first byte says which sessions there are, the rest is the capture.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::fuzz;
  if (size == 0) return 0;
  static MemoryFile input, access, core, both;
  input.set(data + 1, size - 1);
  gnb::SplitRequest request;
  request.input = input.path();
  request.access_output = access.path();
  request.core_output = core.path();
  request.n3 = {address(0x0a000001, false)};
  request.sessions = sessions(data[0]);
  request.adopt = (data[0] & 0x80) != 0;
  auto said = gnb::split_capture(request);
  auto busiest = gnb::busiest_gtpu_destination(request.input);
  if (!said) {
    expect(said.error().message.starts_with(request.input + ": "));
    return 0;
  }
  expect(bool(busiest));
  const gnb::SplitCounts& counts = said.value();
  std::uint64_t skipped = 0;
  for (const std::uint64_t n : counts.skipped) skipped += n;
  expect(counts.frames == counts.gtpu + counts.uplink + counts.downlink + counts.other + skipped);
  expect(counts.adopted <= counts.uplink + counts.downlink + skipped);
  expect(frames_of(request.access_output) == counts.gtpu + counts.uplink);
  expect(frames_of(request.core_output) == counts.downlink + counts.other);
  expect(bool(
      gnb::merge_captures({request.access_output, request.core_output}, {"a", "b"}, both.path())));
  expect(frames_of(both.path()) == counts.frames - skipped);
  for (const std::uint64_t n : {std::uint64_t{1}, counts.frames, counts.frames + 1}) {
    auto packet = gnb::captured_packet(request.input, n);
    expect(n <= counts.frames || !packet);
    if (packet) expect(!packet.value().empty());
  }
  return 0;
}
