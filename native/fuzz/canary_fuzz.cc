// The proof that the harness finds what it is for: behind a prefix of four bytes this target
// reads one byte past its input. scripts/fuzz-smoke.sh fails unless that is found.
#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 4 && data[0] == 'S' && data[1] == 'L' && data[2] == 'U' && data[3] == 'C') {
    asm volatile("" : : "r"(data[size]));  // used, as far as the compiler knows
  }
  return 0;
}
