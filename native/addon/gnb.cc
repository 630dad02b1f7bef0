// The gNB of native/gnb for TypeScript (src/tools/gnb.ts): convert, call, nothing else.
#include <napi.h>

#include "addon/convert.h"
#include "addon/registrations.h"
#include "gnb/gnb.h"

namespace sluice::addon {
namespace {

Result<gnb::UeTunnel> tunnel_of(const Napi::Object& from, std::uint16_t port) {
  auto upf = gnb::make_endpoint(text_of(from, "upfAddress"), port, "upfAddress");
  if (!upf) return upf.error();
  gnb::UeTunnel ue;
  ue.tun_fd = static_cast<int>(number_of(from, "tunFd"));
  ue.own_teid = Teid{static_cast<std::uint32_t>(number_of(from, "gnbTeid"))};
  ue.upf_teid = Teid{static_cast<std::uint32_t>(number_of(from, "upfTeid"))};
  ue.upf = upf.value();
  ue.qfi = static_cast<std::uint8_t>(number_of(from, "qfi"));
  ue.ipv4 = text_of(from, "ipv4");
  ue.ipv6 = text_of(from, "ipv6");
  return ue;
}

/// JavaScript's Gnb: new Gnb({bind, port, ues}), echo(), counters(), load({…}),
/// stopLoad(), stop().
class GnbObject : public Napi::ObjectWrap<GnbObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Gnb",
        {InstanceMethod<&GnbObject::echo>("echo"), InstanceMethod<&GnbObject::counters>("counters"),
         InstanceMethod<&GnbObject::load>("load"),
         InstanceMethod<&GnbObject::stop_load>("stopLoad"),
         InstanceMethod<&GnbObject::stop>("stop")});
  }

  explicit GnbObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<GnbObject>(info) {
    const Napi::Object from = info[0].As<Napi::Object>();
    gnb::GnbConfig config;
    config.bind_address = text_of(from, "bind");
    config.udp_port = static_cast<std::uint16_t>(number_of(from, "port"));
    const Napi::Array ues = from.Get("ues").As<Napi::Array>();
    for (std::uint32_t i = 0; i < ues.Length(); ++i) {
      auto ue = tunnel_of(ues.Get(i).As<Napi::Object>(), config.udp_port);
      if (!ue) {
        throw_error(info.Env(), ue.error());
        return;
      }
      config.ues.push_back(std::move(ue).value());
    }
    auto opened = gnb::Gnb::open(std::move(config));
    if (opened) {
      gnb_ = std::move(opened).value();
    } else {
      throw_error(info.Env(), opened.error());
    }
  }

 private:
  Napi::Value echo(const Napi::CallbackInfo& info) {
    if (gnb_ != nullptr) gnb_->send_echo_requests();
    return info.Env().Undefined();
  }

  Napi::Value load(const Napi::CallbackInfo& info) {
    const Napi::Object from = info[0].As<Napi::Object>();
    gnb::LoadConfig load;
    load.packets_per_s = number_of(from, "packetsPerSecond");
    load.inner_bytes = static_cast<unsigned>(number_of(from, "innerBytes"));
    load.seconds = number_of(from, "seconds");
    load.flows = static_cast<unsigned>(number_of(from, "flows"));
    load.to = text_of(from, "to");
    load.to_port = static_cast<std::uint16_t>(number_of(from, "toPort"));
    if (gnb_ == nullptr) return info.Env().Undefined();
    const Status started = gnb_->start_load(load);
    if (!started) throw_error(info.Env(), started.error());
    return info.Env().Undefined();
  }

  Napi::Value counters(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Napi::Object out = Napi::Object::New(env);
    if (gnb_ == nullptr) return out;
    const gnb::GnbCounters& c = gnb_->counters();
    const auto put = [&](const char* name, const std::atomic<std::uint64_t>& value) {
      const auto number = static_cast<double>(value.load(std::memory_order_relaxed));
      out.Set(name, Napi::Number::New(env, number));
    };
    put("uplinkPackets", c.uplink_packets);
    put("uplinkBytes", c.uplink_bytes);
    put("downlinkPackets", c.downlink_packets);
    put("downlinkBytes", c.downlink_bytes);
    put("echoRequests", c.echo_requests);
    put("echoResponses", c.echo_responses);
    put("endMarkers", c.end_markers);
    put("errorIndications", c.error_indications);
    put("unknownTeid", c.unknown_teid);
    put("malformed", c.malformed);
    put("wrongContainer", c.wrong_container);
    put("sendFailed", c.send_failed);
    put("uplinkRefused", c.uplink_refused);
    const bool running = gnb_->load_running();
    out.Set("loadRunning", Napi::Boolean::New(env, running));
    out.Set("loadSeconds", Napi::Number::New(env, running ? 0 : gnb_->load_seconds()));
    return out;
  }

  Napi::Value stop_load(const Napi::CallbackInfo& info) {
    if (gnb_ != nullptr) gnb_->stop_load();
    return info.Env().Undefined();
  }

  Napi::Value stop(const Napi::CallbackInfo& info) {
    if (gnb_ != nullptr) gnb_->stop();
    gnb_.reset();
    return info.Env().Undefined();
  }

  std::unique_ptr<gnb::Gnb> gnb_;
};

/// openTun(name): the descriptor of a new TUN device, to be handed to a Gnb.
Napi::Value open_tun(const Napi::CallbackInfo& info) {
  auto fd = gnb::open_tun(info[0].As<Napi::String>().Utf8Value());
  if (fd) return Napi::Number::New(info.Env(), fd.value());
  throw_error(info.Env(), fd.error());
  return info.Env().Undefined();
}

}  // namespace

void init_gnb(Napi::Env env, Napi::Object exports) {
  exports.Set("Gnb", GnbObject::define(env));
  exports.Set("openTun", Napi::Function::New<open_tun>(env));
}

}  // namespace sluice::addon
