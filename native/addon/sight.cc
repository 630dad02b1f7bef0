#include "addon/sight.h"

#include <algorithm>

#include "addon/convert.h"

namespace sluice::addon {
namespace {

Napi::Value bytes_to(Napi::Env env, const std::vector<std::byte>& bytes) {
  return Napi::Buffer<std::uint8_t>::Copy(env, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                          bytes.size());
}

Napi::Number count_to(Napi::Env env, std::uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Object trace_to(Napi::Env env, const TraceResult& result) {
  Napi::Object out = Napi::Object::New(env);
  Napi::Array steps = Napi::Array::New(env);
  for (const TraceStep& step : result.steps) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("stage", step.stage);
    row.Set("decision", step.decision);
    row.Set("seid", Napi::BigInt::New(env, step.seid));
    row.Set("ruleId", count_to(env, step.rule));
    steps.Set(steps.Length(), row);
  }
  Napi::Array outputs = Napi::Array::New(env);
  for (const TraceOutput& output : result.outputs) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("port", count_to(env, output.port));
    row.Set("bytes", bytes_to(env, output.bytes));
    outputs.Set(outputs.Length(), row);
  }
  out.Set("steps", steps);
  out.Set("verdict", result.verdict);
  out.Set("dropReason", result.drop_reason);
  out.Set("outputs", outputs);
  return out;
}

unsigned number_at(const Napi::CallbackInfo& info, std::size_t i) {
  return info[i].As<Napi::Number>().Uint32Value();
}

/// Captures and traces are there between start() and the end of the object.
bool started(const Napi::CallbackInfo& info, Datapath& datapath) {
  if (!datapath.workers().empty()) return true;
  throw_error(info.Env(), {"the packet path has not started", ""});
  return false;
}

}  // namespace

Napi::Value start_capture(const Napi::CallbackInfo& info, Datapath& datapath) {
  const Napi::Env env = info.Env();
  if (!started(info, datapath)) return env.Undefined();
  const Napi::Object from = info[0].As<Napi::Object>();
  CaptureRequest request;
  if (const double session = number_of(from, "session"); session >= 0) {
    request.session = static_cast<SessionIndex>(session);
  }
  request.ports = static_cast<PortMask>(number_of(from, "ports"));
  request.drops = flag_of(from, "drops");
  request.snap =
      static_cast<std::uint16_t>(std::clamp<double>(number_of(from, "snapLength"), 0, kChunkBytes));
  request.packets_max = static_cast<std::uint64_t>(number_of(from, "maxPackets"));
  auto capture = datapath.captures().start(request);
  if (capture) return count_to(env, capture.value());
  throw_error(env, capture.error());
  return env.Undefined();
}

Napi::Value read_capture(const Napi::CallbackInfo& info, Datapath& datapath) {
  const Napi::Env env = info.Env();
  const CaptureRead read = datapath.captures().read(number_at(info, 0));
  Napi::Object out = Napi::Object::New(env);
  out.Set("pcapng", bytes_to(env, read.pcapng));
  out.Set("trailer", bytes_to(env, read.trailer));
  out.Set("packets", count_to(env, read.packets));
  out.Set("lost", count_to(env, read.lost));
  out.Set("end", count_to(env, static_cast<unsigned>(read.end)));
  out.Set("inForce", Napi::Boolean::New(env, read.in_force));
  return out;
}

void stop_capture(const Napi::CallbackInfo& info, Datapath& datapath) {
  datapath.captures().stop(number_at(info, 0));
}

Napi::Value start_trace(const Napi::CallbackInfo& info, Datapath& datapath) {
  const Napi::Env env = info.Env();
  if (!started(info, datapath)) return env.Undefined();
  const auto packet = info[0].As<Napi::Uint8Array>();
  const unsigned port = number_at(info, 1);
  if (port >= datapath.ports().size()) {
    throw_error(env, {"there is no such port", "port"});
    return env.Undefined();
  }
  auto trace = datapath.traces().start(
      {reinterpret_cast<const std::byte*>(packet.Data()), packet.ByteLength()},
      static_cast<std::uint8_t>(port));
  if (trace) return count_to(env, trace.value());
  throw_error(env, trace.error());
  return env.Undefined();
}

Napi::Value take_trace(const Napi::CallbackInfo& info, Datapath& datapath) {
  const Napi::Env env = info.Env();
  auto taken = datapath.traces().take(number_at(info, 0));
  if (!taken) return env.Undefined();
  if (*taken) return trace_to(env, taken->value());
  throw_error(env, taken->error());
  return env.Undefined();
}

}  // namespace sluice::addon
