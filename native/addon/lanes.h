// Crypto lanes for TypeScript (src/datapath/lanes): their threads have addons of their own, which
// find the lanes of a packet path by number.
#pragma once
#include <napi.h>

#include <memory>

#include "worker/datapath.h"

namespace sluice::addon {

/// A number by which serveLanes() finds the lanes, as long as they are there. Threads: any.
std::uint32_t publish_lanes(const std::shared_ptr<CryptoLanes>& lanes);
/// serveLanes(number, thread): about 100 ms of a lane thread's work; whether it is wanted on.
Napi::Value serve_lanes(const Napi::CallbackInfo& info);
/// The rows of lanes and of their threads.
Napi::Object lanes_to(Napi::Env env, const LanesStatistics& lanes);

}  // namespace sluice::addon
