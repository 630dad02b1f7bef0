// Targets of what sessions are made of, and of what is left of them; everything on the one thread
// of the target. Here any bytes as a session record, and a good record with any of its bytes
// changed: the compiler refuses or takes it, reads nothing outside, and a deletion gives all back.
#include "fuzz/expect.h"
#include "fuzz/fuzz_path.h"

namespace sluice::fuzz {
namespace {

std::vector<std::uint32_t> record_of(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint32_t> record;
  if (data[0] & 1) {
    record.resize((size + 7) / 8 * 2);
    std::memcpy(record.data(), data + 1, size - 1);
    record[record::header::Magic] = record::kMagic;
    return record;
  }
  record = RecordBuilder().build(rich_session());
  auto* bytes = reinterpret_cast<std::uint8_t*>(record.data());
  for (std::size_t i = 1; i + 3 <= size; i += 3) {
    bytes[(data[i] | std::size_t{data[i + 1]} << 8) % (record.size() * 4)] = data[i + 2];
  }
  return record;
}

bool change(OperationKind kind, const std::vector<std::uint32_t>& record) {
  Sessions& sessions = datapath().sessions();
  std::uint32_t ticket = 0;
  const auto error =
      sessions.prepare(kind, kSession, record.data(), record.size() * 4, 0, 1, ticket);
  if (error.status != PrepareStatus::Ok) return false;
  datapath().apply(&ticket, 1);
  take_events();
  return true;
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::fuzz;
  if (size < 2) return 0;
  static const std::size_t before = datapath().sessions().arena().live();
  const auto record = record_of(data, size);
  const auto good = RecordBuilder().build(rich_session());
  if (change(OperationKind::Create, record)) {
    change(OperationKind::Update, good);
    change(OperationKind::Update, record);
    expect(change(OperationKind::Delete, {}));
  }
  expect(datapath().sessions().arena().live() == before);
  expect(datapath().sessions().live() == 0);
  return 0;
}
