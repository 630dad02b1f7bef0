// Fuzzers of the codecs: libFuzzer targets, one per file, run in turn by scripts/fuzz-smoke.sh.
// Each checks what its codec promises beyond not crashing; a broken promise traps. This one:
// the GTP-U header, its containers, and what Error Indications say. Threads: one.
#include "wire/gtpu.h"

#include "fuzz/expect.h"

namespace sluice::wire {
namespace {

void check_container(const std::byte* bytes, const GtpuHeader& header) {
  fuzz::expect(header.psc_offset + header.psc_length < header.payload_offset);
  PduSessionContainer psc{};
  if (parse_psc(bytes + header.psc_offset, header.psc_length, psc) != DropReason::None) return;
  fuzz::expect(psc.type == header.psc_type && psc.qfi == header.qfi);
  fuzz::expect(psc.type == kPscUplink || psc.rqi == header.rqi);
  const PscFields fields{psc.type, psc.qfi, psc.rqi, psc.has_ppi, psc.ppi};
  std::byte written[kGpduBytesMax];
  const std::size_t size = write_gpdu(written, header.teid, 0, &fields);
  GtpuHeader again{};
  fuzz::expect(parse_gtpu(written, size, again) == DropReason::None);
  fuzz::expect(again.teid == header.teid && again.qfi == header.qfi && again.rqi == header.rqi);
  fuzz::expect(again.psc_type == header.psc_type && again.payload_length == 0);
}

void check(const std::byte* bytes, std::size_t n) {
  GtpuHeader header{};
  if (parse_gtpu(bytes, n, header) != DropReason::None) return;
  fuzz::expect(header.payload_offset >= kGtpuBytes);
  fuzz::expect(std::size_t{header.payload_offset} + header.payload_length ==
               kGtpuBytes + load16(bytes + 2));
  fuzz::expect(std::size_t{header.payload_offset} + header.payload_length <= n);
  fuzz::expect(header.qfi < 64);
  if (header.has_psc) check_container(bytes, header);
  ErrorIndication indication{};
  if (parse_error_indication(bytes + header.payload_offset, header.payload_length, indication) ==
      DropReason::None) {
    fuzz::expect(indication.address_bytes == 4 || indication.address_bytes == 16);
  }
}

}  // namespace
}  // namespace sluice::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  sluice::wire::check(bytes, size);
  sluice::wire::ErrorIndication indication{};
  sluice::wire::parse_error_indication(bytes, size, indication);
  return 0;
}
