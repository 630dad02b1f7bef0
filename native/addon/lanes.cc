#include "addon/lanes.h"

#include <map>
#include <mutex>

namespace sluice::addon {
namespace {

/// Of all packet paths of the process.
struct Published {
  std::mutex mutex;
  std::map<std::uint32_t, std::weak_ptr<CryptoLanes>> lanes;
  std::uint32_t last = 0;
};
Published& published() {
  static Published all;
  return all;
}

}  // namespace

std::uint32_t publish_lanes(const std::shared_ptr<CryptoLanes>& lanes) {
  Published& all = published();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.lanes, [](const auto& entry) { return entry.second.expired(); });
  all.lanes[++all.last] = lanes;
  return all.last;
}

Napi::Value serve_lanes(const Napi::CallbackInfo& info) {
  std::shared_ptr<CryptoLanes> lanes;
  {
    Published& all = published();
    const std::lock_guard lock(all.mutex);
    const auto it = all.lanes.find(info[0].As<Napi::Number>().Uint32Value());
    if (it != all.lanes.end()) lanes = it->second.lock();
  }
  const unsigned thread = info[1].As<Napi::Number>().Uint32Value();
  return Napi::Boolean::New(info.Env(),
                            lanes != nullptr && thread < kLanesMax && lanes->run(thread));
}

Napi::Object lanes_to(Napi::Env env, const LanesStatistics& from) {
  Napi::Object out = Napi::Object::New(env);
  const auto number = [&](double value) { return Napi::Number::New(env, value); };
  Napi::Array rows = Napi::Array::New(env, from.lanes.size());
  for (std::uint32_t i = 0; i < from.lanes.size(); ++i) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("id", number(i));
    row.Set("packets", number(static_cast<double>(from.lanes[i].packets)));
    row.Set("bursts", number(static_cast<double>(from.lanes[i].bursts)));
    row.Set("depth", number(from.lanes[i].depth));
    row.Set("thread", number(from.lanes[i].thread));
    rows.Set(i, row);
  }
  Napi::Array threads = Napi::Array::New(env, from.by_thread.size());
  for (std::uint32_t i = 0; i < from.by_thread.size(); ++i) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("busyNs", number(static_cast<double>(from.by_thread[i].busy_ns)));
    row.Set("waits", number(static_cast<double>(from.by_thread[i].waits)));
    threads.Set(i, row);
  }
  Napi::Array cores = Napi::Array::New(env, from.cores.size());
  for (std::uint32_t i = 0; i < from.cores.size(); ++i) cores.Set(i, number(from.cores[i]));
  out.Set("cores", cores);
  out.Set("serving", number(from.threads));
  out.Set("capacity", number(kCryptoRing));
  out.Set("lanes", rows);
  out.Set("threads", threads);
  return out;
}

}  // namespace sluice::addon
