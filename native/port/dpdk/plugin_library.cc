#include "port/dpdk/plugin_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <string>

namespace sluice {
namespace {

constexpr const char* kFile = "sluice_dpdk.so";
constexpr const char* kInstall = "apt-get install libdpdk-dev, then build again: npm run build";

/// The folder of the shared object or program that this code is in, with a slash.
std::string own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&load_dpdk_plugin), &info) == 0) return {};
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

Error refusal(const std::string& message) { return {message, "driver"}; }

Result<const DpdkPlugin*> load() {
  const std::string folder = own_folder();
  std::string path = folder + kFile;
  if (::access(path.c_str(), F_OK) != 0) path = folder + "addon/" + kFile;
  if (::access(path.c_str(), F_OK) != 0) {
    return refusal("driver dpdk is not built, because libdpdk was not there (" + folder + kFile +
                   "); " + kInstall);
  }
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const said = ::dlerror();
    return refusal("driver dpdk cannot be loaded: " + std::string(said != nullptr ? said : path) +
                   "; it needs the DPDK that it was built with: " + kInstall);
  }
  const auto entry = reinterpret_cast<DpdkEntry>(::dlsym(library, kDpdkEntry));
  const DpdkPlugin* const plugin = entry != nullptr ? entry() : nullptr;
  if (plugin == nullptr || plugin->interface != kDpdkInterface ||
      plugin->chunk_bytes != kChunkBytes) {
    ::dlclose(library);
    return refusal(path + " is of another build than this program; build again: npm run build");
  }
  return plugin;  // never closed: DPDK cannot end and begin again
}

}  // namespace

Result<const DpdkPlugin*> load_dpdk_plugin() {
  static Result<const DpdkPlugin*> loaded = refusal("");
  if (!loaded) loaded = load();  // what was missing may have come
  return loaded;
}

}  // namespace sluice
