// Targets that read capture files; everything on the one thread of the target.
// Here the reader: every frame lies inside the file, every step moves on, and a fault has a text
// that names the file.
#include "fuzz/expect.h"
#include "port/capture/capture_file.h"

namespace {
using sluice::CapturedPacket;
using sluice::CaptureFrame;
using sluice::CaptureReader;

void check_frame(std::span<const std::byte> file, const CaptureFrame& frame) {
  const std::byte* const end = file.data() + file.size();
  sluice::fuzz::expect(frame.data >= file.data() && frame.data <= end);
  sluice::fuzz::expect(frame.length <= static_cast<std::size_t>(end - frame.data));
  sluice::fuzz::expect(frame.offset < file.size());
  CapturedPacket packet{};
  if (find_ip_packet(frame, packet) != sluice::DropReason::None) return;
  sluice::fuzz::expect(packet.offset <= frame.length);
  sluice::fuzz::expect(packet.length != 0 && packet.length <= frame.length - packet.offset);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span file(reinterpret_cast<const std::byte*>(data), size);
  auto opened = CaptureReader::over(file, "fuzz.pcap");
  if (!opened) {
    sluice::fuzz::expect(opened.error().message.starts_with("fuzz.pcap: "));
    return 0;
  }
  CaptureReader& reader = *opened.value();
  CaptureFrame frame{};
  std::uint64_t last = 0;
  for (std::size_t steps = 0;; ++steps) {
    sluice::fuzz::expect(steps <= size);
    const CaptureReader::Step step = reader.next(frame);
    if (step == CaptureReader::Step::End) return 0;
    if (step == CaptureReader::Step::Fault) break;
    if (step == CaptureReader::Step::Other) continue;
    sluice::fuzz::expect(frame.offset > last || last == 0);
    last = frame.offset;
    check_frame(file, frame);
  }
  sluice::fuzz::expect(reader.error().message.starts_with("fuzz.pcap: "));
  return 0;
}
