#include "bench/grpc_load/load.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>

#include "bench/grpc_load/session_messages.h"

namespace sluice::load {
namespace {

constexpr std::string_view kCreatePath = "/sluice.v1.SessionService/CreateSession";
constexpr std::string_view kDeletePath = "/sluice.v1.SessionService/DeleteSession";
constexpr std::string_view kStreamPath = "/sluice.v1.SessionService/StreamSessions";
constexpr int kPumpTimeoutMs = 100;
/// No answer for this long is a failure, not a slow answer.
constexpr Nanoseconds kSilenceLimit = 60'000'000'000;

Nanoseconds now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<Nanoseconds>(now.tv_sec) * 1'000'000'000 +
         static_cast<Nanoseconds>(now.tv_nsec);
}

/// What lanes share: the clock's phases, the counts, the first failure.
class Run {
 public:
  explicit Run(const LoadOptions& options)
      : options(options), messages(options.name_prefix), next_index_(options.first_index) {
    const Nanoseconds start = now_ns();
    measure_from_ = start + static_cast<Nanoseconds>(options.warmup_s * 1e9);
    stop_at_ = measure_from_ + static_cast<Nanoseconds>(options.measured_s * 1e9);
    heard_ = start;
  }

  /// Indices of new sessions.
  std::uint64_t take(std::size_t count) {
    const std::uint64_t first = next_index_;
    next_index_ += count;
    return first;
  }
  void answered(Nanoseconds sent_ns, std::size_t operations) {
    heard_ = now_ns();
    if (heard_ < measure_from_ || heard_ >= stop_at_) return;
    outcome_.operations += operations;
    outcome_.latencies_ns.push_back(heard_ - sent_ns);
  }
  void fail(std::string message) {
    if (failure_.empty()) failure_ = std::move(message);
  }
  bool stopping() const { return heard_ >= stop_at_ || !failure_.empty(); }
  bool failed() const { return !failure_.empty(); }
  std::uint64_t taken() const { return next_index_ - options.first_index; }

  /// Pumps until every lane is idle, or something fails.
  template <typename Idle>
  Result<LoadOutcome> finish(Http2Client& client, Idle&& idle) {
    const Nanoseconds started = std::max(measure_from_, heard_);
    while (!idle() && !failed()) {
      if (Status pumped = client.pump(kPumpTimeoutMs); !pumped) return pumped.error();
      if (now_ns() - heard_ > kSilenceLimit) fail("no answer for a minute");
    }
    if (failed()) return Error{failure_, ""};
    std::sort(outcome_.latencies_ns.begin(), outcome_.latencies_ns.end());
    outcome_.seconds = static_cast<double>(std::min(heard_, stop_at_) - started) / 1e9;
    outcome_.next_index = next_index_;
    return std::move(outcome_);
  }
  /// For loads that end by count: measure from now on without an end.
  void measure_without_end() {
    measure_from_ = now_ns();
    stop_at_ = ~Nanoseconds{0};
  }

  const LoadOptions& options;
  SessionMessages messages;

 private:
  std::uint64_t next_index_;
  Nanoseconds measure_from_ = 0;
  Nanoseconds stop_at_ = 0;
  Nanoseconds heard_ = 0;
  LoadOutcome outcome_;
  std::string failure_;
};

/// One unary call at a time: a creation, then the deletion of the same session.
class UnaryLane final : public CallHandler {
 public:
  UnaryLane(Run& run, Http2Client& client) : run_(run), client_(client) {}

  void start() {
    if (!exists_) index_ = run_.take(1);
    idle_ = !exists_ && run_.stopping();
    if (idle_) return;
    answered_ = false;
    sent_ns_ = now_ns();
    const std::int32_t stream = client_.open(exists_ ? kDeletePath : kCreatePath, this);
    if (stream < 0) return run_.fail("HTTP/2 refused a new stream");
    client_.send(stream, exists_ ? run_.messages.remove(index_) : run_.messages.create(index_));
    client_.finish(stream);
  }
  void on_message(std::string_view message) override {
    answered_ = exists_ || seid_of_session(message) != 0;
  }
  void on_end(const std::string& status, const std::string& text) override {
    if (status != "0" || !answered_) {
      const char* const call = exists_ ? "DeleteSession" : "CreateSession";
      return run_.fail(std::string(call) + " answered grpc-status '" + status + "' " + text);
    }
    run_.answered(sent_ns_, 1);
    exists_ = !exists_;
    start();
  }
  bool idle() const { return idle_; }

