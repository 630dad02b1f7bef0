// Protections of the packet path for TypeScript (src/datapath/protection-path.ts): convert, call,
// nothing else; copies of keys are wiped. JavaScript's thread.
#include "addon/protections.h"

#include <algorithm>
#include <cstring>

#include "addon/convert.h"
#include "crypto/secret.h"

namespace sluice::addon {
namespace {

std::uint64_t wide_of(const Napi::Object& from, const char* key) {
  bool lossless = false;
  return from.Get(key).As<Napi::BigInt>().Uint64Value(&lossless);
}
std::uint32_t word_of(const Napi::Object& from, const char* key) {
  return static_cast<std::uint32_t>(number_of(from, key));
}

crypto::EspUse use_of(const Napi::Object& from) {
  return {wide_of(from, "number"), wide_of(from, "bytes")};
}

template <std::size_t kBytes>
void copy_secret(const Napi::Object& from, const char* key, std::array<std::byte, kBytes>& to) {
  const auto bytes = from.Get(key).As<Napi::Uint8Array>();
  std::memcpy(to.data(), bytes.Data(), std::min(bytes.ByteLength(), kBytes));
}

std::vector<AssociationSettings> associations_of(const Napi::Object& from, const char* key) {
  const auto list = from.Get(key).As<Napi::Array>();
  // Room for all of them first: what a vector moves away from is not wiped.
  std::vector<AssociationSettings> out(list.Length());
  for (std::uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Object entry = list.Get(i).As<Napi::Object>();
    out[i].spi = word_of(entry, "spi");
    copy_secret(entry, "key", out[i].key);
    copy_secret(entry, "salt", out[i].salt);
    copy_secret(entry, "authKey", out[i].auth_key);
    out[i].used = use_of(entry.Get("used").As<Napi::Object>());
    out[i].allowed = use_of(entry.Get("allowed").As<Napi::Object>());
  }
  return out;
}

void wipe_keys(std::vector<AssociationSettings>& associations) {
  for (AssociationSettings& association : associations) {
    crypto::wipe(association.key.data(), association.key.size());
    crypto::wipe(association.salt.data(), association.salt.size());
    crypto::wipe(association.auth_key.data(), association.auth_key.size());
  }
}

}  // namespace

void set_protection(const Napi::CallbackInfo& info, Datapath& datapath) {
  const Napi::Object from = info[0].As<Napi::Object>();
  ProtectionSettings settings;
  settings.number = static_cast<std::uint16_t>(word_of(from, "number"));
  for (const auto& [key, to] : {std::pair{"local", &settings.local}, {"peer", &settings.peer}}) {
    if (parse_address(text_of(from, key), *to)) continue;
    throw_error(info.Env(), {"is no IP address", key});
    return;
  }
  settings.ports = static_cast<PortMask>(word_of(from, "ports"));
  settings.in_udp = flag_of(from, "inUdp");
  settings.suite = static_cast<crypto::EspSuite>(word_of(from, "suite"));
  settings.extended_sequence = flag_of(from, "extendedSequence");
  settings.window = word_of(from, "window");
  settings.lifetime = {wide_of(from, "packetsSoft"), wide_of(from, "packetsHard"),
                       wide_of(from, "bytesSoft"), wide_of(from, "bytesHard")};
  settings.outbound = associations_of(from, "outbound");
  settings.inbound = associations_of(from, "inbound");
  const Status status = datapath.protections().set(settings);
  wipe_keys(settings.outbound);
  wipe_keys(settings.inbound);
  if (!status) throw_error(info.Env(), status.error());
}

Napi::Value remove_protection(const Napi::CallbackInfo& info, Datapath& datapath) {
  const auto number = static_cast<std::uint16_t>(info[0].As<Napi::Number>().Uint32Value());
  return Napi::Boolean::New(info.Env(), datapath.protections().remove(number));
}

void extend_protection(const Napi::CallbackInfo& info, Datapath& datapath) {
  datapath.protections().extend(
      static_cast<std::uint16_t>(info[0].As<Napi::Number>().Uint32Value()),
      info[1].As<Napi::Number>().Uint32Value(), use_of(info[2].As<Napi::Object>()));
}

Napi::Value protections_settled(const Napi::CallbackInfo& info, Datapath& datapath) {
  return Napi::Boolean::New(info.Env(), datapath.protections().settled());
}

Napi::Value protection_uses(const Napi::CallbackInfo& info, Datapath& datapath) {
  const auto number = static_cast<std::uint16_t>(info[0].As<Napi::Number>().Uint32Value());
  return Napi::Number::New(info.Env(), datapath.sessions().protection_uses().count(number));
}

Napi::Value protection_status(const Napi::CallbackInfo& info, Datapath& datapath) {
  const Napi::Env env = info.Env();
  const auto rows = datapath.protections().status(
      static_cast<std::uint16_t>(info[0].As<Napi::Number>().Uint32Value()));
  Napi::Array out = Napi::Array::New(env, rows.size());
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const AssociationStatus& from = rows[i];
    Napi::Object row = Napi::Object::New(env);
    const auto put = [&](const char* name, std::uint64_t value) {
      row.Set(name, Napi::BigInt::New(env, value));
    };
    row.Set("spi", Napi::Number::New(env, from.spi));
    row.Set("outbound", Napi::Boolean::New(env, from.outbound));
    put("number", from.number);
    put("packets", from.packets);
    put("bytes", from.bytes);
    put("replayed", from.replayed);
    put("notGenuine", from.not_genuine);
    put("malformed", from.malformed);
    row.Set("wantsRekeying", Napi::Boolean::New(env, from.wants_rekeying));
    row.Set("hasExpired", Napi::Boolean::New(env, from.has_expired));
    out.Set(i, row);
  }
  return out;
}

}  // namespace sluice::addon
