#include "worker/sight/traces.h"

#include <algorithm>
#include <cstring>

#include "worker/sight/trace_text.h"

namespace sluice {
namespace {

PipelineConfig beside(const Worker& worker, EventSink& sink, TrafficSampler& sampler) {
  PipelineConfig config = worker.config().pipeline;
  config.events = &sink;
  config.sampler = &sampler;
  config.prober = nullptr;
  config.worker = worker.config().id;
  config.workers = worker.config().workers;
  return config;
}

void copy_out(const Packet& packet, TracePacket& to) noexcept {
  to.meta = packet;
  std::memcpy(to.bytes.data(), packet.data(), packet.length);
}

}  // namespace

TraceErrand::TraceErrand(const Worker& on, TracePacket packet, bool over)
    : input(std::move(packet)),
      taken_over(over),
      worker(on.config().id),
      pipeline_(beside(on, sink, sampler_)) {
  recorder.bind(*on.config().pipeline.sessions);
  pipeline_.observe(&recorder);
  pipeline_.only_trace();
}

void TraceErrand::run(Worker& on, Nanoseconds now) noexcept {
  PoolCache& pool = *on.config().pipeline.pool;
  sink.offset = on.realtime_offset();
  Packet* packet = nullptr;
  if (pool.allocate(&packet, 1) == 0) {
    no_buffer = true;
    return;
  }
  *packet = input.meta;
  std::memcpy(packet->data(), input.bytes.data(), packet->length);
  if (taken_over) {
    pipeline_.take_over(&packet, 1, now);
  } else {
    pipeline_.receive(packet->port, &packet, 1, now);
  }
  pipeline_.flush();
  collect(on);
  recorder.restore();
}

/// What came out, copied; the buffers go back to where they came from.
void TraceErrand::collect(Worker& on) noexcept {
  PoolCache& pool = *on.config().pipeline.pool;
  const PipelineCounters& counters = pipeline_.counters();
  // End Markers come behind all packets.
  pipeline_.emit_trailers();
  pipeline_.seal_outputs();
  for (std::size_t r = 0; r < kDropReasons; ++r) dropped[r] = counters.dropped[r];
  // A fragment waits for others that never come here.
  pipeline_.expire_fragments(~Nanoseconds{0}, DropReason::ReassemblyTimeout);
  for (unsigned port = 0; port < kPortsMax; ++port) {
    PacketList& list = pipeline_.output(port);
    for (unsigned i = 0; i < list.count; ++i) {
      if (output_count == kOutputsMax) break;
      TracePacket& output = outputs[output_count++];
      copy_out(*list.packets[i], output);
      output.meta.port = static_cast<std::uint8_t>(port);
    }
    if (list.count != 0) pool.free(list.packets, list.count);
    list.count = 0;
  }
  for (unsigned w = 0; w < on.config().workers; ++w) {
    PacketList& list = pipeline_.handoff(w);
    if (list.count == 0) continue;
    owner = static_cast<int>(w);
    copy_out(*list.packets[0], handed_over);
    pool.free(list.packets, list.count);
    list.count = 0;
  }
  created = counters.created;
}

Traces::Traces(std::span<const std::unique_ptr<Worker>> workers, Sessions& sessions,
               const NetworkMap& network, std::vector<std::string> port_names, bool threads,
               std::function<Nanoseconds()> now)
    : workers_(workers),
      sessions_(sessions),
      network_(network),
      port_names_(std::move(port_names)),
      threads_(threads),
      now_(std::move(now)) {}

Result<unsigned> Traces::start(std::span<const std::byte> packet, std::uint8_t port) {
  const bool is_access = network_.ports[port].is_access;
  const std::size_t room = kChunkBytes - (is_access ? kAccessDataOffset : kCoreDataOffset);
  if (packet.empty() || packet.size() > room) {
    return Error{"must be 1 to " + std::to_string(room) + " bytes: one IP packet", "packet"};
  }
  for (unsigned id = 0; id < kMax && !ended_; ++id) {
    if (traces_[id] != nullptr) continue;
    traces_[id] = std::make_unique<Trace>();
    traces_[id]->port = port;
    traces_[id]->packet.assign(packet.begin(), packet.end());
    begin(*traces_[id]);
    return id;
  }
  return Error{std::to_string(kMax) + " traces are under way, which is the limit; try again", ""};
}

/// From the start: the packet comes to the first worker, as it would be received.
void Traces::begin(Trace& trace) {
  TracePacket input;
  input.meta.offset = network_.ports[trace.port].is_access ? kAccessDataOffset : kCoreDataOffset;
  input.meta.length = static_cast<std::uint16_t>(trace.packet.size());
  input.meta.port = trace.port;
  std::copy(trace.packet.begin(), trace.packet.end(), input.bytes.begin());
  trace.errands.clear();
  trace.changed.clear();
  trace.posted = false;
  trace.errands.push_back(std::make_unique<TraceErrand>(*workers_[0], std::move(input), false));
}

std::optional<Result<TraceResult>> Traces::take(unsigned id) {
  if (id >= kMax || traces_[id] == nullptr) return Result<TraceResult>(Error{"no such trace", ""});
  Trace& trace = *traces_[id];
  const auto end = [&](Result<TraceResult> result) {
    traces_[id].reset();
    return result;
  };
  if (ended_) return end(Error{"the packet path stops", ""});
  for (Progress progress = step(trace); progress != Progress::Done; progress = step(trace)) {
    if (progress == Progress::Waiting) return std::nullopt;
  }
  if (trace.errands.back()->no_buffer) {
    return end(Error{"no packet buffer is free on the worker; try again", ""});
  }
  if (rules_moved(trace)) {
    if (++trace.attempts == kAttemptsMax) {
      return end(Error{"the session keeps changing; try again", ""});
    }
    begin(trace);
    return std::nullopt;
  }
  std::vector<const TraceErrand*> parts;
  for (const auto& errand : trace.errands) parts.push_back(errand.get());
  return end(trace_text(parts, {sessions_, network_, port_names_}));
}

Traces::Progress Traces::step(Trace& trace) {
  TraceErrand& errand = *trace.errands.back();
  Worker& worker = *workers_[errand.worker];
  if (!trace.posted) {
    // Another errand may be in the way: the next take() tries again.
    trace.posted = worker.post(errand);
    if (!trace.posted) return Progress::Waiting;
    if (!threads_) worker.run_errand(now_());
  }
  if (!errand.done()) return Progress::Waiting;
  if (errand.owner < 0) return Progress::Done;
  trace.posted = false;
  trace.errands.push_back(std::make_unique<TraceErrand>(
      *workers_[static_cast<unsigned>(errand.owner)], errand.handed_over, true));
  return Progress::Moved;
}

/// The rules that the text would name may not be those that the packet met.
bool Traces::rules_moved(const Trace& trace) const {
  for (const auto& errand : trace.errands) {
    for (const TraceNote& note : errand->recorder.notes()) {
      if (note.session == kNoSession) continue;
      if (sessions_.changing(note.session) || trace.changed.contains(note.session)) return true;
    }
  }
  return false;
}

void Traces::session_changed(SessionIndex session) {
  for (const auto& trace : traces_) {
    if (trace != nullptr) trace->changed.insert(session);
  }
}

}  // namespace sluice
