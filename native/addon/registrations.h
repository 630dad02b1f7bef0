// What the addon has beside the packet path: each adds itself to the exports, once per
// environment.
#pragma once
#include <napi.h>

namespace sluice::addon {

/// Gnb and openTun.
void init_gnb(Napi::Env env, Napi::Object exports);
/// The capture functions.
void init_capture(Napi::Env env, Napi::Object exports);
/// Datagrams: UDP for N4.
void init_datagrams(Napi::Env env, Napi::Object exports);
/// Smf: a CP function for loads.
void init_smf(Napi::Env env, Napi::Object exports);
/// crypto: SM3, SM4-GCM, their self test and their tiers.
void init_crypto(Napi::Env env, Napi::Object exports);

}  // namespace sluice::addon
