// Plain conversions between JavaScript objects and configuration or status.
#pragma once
#include <napi.h>

#include <string>

#include "worker/datapath.h"

namespace sluice::addon {

/// A member that has to be of the type; the DTOs of native.ts guarantee it.
std::string text_of(const Napi::Object& object, const char* key);
double number_of(const Napi::Object& object, const char* key);
bool flag_of(const Napi::Object& object, const char* key);

/// False: the text is no IP address.
bool parse_address(const std::string& text, IpAddress& out);
/// Error: an address or prefix that is none, on its field.
Result<DatapathConfig> config_of(const Napi::Object& object);
Napi::Array path_changes_to(Napi::Env env, Datapath& datapath);
Napi::Object status_to(Napi::Env env, const Datapath& datapath, bool running);
Napi::Object statistics_to(Napi::Env env, const DatapathStatistics& statistics);
/// packetMemoryBytes(config) of native.ts.
Napi::Value packet_memory(const Napi::CallbackInfo& info);
void throw_error(Napi::Env env, const Error& error);

}  // namespace sluice::addon
