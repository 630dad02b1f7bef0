// A script of packets, changes of sessions and pauses against a packet path: nothing is read
// outside a packet, every packet is in the books after each step, and when all is over nothing
// is held and the pool is full again.
#include "fuzz/pipeline/script.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::fuzz;
  static Bench bench;
  if (!protects) protect();
  protects = true;
  static const std::uint32_t all = datapath().pool().available();
  for (unsigned s = 0; s < kSessionsUsed; ++s) {
    change(OperationKind::Create, s, size == 0 ? 0 : data[0] >> s & 1);
  }
  Script script{data, size};
  script.byte();
  while (script.left != 0) operate(bench, script, script.byte() % kOperations);
  bench.step();
  clear_away(bench, all);
  return 0;
}
