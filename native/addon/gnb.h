// Registration of the gNB tool with the addon.
#pragma once
#include <napi.h>

namespace sluice::addon {

/// Adds Gnb and openTun to the addon's exports; called once per environment.
void init_gnb(Napi::Env env, Napi::Object exports);

}  // namespace sluice::addon
