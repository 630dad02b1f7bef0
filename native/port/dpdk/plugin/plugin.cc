// The one function that the plug-in exports.
#include "port/dpdk/plugin.h"

#include <rte_version.h>

#include "port/dpdk/plugin/device.h"

namespace {

sluice::DpdkDevice* open_device(const sluice::DpdkRequest& request,
                                sluice::DpdkError& error) noexcept {
  return sluice::dpdk::Device::open(request, error).release();
}

}  // namespace

extern "C" [[gnu::visibility("default")]] const sluice::DpdkPlugin* sluice_dpdk_plugin() {
  static const sluice::DpdkPlugin plugin{sluice::kDpdkInterface, sluice::kChunkBytes, rte_version(),
                                         open_device};
  return &plugin;
}
