// sluice_bench [--only PREFIX] [--quick | --full | --rounds N] [--json] [--runs N] [--list]: runs
// what bench.h's registry holds and prints a table, or one JSON object a line, the first being the
// machine.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/topology.h"
#include "bench/bench.h"

namespace bench {
namespace {
struct Arguments {
  Options options;
  std::string only;
  bool json = false;
  bool list = false;
  unsigned runs = 0;  // 0: 7, or 3 when quick
};

std::vector<unsigned>& cores() {
  static std::vector<unsigned> list;
  return list;
}

// Cores as the workers' plan would take them, so that two are never SMT siblings if possible.
void choose_cores() {
  auto topology = sluice::discover_topology();
  if (!topology) return;
  sluice::PlanRequest request;
  const auto available = static_cast<unsigned>(topology.value().cores.size());
  request.workers = std::min(2U, available);
  if (auto plan = sluice::plan_workers(topology.value(), request)) {
    for (const auto& place : plan.value().workers) cores().push_back(place.core);
  }
}

std::string cpu_model() {
  std::string model = "unknown";
  if (std::FILE* file = std::fopen("/proc/cpuinfo", "re")) {
    char line[512];
    while (std::fgets(line, sizeof line, file)) {
      const char* colon = std::strchr(line, ':');
      if (std::strncmp(line, "model name", 10) != 0 || colon == nullptr) continue;
      model = colon + 1;
      model.erase(std::remove_if(model.begin(), model.end(),
                                 [](char c) { return c == '\n' || c == '"' || c == '\\'; }),
                  model.end());
      model.erase(0, model.find_first_not_of(' '));
      break;
    }
    std::fclose(file);
  }
  return model;
}

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--quick") {
      arguments.options.quick = true;
    } else if (word == "--full") {
      arguments.options.full = true;
    } else if (word == "--json") {
      arguments.json = true;
    } else if (word == "--list") {
      arguments.list = true;
    } else if (word == "--only" && i + 1 < argc) {
      arguments.only = argv[++i];
    } else if (word == "--runs" && i + 1 < argc && std::atoi(argv[i + 1]) > 0) {
      arguments.runs = static_cast<unsigned>(std::atoi(argv[++i]));
    } else if (word == "--rounds" && i + 1 < argc && std::atoi(argv[i + 1]) > 0) {
      arguments.options.exactly = static_cast<std::uint64_t>(std::atoi(argv[++i]));
    } else {
      std::fprintf(stderr,
                   "usage: sluice_bench [--only PREFIX] [--quick | --rounds N] [--json] [--runs N] "
                   "[--list]\n");
      return false;
    }
  }
  if (arguments.runs == 0) arguments.runs = arguments.options.quick ? 3 : 7;
  return true;
}

void print_machine(const Arguments& arguments) {
  const auto hz = static_cast<unsigned long long>(sluice::Clock::machine().tsc_hz());
  if (arguments.json) {
    std::printf("{\"machine\":{\"cpu\":\"%s\",\"tscHz\":%llu,\"cores\":%zu}}\n",
                cpu_model().c_str(), hz, cores().size());
  } else {
    std::printf("%s, TSC %.0f MHz; cycles are TSC cycles; median of %u runs\n", cpu_model().c_str(),
                static_cast<double>(hz) / 1e6, arguments.runs);
  }
}

bool run(const Bench& bench, const Arguments& arguments) {
  std::vector<double> values;
  for (unsigned i = 0; i < arguments.runs; ++i) {
    if (core(0) != kNoCore) sluice::pin_this_thread(core(0));
    const double value = bench.run(arguments.options);
    if (std::isnan(value)) return true;
    if (value < 0) {
      std::fprintf(stderr, "%s can't run here\n", bench.name.c_str());
      return false;
    }
    values.push_back(value);
  }
  std::sort(values.begin(), values.end());
  const double median = values[values.size() / 2];
  if (arguments.json) {
    std::printf(
        "{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"min\":%.6g,\"max\":%.6g,\"runs\":%zu}\n",
        bench.name.c_str(), median, bench.unit.c_str(), values.front(), values.back(),
        values.size());
  } else {
    std::printf("%-36s %10.4g %-16s (%.4g to %.4g)\n", bench.name.c_str(), median,
                bench.unit.c_str(), values.front(), values.back());
  }
  std::fflush(stdout);
  return true;
}
}  // namespace

unsigned core(unsigned index) { return index < cores().size() ? cores()[index] : kNoCore; }
}  // namespace bench

int main(int argc, char** argv) {
  bench::Arguments arguments;
  if (!bench::parse(argc, argv, arguments)) return 2;
  std::vector<bench::Bench>& all = bench::registry();
  std::erase_if(all, [&](const auto& one) { return !one.name.starts_with(arguments.only); });
  if (all.empty()) {
    std::fprintf(stderr, "no bench begins with '%s'; see --list\n", arguments.only.c_str());
    return 2;
  }
  if (arguments.list) {
    for (const auto& one : all) std::printf("%s\n", one.name.c_str());
    return 0;
  }
  bench::choose_cores();
  bench::print_machine(arguments);
  bool good = true;
  for (const auto& one : all) good = bench::run(one, arguments) && good;
  return good ? 0 : 1;
}
