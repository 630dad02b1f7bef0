// The addon's entry: what TypeScript sees is Datapath (src/datapath/native.ts) and the
// gNB (src/tools/gnb.ts). Context-aware: every environment gets objects of its own.
// This folder alone knows Node: it converts and calls, nothing else. All of it runs on the
// JavaScript thread of its environment, but for the bell that a worker's thread rings.
// Start at datapath_object.h.
#include <napi.h>

#include "addon/convert.h"
#include "addon/datapath_object.h"
#include "addon/lanes.h"
#include "addon/registrations.h"
#include "base/clock.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("Datapath", sluice::addon::define_datapath(env));
  exports.Set("tscHz",
              Napi::Number::New(env, static_cast<double>(sluice::Clock::machine().tsc_hz())));
  exports.Set("packetMemoryBytes", Napi::Function::New(env, sluice::addon::packet_memory));
  exports.Set("serveLanes", Napi::Function::New(env, sluice::addon::serve_lanes));
  sluice::addon::init_gnb(env, exports);
  sluice::addon::init_capture(env, exports);
  sluice::addon::init_datagrams(env, exports);
  sluice::addon::init_smf(env, exports);
  sluice::addon::init_crypto(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(sluice, init)
