// Fuzzers of the codecs: libFuzzer targets, one per file, run in turn by scripts/fuzz-smoke.sh.
// Each checks what its codec promises beyond not crashing; a broken promise traps. This one:
// the GTP-U header, its containers, and what Error Indications say. Threads: one.
#include "wire/gtpu.h"

#include <cstring>

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

/// One that is written from what was parsed says the same.
void check_indication(const std::byte* bytes, std::size_t n) {
  ErrorIndication indication{};
  if (parse_error_indication(bytes, n, indication) != DropReason::None) return;
  fuzz::expect(indication.address_bytes == 4 || indication.address_bytes == 16);
  std::byte written[kErrorIndicationBytesMax];
  const auto* address = reinterpret_cast<const std::byte*>(indication.address);
  const std::size_t size =
      write_error_indication(written, 7, indication.teid, address, indication.address_bytes);
  fuzz::expect(size <= sizeof written);
  GtpuHeader header{};
  fuzz::expect(parse_gtpu(written, size, header) == DropReason::None && header.sequence == 7);
  ErrorIndication again{};
  fuzz::expect(parse_error_indication(written + header.payload_offset, header.payload_length,
                                      again) == DropReason::None);
  fuzz::expect(again.teid == indication.teid && again.address_bytes == indication.address_bytes);
  fuzz::expect(std::memcmp(again.address, indication.address, again.address_bytes) == 0);
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
  check_indication(bytes + header.payload_offset, header.payload_length);
}

}  // namespace
}  // namespace sluice::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  sluice::wire::check(bytes, size);
  sluice::wire::check_indication(bytes, size);
  return 0;
}