 private:
  Run& run_;
  Http2Client& client_;
  std::uint64_t index_ = 0;
  Nanoseconds sent_ns_ = 0;
  bool exists_ = false;
  bool answered_ = false;
  bool idle_ = true;
};

/// One bidirectional stream with a fixed number of messages in flight.
class StreamCall final : public CallHandler {
 public:
  /// @param fill_count  0: create and delete until the time is over; else create that many.
  StreamCall(Run& run, Http2Client& client, std::uint64_t fill_count)
      : run_(run), client_(client), fill_count_(fill_count), lanes_(run.options.lanes) {}

  void start() {
    stream_ = client_.open(kStreamPath, this);
    if (stream_ < 0) return run_.fail("HTTP/2 refused a new stream");
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) send_next(lane);
  }
  void on_message(std::string_view message) override {
    const BatchOutcome outcome = read_batch_result(message);
    if (!outcome.well_formed || outcome.batch_id >= lanes_.size()) {
      return run_.fail("a batch result is malformed");
    }
    Lane& lane = lanes_[outcome.batch_id];
    if (outcome.failures > 0) return run_.fail("an operation failed: " + outcome.first_failure);
    if (outcome.results != lane.count) return run_.fail("a batch result lacks results");
    run_.answered(lane.sent_ns, lane.count);
    done_ += lane.count;
    lane.exists = !lane.exists && fill_count_ == 0;
    send_next(outcome.batch_id);
  }
  void on_end(const std::string& status, const std::string& text) override {
    ended_ = true;
    if (status != "0") run_.fail("StreamSessions ended with grpc-status '" + status + "' " + text);
    if (active_ > 0) run_.fail("StreamSessions ended before all was answered");
  }
  bool ended() const { return ended_; }
  std::uint64_t done() const { return done_; }

 private:
  struct Lane {
    std::uint64_t first = 0;
    std::size_t count = 0;
    Nanoseconds sent_ns = 0;
    bool exists = false;
    bool active = false;
  };

  std::size_t wanted() const {
    if (fill_count_ == 0) return run_.stopping() ? 0 : run_.options.batch;
    const std::uint64_t left = fill_count_ - run_.taken();
    return static_cast<std::size_t>(std::min<std::uint64_t>(left, run_.options.batch));
  }
  void send_next(std::size_t index) {
    Lane& lane = lanes_[index];
    const std::size_t count = lane.exists ? lane.count : wanted();
    if (count == 0) return retire(lane);
    if (!lane.exists) lane.first = run_.take(count);
    lane.count = count;
    if (!lane.active) ++active_;
    lane.active = true;
    run_.messages.batch(index, !lane.exists, lane.first, count, message_);
    lane.sent_ns = now_ns();
    client_.send(stream_, message_);
  }
  void retire(Lane& lane) {
    if (lane.active) --active_;
    lane.active = false;
    if (active_ == 0) client_.finish(stream_);
  }

  Run& run_;
  Http2Client& client_;
  std::uint64_t fill_count_;
  std::vector<Lane> lanes_;
  std::size_t active_ = 0;
  std::uint64_t done_ = 0;
  std::int32_t stream_ = 0;
  std::string message_;
  bool ended_ = false;
};

}  // namespace

double LoadOutcome::latency_ms(double share) const {
  if (latencies_ns.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(latencies_ns.size()));
  const std::size_t index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return static_cast<double>(latencies_ns[std::min(index, latencies_ns.size() - 1)]) / 1e6;
}

Result<LoadOutcome> run_unary(Http2Client& client, const LoadOptions& options) {
  Run run(options);
  std::deque<UnaryLane> lanes;
  for (std::size_t i = 0; i < options.lanes; ++i) lanes.emplace_back(run, client).start();
  return run.finish(client, [&] {
    return std::all_of(lanes.begin(), lanes.end(), [](const auto& lane) { return lane.idle(); });
  });
}

Result<LoadOutcome> run_stream(Http2Client& client, const LoadOptions& options) {
  Run run(options);
  StreamCall call(run, client, 0);
  call.start();
  return run.finish(client, [&] { return call.ended(); });
}

Result<LoadOutcome> run_fill(Http2Client& client, const LoadOptions& options, std::uint64_t count) {
  Run run(options);
  run.measure_without_end();
  StreamCall call(run, client, count);
  call.start();
  std::uint64_t said = 0;
  return run.finish(client, [&] {
    if (call.done() * 10 / count > said) {
      said = call.done() * 10 / count;
      std::fprintf(stderr, "%llu sessions created\n", static_cast<unsigned long long>(call.done()));
    }
    return call.ended();
  });
}

}  // namespace sluice::load
