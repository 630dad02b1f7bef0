// The CP function for loads of native/smf for TypeScript (src/tools/smf/): convert, call,
// nothing else.
#include "smf/smf.h"

#include <napi.h>

#include "addon/convert.h"
#include "addon/registrations.h"

namespace sluice::addon {
namespace {

std::uint32_t word_of(const Napi::Object& object, const char* key) {
  return static_cast<std::uint32_t>(number_of(object, key));
}

smf::Load load_of(const Napi::Object& from) {
  smf::Load out;
  const auto request = from.Get("request").As<Napi::Uint8Array>();
  const auto* const bytes = reinterpret_cast<const std::byte*>(request.Data());
  out.request.assign(bytes, bytes + request.ByteLength());
  const Napi::Array patches = from.Get("patches").As<Napi::Array>();
  for (std::uint32_t i = 0; i < patches.Length(); ++i) {
    const Napi::Object patch = patches.Get(i).As<Napi::Object>();
    const std::string kind = text_of(patch, "kind");
    using Kind = smf::Patch::Kind;
    out.patches.push_back({kind == "cpSeid"     ? Kind::CpSeid
                           : kind == "sequence" ? Kind::Sequence
                                                : Kind::Session,
                           word_of(patch, "offset")});
  }
  out.first = word_of(from, "first");
  out.count = word_of(from, "count");
  out.rate = number_of(from, "rate");
  out.window = word_of(from, "window");
  out.t1_s = number_of(from, "t1Seconds");
  out.tries = word_of(from, "tries");
  out.seconds_max = number_of(from, "secondsMax");
  return out;
}

/// JavaScript's Smf: the interface NativeSmf of src/tools/smf/smf-addon.ts.
class SmfObject : public Napi::ObjectWrap<SmfObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    using O = SmfObject;
    return DefineClass(
        env, "Smf",
        {InstanceMethod<&O::start_load>("startLoad"), InstanceMethod<&O::stop_load>("stopLoad"),
         InstanceMethod<&O::status>("status"), InstanceMethod<&O::outcome>("outcome"),
         InstanceMethod<&O::stop>("stop")});
  }

  explicit SmfObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SmfObject>(info) {
    const Napi::Object from = info[0].As<Napi::Object>();
    smf::SmfConfig config;
    config.target = datagram::parse_address(text_of(from, "target"));
    config.target_port = static_cast<std::uint16_t>(number_of(from, "targetPort"));
    config.bind = datagram::parse_address(text_of(from, "bind"));
    config.bind_port = static_cast<std::uint16_t>(number_of(from, "bindPort"));
    config.cp_seid_base = std::uint64_t{word_of(from, "cpSeidHigh")} << 32;
    config.sessions_max = word_of(from, "sessionsMax");
    config.recovery_time_stamp = word_of(from, "recoveryTimeStamp");
    auto opened = smf::Smf::open(config);
    if (opened) {
      smf_ = std::move(opened).value();
    } else {
      throw_error(info.Env(), opened.error());
    }
  }

 private:
  void start_load(const Napi::CallbackInfo& info) {
    if (smf_ == nullptr) return;
    const Status started = smf_->start_load(load_of(info[0].As<Napi::Object>()));
    if (!started) throw_error(info.Env(), started.error());
  }
  void stop_load(const Napi::CallbackInfo&) {
    if (smf_ != nullptr) smf_->stop_load();
  }

  Napi::Value status(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Napi::Object out = Napi::Object::New(env);
    const bool running = smf_ != nullptr && smf_->running();
    out.Set("running", Napi::Boolean::New(env, running));
    const auto put = [&](const char* name, std::uint64_t value) {
      out.Set(name, Napi::Number::New(env, static_cast<double>(value)));
    };
    put("answered", smf_ == nullptr ? 0 : smf_->answered());
    put("heartbeats", smf_ == nullptr ? 0 : smf_->heartbeats());
    put("reports", smf_ == nullptr ? 0 : smf_->reports());
    put("port", smf_ == nullptr ? 0 : smf_->port());
    return out;
  }

  /// Of a load that has ended.
  Napi::Value outcome(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (smf_ == nullptr || smf_->running()) return env.Undefined();
    const smf::LoadOutcome& from = smf_->outcome();
    Napi::Object out = Napi::Object::New(env);
    const auto put = [&](const char* name, double value) {
      out.Set(name, Napi::Number::New(env, value));
    };
    put("sent", static_cast<double>(from.sent));
    put("skipped", static_cast<double>(from.skipped));
    put("retransmitted", static_cast<double>(from.retransmitted));
    put("lost", static_cast<double>(from.lost));
    put("stray", static_cast<double>(from.stray));
    put("refusedBySystem", static_cast<double>(from.refused_by_system));
    put("seconds", from.seconds);
    out.Set("timedOut", Napi::Boolean::New(env, from.timed_out));
    const auto milliseconds = [](Nanoseconds ns) { return static_cast<double>(ns) / 1e6; };
    put("p50Ms", milliseconds(from.latencies.quantile(0.5)));
    put("p90Ms", milliseconds(from.latencies.quantile(0.9)));
    put("p99Ms", milliseconds(from.latencies.quantile(0.99)));
    put("mostMs", milliseconds(from.latencies.most()));
    Napi::Object causes = Napi::Object::New(env);
    for (std::uint32_t cause = 0; cause < from.causes.size(); ++cause) {
      if (from.causes[cause] == 0) continue;
      causes.Set(cause, Napi::Number::New(env, static_cast<double>(from.causes[cause])));
    }
    out.Set("causes", causes);
    return out;
  }

  void stop(const Napi::CallbackInfo&) { smf_.reset(); }

  std::unique_ptr<smf::Smf> smf_;
};

}  // namespace

void init_smf(Napi::Env env, Napi::Object exports) { exports.Set("Smf", SmfObject::define(env)); }

}  // namespace sluice::addon
