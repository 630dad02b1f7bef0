// JavaScript's Datapath: the interface of src/datapath/datapath.ts over worker/datapath.h.
#pragma once
#include <napi.h>

namespace sluice::addon {

Napi::Function define_datapath(Napi::Env env);

}  // namespace sluice::addon
