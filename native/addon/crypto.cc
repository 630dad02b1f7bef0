// Cryptography of native/crypto over the caller's buffers, for src/crypto/native.ts: convert, call,
// nothing else. Nothing is copied but digests. May be called from any thread that has loaded the
// addon: it keeps no state.
#include <napi.h>

#include <cstring>

#include "addon/registrations.h"
#include "crypto/known_answers.h"
#include "crypto/secret.h"
#include "crypto/sm3/sm3.h"
#include "crypto/sm4/sm4.h"
#include "crypto/speed.h"
#include "crypto/tier.h"

namespace sluice::addon {
namespace {

using crypto::Sm3State;
using crypto::Tier;

constexpr std::size_t kStateBytes = sizeof(Sm3State);
constexpr std::size_t kHmacStateBytes = 2 * kStateBytes;

std::span<std::byte> bytes_of(const Napi::Value& value) {
  auto array = value.As<Napi::Uint8Array>();
  return {reinterpret_cast<std::byte*>(array.Data()), array.ByteLength()};
}

/// The tier of the given name, as tiers() lists them; undefined: the active one.
Tier tier_of(const Napi::Value& value) {
  if (value.IsString()) {
    const std::string name = value.As<Napi::String>().Utf8Value();
    for (const Tier tier : crypto::kTiers) {
      if (name == crypto::tier_name(tier)) return tier;
    }
  }
  return crypto::active_tier();
}

Sm3State state_at(std::span<const std::byte> bytes) noexcept {
  Sm3State state;
  std::memcpy(&state, bytes.data(), sizeof state);
  return state;
}

/// sm3Start(state): 32 bytes, set to the initial value.
void sm3_start(const Napi::CallbackInfo& info) {
  std::memcpy(bytes_of(info[0]).data(), &crypto::kSm3Initial, kStateBytes);
}

/// hmacSm3Start(state, key): 64 bytes, inner and outer state behind the key's block.
void hmac_sm3_start(const Napi::CallbackInfo& info) {
  const crypto::HmacSm3Key key(bytes_of(info[1]));
  const auto state = bytes_of(info[0]);
  std::memcpy(state.data(), &key.inner(), kStateBytes);
  std::memcpy(state.data() + kStateBytes, &key.outer(), kStateBytes);
}

/// sm3Absorb(state, blocks, tier): takes whole blocks into the first 32 bytes of the state.
void sm3_absorb(const Napi::CallbackInfo& info) {
  const auto state = bytes_of(info[0]);
  const auto blocks = bytes_of(info[1]);
  Sm3State words = state_at(state);
  crypto::sm3::kernels(tier_of(info[2]))
      .compress(words.words, blocks.data(), blocks.size() / crypto::sm3::kBlockBytes);
  std::memcpy(state.data(), &words, sizeof words);
  crypto::wipe(&words, sizeof words);
}

/// sm3Finish(state, rest, bytes, out, tier): `rest` is what comes behind the `bytes` bytes, whole
/// blocks, that the state has taken. A state of 64 bytes is one of HMAC. Wipes the state.
void sm3_finish(const Napi::CallbackInfo& info) {
  const auto state = bytes_of(info[0]);
  const auto taken = static_cast<std::uint64_t>(info[2].As<Napi::Number>().Int64Value());
  std::byte* const out = bytes_of(info[3]).data();
  const Tier tier = tier_of(info[4]);
  crypto::Sm3 hash(state_at(state), taken, tier);
  hash.update(bytes_of(info[1]));
  hash.finish(out);
  if (state.size() == kHmacStateBytes) {
    crypto::Sm3 outer(state_at(state.subspan(kStateBytes)), crypto::sm3::kBlockBytes, tier);
    outer.update({out, crypto::kSm3DigestBytes});
    outer.finish(out);
  }
  crypto::wipe(state.data(), state.size());
}

/// activeTier(): the name of the tier in use.
Napi::Value active_tier(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), crypto::tier_name(crypto::active_tier()));
}

/// tiers(): names of those that this processor runs, the best one last.
Napi::Value tiers(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (const Tier tier : crypto::kTiers) {
    if (!crypto::tier_runs_on(tier, cpu_features())) continue;
    names.Set(names.Length(), Napi::String::New(info.Env(), crypto::tier_name(tier)));
  }
  return names;
}

