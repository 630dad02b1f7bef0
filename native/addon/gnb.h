// Registration of the tools (gNB, captures) with the addon.
#pragma once
#include <napi.h>

namespace sluice::addon {

/// Adds Gnb, openTun and the capture functions to the exports; once per environment.
void init_gnb(Napi::Env env, Napi::Object exports);
/// The capture functions; called by init_gnb().
void init_capture(Napi::Env env, Napi::Object exports);

}  // namespace sluice::addon
