// Traces: one packet through the very stages of a worker's pipeline, without effect. The worker
// runs a pipeline of the same class beside its own, between two bursts: lists and counters are
// that pipeline's, events go nowhere, and the state of the sessions is put back. Threads:
// everything is the control thread's, but for TraceErrand::run(). Start at Traces::start().
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "pipeline/observe/trace_recorder.h"
#include "worker/worker.h"

namespace sluice {

struct TraceStep {
  std::string stage;
  std::string decision;    ///< a sentence with the figures
  std::uint64_t seid = 0;  ///< 0: no session is known yet
  std::uint32_t rule = 0;  ///< ID of the PDR, QER, URR or FAR; 0: none
};
struct TraceOutput {
  std::uint8_t port = 0;
  std::vector<std::byte> bytes;  ///< as the port would get it
};
struct TraceResult {
  std::vector<TraceStep> steps;
  std::string verdict;      ///< "forwarded", "answered", "held", "dropped"
  std::string drop_reason;  ///< label, empty unless dropped
  std::vector<TraceOutput> outputs;
};

/// Takes events that nobody shall see; the trace tells of them.
struct TraceSink final : EventSink {
  static constexpr unsigned kMax = 16;
  bool push(const Event& event) noexcept override {
    if (count < kMax) events[count++] = event;
    return true;
  }
  void remember(SessionView&) noexcept override {}
  std::uint64_t realtime_offset() const noexcept override { return offset; }
  void schedule(TimerNode&, Nanoseconds) noexcept override {}
  void cancel(TimerNode&) noexcept override {}
  Event events[kMax];
  unsigned count = 0;
  std::uint64_t offset = 0;
};

/// A packet on its way into a trace, or out of it.
struct TracePacket {
  Packet meta{};
  std::vector<std::byte> bytes = std::vector<std::byte>(kChunkBytes);
};

class TraceErrand final : public Errand {
 public:
  static constexpr unsigned kOutputsMax = 16;
  TraceErrand(const Worker& worker, TracePacket input, bool taken_over);
  void run(Worker& worker, Nanoseconds now) noexcept override;

  // What came of it, once it is done.
  TraceRecorder recorder;
  TraceSink sink;
  TracePacket input;
  TracePacket outputs[kOutputsMax];
  unsigned output_count = 0;
  TracePacket handed_over;
  int owner = -1;  ///< the worker that goes on with `handed_over`; -1: none
  bool no_buffer = false;
  std::uint64_t dropped[kDropReasons] = {};
  std::uint64_t created = 0;
  bool taken_over = false;
  unsigned worker = 0;

 private:
  void collect(Worker& worker) noexcept;
  TrafficSampler sampler_{nullptr};  ///< nobody wants samples of it
  Pipeline pipeline_;
};

class Traces {
 public:
  /// Traces under way at one time.
  static constexpr unsigned kMax = 16;
  /// A session that keeps changing is traced again this often.
  static constexpr unsigned kAttemptsMax = 50;

  /// @param threads  false: workers run on this thread, and errands with them.
  Traces(std::span<const std::unique_ptr<Worker>> workers, Sessions& sessions,
         const NetworkMap& network, std::vector<std::string> port_names, bool threads,
         std::function<Nanoseconds()> now);

  /// @return a number for take(). Errors: the packet does not fit a buffer, kMax are under way.
  Result<unsigned> start(std::span<const std::byte> packet, std::uint8_t port);
  /// The result, once; nothing yet while the workers are at it.
  std::optional<Result<TraceResult>> take(unsigned trace);
  /// A change of the session has taken effect.
  void session_changed(SessionIndex session);
  void workers_ended() noexcept { ended_ = true; }

 private:
  struct Trace {
    std::uint8_t port = 0;
    std::vector<std::byte> packet;
    std::vector<std::unique_ptr<TraceErrand>> errands;  ///< one a worker that it came to
    bool posted = false;
    unsigned attempts = 0;
    std::set<SessionIndex> changed;  ///< since it began
  };
  enum class Progress : std::uint8_t { Waiting, Moved, Done };
  void begin(Trace& trace);
  Progress step(Trace& trace);
  bool rules_moved(const Trace& trace) const;

  std::span<const std::unique_ptr<Worker>> workers_;
  Sessions& sessions_;
  const NetworkMap& network_;
  std::vector<std::string> port_names_;
  bool threads_;
  std::function<Nanoseconds()> now_;  ///< the clock of the packet path
  bool ended_ = false;
  std::unique_ptr<Trace> traces_[kMax];
};

}  // namespace sluice
