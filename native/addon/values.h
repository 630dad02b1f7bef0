// JavaScript values to C++ and errors back, for the objects of configuration.
#pragma once
#include <napi.h>

#include <string>

#include "base/types.h"

namespace sluice::addon {

/// Throws {message, field}; the caller returns at once.
inline Napi::Value throw_error(Napi::Env env, const Error& error) {
  Napi::Error thrown = Napi::Error::New(env, error.message);
  thrown.Set("field", Napi::String::New(env, error.field));
  thrown.ThrowAsJavaScriptException();
  return env.Undefined();
}

/// Text under a key, empty if there is none.
inline std::string text_of(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

inline double number_of(const Napi::Object& object, const char* key, double fallback) {
  const Napi::Value value = object.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : fallback;
}

}  // namespace sluice::addon