/// knownAnswers(): [{algorithm, mode, tier, holds}].
Napi::Value known_answers(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array out = Napi::Array::New(env);
  for (const crypto::KnownAnswer& answer : crypto::known_answers()) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("algorithm", Napi::String::New(env, answer.algorithm));
    row.Set("mode", Napi::String::New(env, answer.mode));
    row.Set("tier", Napi::String::New(env, crypto::tier_name(answer.tier)));
    row.Set("holds", Napi::Boolean::New(env, answer.holds));
    out.Set(out.Length(), row);
  }
  return out;
}

/// What seal and open take: (key, iv, aad, in, out, tag, tier), of checked lengths.
struct Sm4GcmCall {
  explicit Sm4GcmCall(const Napi::CallbackInfo& info)
      : tier(tier_of(info[6])),
        key(bytes_of(info[0]).first<crypto::kSm4KeyBytes>(), tier),
        iv(bytes_of(info[1])),
        aad(bytes_of(info[2])),
        in(bytes_of(info[3])),
        out(bytes_of(info[4]).data()),
        tag(bytes_of(info[5])) {}
  Tier tier;
  crypto::Sm4GcmKey key;
  std::span<const std::byte> iv;
  std::span<const std::byte> aad;
  std::span<const std::byte> in;
  std::byte* out;
  std::span<std::byte> tag;
};

/// sm4GcmSeal(key, iv, aad, in, out, tag, tier): `out` may be `in`.
void sm4_gcm_seal(const Napi::CallbackInfo& info) {
  const Sm4GcmCall call(info);
  crypto::sm4_gcm_seal(call.key, call.iv, call.aad, call.in, call.out, call.tag.data(), call.tier);
}

/// sm4GcmOpen(key, iv, aad, in, out, tag, tier): whether the tag holds; else `out` is zeros.
Napi::Value sm4_gcm_open(const Napi::CallbackInfo& info) {
  const Sm4GcmCall call(info);
  return Napi::Boolean::New(info.Env(), crypto::sm4_gcm_open(call.key, call.iv, call.aad, call.in,
                                                             call.out, call.tag, call.tier));
}

/// speedModes(): [{name, messages}].
Napi::Value speed_modes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array out = Napi::Array::New(env);
  for (const std::string_view mode : crypto::speed_modes()) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", Napi::String::New(env, mode.data(), mode.size()));
    row.Set("messages", Napi::Number::New(env, crypto::speed_messages(mode)));
    out.Set(out.Length(), row);
  }
  return out;
}

/// timeOperations(mode, tier, bytes, operations): nanoseconds that they took.
Napi::Value time_operations(const Napi::CallbackInfo& info) {
  const std::string mode = info[0].As<Napi::String>().Utf8Value();
  const Nanoseconds spent =
      crypto::time_operations(mode, tier_of(info[1]), info[2].As<Napi::Number>().Uint32Value(),
                              info[3].As<Napi::Number>().Uint32Value());
  return Napi::Number::New(info.Env(), static_cast<double>(spent));
}

/// wipe(bytes)
void wipe(const Napi::CallbackInfo& info) {
  const auto bytes = bytes_of(info[0]);
  crypto::wipe(bytes.data(), bytes.size());
}

}  // namespace

void init_crypto(Napi::Env env, Napi::Object exports) {
  Napi::Object crypto = Napi::Object::New(env);
  crypto.Set("sm3Start", Napi::Function::New<sm3_start>(env));
  crypto.Set("hmacSm3Start", Napi::Function::New<hmac_sm3_start>(env));
  crypto.Set("sm3Absorb", Napi::Function::New<sm3_absorb>(env));
  crypto.Set("sm3Finish", Napi::Function::New<sm3_finish>(env));
  crypto.Set("sm4GcmSeal", Napi::Function::New<sm4_gcm_seal>(env));
  crypto.Set("sm4GcmOpen", Napi::Function::New<sm4_gcm_open>(env));
  crypto.Set("activeTier", Napi::Function::New<active_tier>(env));
  crypto.Set("tiers", Napi::Function::New<tiers>(env));
  crypto.Set("knownAnswers", Napi::Function::New<known_answers>(env));
  crypto.Set("speedModes", Napi::Function::New<speed_modes>(env));
  crypto.Set("timeOperations", Napi::Function::New<time_operations>(env));
  crypto.Set("wipe", Napi::Function::New<wipe>(env));
  exports.Set("crypto", crypto);
}

}  // namespace sluice::addon
