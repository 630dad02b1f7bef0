// sluice_grpc_load: drives the gRPC session API of a running node and prints one JSON line
// a figure, in the form of sluice_bench. Exit codes: 0 done, 1 a call failed, 2 wrong usage.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "bench/grpc_load/load.h"

namespace sluice::load {
namespace {

constexpr const char* kUsage =
    "usage: sluice_grpc_load unary|stream|fill --target HOST:PORT|unix:PATH --name NAME\n"
    "  unary   CreateSession and DeleteSession in turn; --lanes: calls in flight\n"
    "  stream  batches on one StreamSessions call; --lanes: messages in flight\n"
    "  fill    creates --sessions N over one stream and leaves them there\n"
    "  [--lanes 1] [--batch 1] [--seconds 5] [--warmup 1] [--runs 3] [--sessions 1000000]\n"
    "  [--prefix load-PID-] [--first 0]\n";

struct Arguments {
  std::string mode;
  std::string target;
  std::string name;
  std::size_t runs = 3;
  std::uint64_t sessions = 1'000'000;
  LoadOptions load;
};

template <typename Number>
bool parse(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= Number{};
}

bool set_option(Arguments& arguments, std::string_view key, std::string_view value) {
  if (key == "--target") return !(arguments.target = value).empty();
  if (key == "--name") return !(arguments.name = value).empty();
  if (key == "--prefix") return !(arguments.load.name_prefix = value).empty();
  if (key == "--lanes") return parse(value, arguments.load.lanes) && arguments.load.lanes > 0;
  if (key == "--batch") return parse(value, arguments.load.batch) && arguments.load.batch > 0;
  if (key == "--seconds") return parse(value, arguments.load.measured_s);
  if (key == "--warmup") return parse(value, arguments.load.warmup_s);
  if (key == "--runs") return parse(value, arguments.runs) && arguments.runs > 0;
  if (key == "--sessions") return parse(value, arguments.sessions) && arguments.sessions > 0;
  if (key == "--first") return parse(value, arguments.load.first_index);
  return false;
}

std::optional<Arguments> parse_arguments(int count, char** values) {
  Arguments arguments;
  arguments.load.name_prefix = "load-" + std::to_string(getpid()) + "-";
  if (count < 2 || count % 2 != 0) return std::nullopt;
  arguments.mode = values[1];
  for (int i = 2; i < count; i += 2) {
    if (!set_option(arguments, values[i], values[i + 1])) return std::nullopt;
  }
  const bool known =
      arguments.mode == "unary" || arguments.mode == "stream" || arguments.mode == "fill";
  if (!known || arguments.target.empty() || arguments.name.empty()) return std::nullopt;
  return arguments;
}

/// The median of the runs, with the least and the greatest.
void print_figure(const std::string& name, std::vector<double> values, const char* unit) {
  std::sort(values.begin(), values.end());
  std::printf(R"({"name":"%s","value":%.6g,"unit":"%s","min":%.6g,"max":%.6g,"runs":%zu})"
              "\n",
              name.c_str(), values[values.size() / 2], unit, values.front(), values.back(),
              values.size());
}

Result<LoadOutcome> run_once(const Arguments& arguments) {
  auto client = Http2Client::connect(arguments.target);
  if (!client) return client.error();
  if (arguments.mode == "unary") return run_unary(*client.value(), arguments.load);
  if (arguments.mode == "stream") return run_stream(*client.value(), arguments.load);
  return run_fill(*client.value(), arguments.load, arguments.sessions);
}

int run_all(Arguments arguments) {
  std::vector<double> rates;
  std::vector<double> medians;
  std::vector<double> tails;
  const std::size_t runs = arguments.mode == "fill" ? 1 : arguments.runs;
  for (std::size_t i = 0; i < runs; ++i) {
    auto outcome = run_once(arguments);
    if (!outcome) {
      std::fprintf(stderr, "sluice_grpc_load: %s\n", outcome.error().message.c_str());
      return 1;
    }
    if (outcome.value().operations == 0) {
      std::fputs("sluice_grpc_load: nothing was answered in the measured time\n", stderr);
      return 1;
    }
    arguments.load.first_index = outcome.value().next_index;
    rates.push_back(outcome.value().rate());
    medians.push_back(outcome.value().latency_ms(0.5));
    tails.push_back(outcome.value().latency_ms(0.99));
  }
  print_figure(arguments.name, rates, "ops/s");
  print_figure(arguments.name + "/p50", medians, "ms");
  print_figure(arguments.name + "/p99", tails, "ms");
  return 0;
}

}  // namespace
}  // namespace sluice::load

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const auto arguments = sluice::load::parse_arguments(argc, argv);
  if (!arguments) {
    std::fputs(sluice::load::kUsage, stderr);
    return 2;
  }
  return sluice::load::run_all(*arguments);
}
