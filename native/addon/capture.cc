// Captures for `sluice replay` (src/tools/replay): convert, call, nothing else.
#include <arpa/inet.h>
#include <napi.h>

#include "addon/convert.h"
#include "addon/registrations.h"
#include "gnb/capture_split.h"
#include "port/address_text.h"

namespace sluice::addon {
namespace {

/// An unreadable address stays 0.0.0.0: TypeScript has checked what people wrote.
IpAddress ip_address_of(const std::string& text) {
  IpAddress address;
  address.is_v6 = text.find(':') != std::string::npos;
  inet_pton(address.is_v6 ? AF_INET6 : AF_INET, text.c_str(), address.bytes.data());
  return address;
}

gnb::SplitSession session_of(const Napi::Object& from) {
  gnb::SplitSession session;
  session.upf_teid = Teid{from.Get("upfTeid").As<Napi::Number>().Uint32Value()};
  session.qfi = static_cast<std::uint8_t>(from.Get("qfi").As<Napi::Number>().Uint32Value());
  session.upf = ip_address_of(text_of(from, "upfAddress"));
  session.gnb = ip_address_of(text_of(from, "gnbAddress"));
  if (const std::string ipv4 = text_of(from, "ipv4"); !ipv4.empty()) {
    const auto bytes = ip_address_of(ipv4).bytes;
    session.ue_ipv4 = std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
                      std::uint32_t{bytes[2]} << 8 | bytes[3];
  }
  if (const std::string ipv6 = text_of(from, "ipv6"); !ipv6.empty()) {
    const auto bytes = ip_address_of(ipv6).bytes;
    auto& prefix = session.ue_prefix.emplace();
    for (std::size_t i = 0; i < prefix.size(); ++i) prefix[i] = std::byte{bytes[i]};
  }
  return session;
}

std::vector<std::string> texts_of(const Napi::Value& value) {
  std::vector<std::string> texts;
  const Napi::Array array = value.As<Napi::Array>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    texts.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  }
  return texts;
}

Napi::Object object_of(Napi::Env env, const gnb::SplitCounts& counts) {
  Napi::Object out = Napi::Object::New(env);
  const auto put = [&](Napi::Object to, const char* name, std::uint64_t value) {
    to.Set(name, Napi::Number::New(env, static_cast<double>(value)));
  };
  put(out, "frames", counts.frames);
  put(out, "gtpu", counts.gtpu);
  put(out, "uplink", counts.uplink);
  put(out, "downlink", counts.downlink);
  put(out, "other", counts.other);
  put(out, "adopted", counts.adopted);
  Napi::Object skipped = Napi::Object::New(env);
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    if (counts.skipped[i] == 0) continue;
    put(skipped, drop_reason_label(static_cast<DropReason>(i)), counts.skipped[i]);
  }
  out.Set("skipped", skipped);
  if (counts.cut_at) put(out, "cut_at_byte", *counts.cut_at);
  return out;
}

/// splitCapture({input, accessOutput, coreOutput, n3, sessions, adopt}): SplitCounts.
Napi::Value split_capture(const Napi::CallbackInfo& info) {
  const Napi::Object from = info[0].As<Napi::Object>();
  gnb::SplitRequest request;
  request.input = text_of(from, "input");
  request.access_output = text_of(from, "accessOutput");
  request.core_output = text_of(from, "coreOutput");
  request.adopt = from.Get("adopt").ToBoolean();
  for (const std::string& text : texts_of(from.Get("n3")))
    request.n3.push_back(ip_address_of(text));
  const Napi::Array sessions = from.Get("sessions").As<Napi::Array>();
  for (std::uint32_t i = 0; i < sessions.Length(); ++i) {
    request.sessions.push_back(session_of(sessions.Get(i).As<Napi::Object>()));
  }
  auto counts = gnb::split_capture(request);
  if (!counts) {
    throw_error(info.Env(), counts.error());
    return info.Env().Undefined();
  }
  return object_of(info.Env(), counts.value());
}

/// busiestGtpuDestination(path): the address as text, or undefined.
Napi::Value busiest_gtpu_destination(const Napi::CallbackInfo& info) {
  auto found = gnb::busiest_gtpu_destination(info[0].As<Napi::String>().Utf8Value());
  if (!found) {
    throw_error(info.Env(), found.error());
    return info.Env().Undefined();
  }
  if (!found.value()) return info.Env().Undefined();
  return Napi::String::New(info.Env(), address_text(*found.value()));
}

/// mergeCaptures(inputs, names, output)
Napi::Value merge_captures(const Napi::CallbackInfo& info) {
  const Status merged = gnb::merge_captures(texts_of(info[0]), texts_of(info[1]),
                                            info[2].As<Napi::String>().Utf8Value());
  if (!merged) {
    throw_error(info.Env(), merged.error());
    return info.Env().Undefined();
  }
  return info.Env().Undefined();
}

/// readCapturedPacket(path, frame): the IP packet of the frame with that number, from 1.
Napi::Value read_captured_packet(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto packet = gnb::captured_packet(info[0].As<Napi::String>().Utf8Value(),
                                     info[1].As<Napi::Number>().Uint32Value());
  if (!packet) {
    throw_error(env, packet.error());
    return env.Undefined();
  }
  return Napi::Buffer<std::uint8_t>::Copy(
      env, reinterpret_cast<const std::uint8_t*>(packet.value().data()), packet.value().size());
}

}  // namespace

void init_capture(Napi::Env env, Napi::Object exports) {
  exports.Set("splitCapture", Napi::Function::New<split_capture>(env));
  exports.Set("busiestGtpuDestination", Napi::Function::New<busiest_gtpu_destination>(env));
  exports.Set("readCapturedPacket", Napi::Function::New<read_captured_packet>(env));
  exports.Set("mergeCaptures", Napi::Function::New<merge_captures>(env));
}

}  // namespace sluice::addon
