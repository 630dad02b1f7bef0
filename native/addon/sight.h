// Captures and traces of the packet path for TypeScript (src/datapath/packet-sight.ts):
// convert, call, nothing else. JavaScript's thread.
#pragma once
#include <napi.h>

#include "worker/datapath.h"

namespace sluice::addon {

/// {session, ports, drops, snapLength, maxPackets}: the capture's number. Throws.
Napi::Value start_capture(const Napi::CallbackInfo& info, Datapath& datapath);
/// The number: {pcapng, trailer, packets, lost, end, inForce}.
Napi::Value read_capture(const Napi::CallbackInfo& info, Datapath& datapath);
void stop_capture(const Napi::CallbackInfo& info, Datapath& datapath);
/// The packet's bytes, the port's index: the trace's number. Throws.
Napi::Value start_trace(const Napi::CallbackInfo& info, Datapath& datapath);
/// The number: {steps, verdict, dropReason, outputs}, or undefined for "not yet". Throws.
Napi::Value take_trace(const Napi::CallbackInfo& info, Datapath& datapath);

}  // namespace sluice::addon
