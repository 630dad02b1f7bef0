// A registry of measurements. A file of benches declares them at namespace scope:
//
//   const bench::Register kBulk("pool/bulk32", "cycles/object", [](const bench::Options& o) {
//     … return cycles_per_object;   // one run
//   });
//
// main.cc runs each one several times and prints median, least and most. One thread runs all;
// a bench that needs a second one pins both: pin_this_thread(bench::core(0 or 1)).
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace bench {

struct Options {
  bool quick = false;         ///< fewer rounds: a smoke test, not a figure
  bool full = false;          ///< also what takes minutes and gigabytes
  std::uint64_t exactly = 0;  ///< rounds of every bench; 0: as many as it takes for a figure
  /// Rounds for one run: `full`, or a twentieth of it when quick.
  std::uint64_t rounds(std::uint64_t full) const {
    if (exactly != 0) return exactly;
    return quick ? full / 20 + 1 : full;
  }
};

/// Says that a bench is not for these options.
inline constexpr double kLeftOut = std::numeric_limits<double>::quiet_NaN();

/// One run: returns the value in the bench's unit; a negative one says that it can't run here.
using Run = std::function<double(const Options&)>;

struct Bench {
  std::string name;  ///< path-like; --only takes a prefix of it
  std::string unit;
  Run run;
};

inline std::vector<Bench>& registry() {
  static std::vector<Bench> benches;
  return benches;
}

struct Register {
  Register(std::string name, std::string unit, Run run) {
    registry().push_back({std::move(name), std::move(unit), std::move(run)});
  }
};

/// CPU number of the first or second core that benches use; SIZE_MAX-like ~0u when there is none.
unsigned core(unsigned index);
inline constexpr unsigned kNoCore = ~0U;

/// Makes the compiler believe that the value is used and the memory it points to is read.
template <class T>
inline void keep(T&& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

}  // namespace bench
