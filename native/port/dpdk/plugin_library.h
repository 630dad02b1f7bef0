// Finds and loads the DPDK plug-in, which is beside the addon (or in the folder addon beside a
// program of the build), once a process.
// Threads: control.
#pragma once
#include "base/types.h"
#include "port/dpdk/plugin.h"

namespace sluice {

/// Errors, on "driver": it was not built, libdpdk is not there, or it is of another build. Each
/// says what to install or run.
Result<const DpdkPlugin*> load_dpdk_plugin();

}  // namespace sluice
