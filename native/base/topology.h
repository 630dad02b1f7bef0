// Where threads run: the machine's cores as this process may use them, and the plan that
// puts each worker on one. Threads: the control thread, at start, except the two at the end.
// discover_topology() looks at the machine; plan_workers() is pure and decides everything.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/types.h"

namespace sluice {

/// One logical CPU, by the number that the kernel and people use.
struct Core {
  unsigned os_index = 0;
  unsigned numa_node = 0;
  unsigned physical_core = 0;  ///< the same for SMT siblings; counts over the whole machine
  unsigned smt_index = 0;      ///< 0: first thread of its physical core, 1: its sibling …
  bool isolated = false;       ///< kept free of other work by isolcpus=
};

struct Nic {
  std::string name;  ///< of the network interface
  unsigned numa_node = 0;
};

struct Topology {
  std::vector<Core> cores;  ///< those that this process may use, by os_index
  std::vector<Nic> nics;
  unsigned numa_nodes = 1;
  /// Whole cores' worth of time that a container's CPU quota gives; 0: no quota.
  unsigned quota_cores = 0;
};

/// Asks hwloc, honouring cgroup and affinity limits. Isolated cores count as usable although
/// the affinity that a process starts with leaves them out. Error: hwloc finds nothing.
Result<Topology> discover_topology();
/// Node that a device on PCI hangs on, by its address ("0000:01:00.0", also without the domain, and
/// with what follows behind a comma). Below 0: it is no such device, or none in particular.
int node_of_pci(const std::string& device);
/// The same from an hwloc description such as "numa:2 core:16 pu:2"; no isolation, no NICs.
/// Error: not a description that hwloc understands.
Result<Topology> synthetic_topology(const std::string& description);

/// Auto is only asked for, never planned.
enum class PollMode : std::uint8_t { Auto, Adaptive, Busy };
/// "auto", "adaptive" or "busy"; static storage.
const char* poll_mode_name(PollMode mode) noexcept;

struct PlanRequest {
  unsigned workers = 1;
  std::vector<unsigned> cores;  ///< workers.cores, one per worker; empty: auto
  PollMode poll = PollMode::Auto;
  bool kernel_bypass = false;     ///< a port polls its device (afxdp, dpdk): auto means busy
  unsigned lanes = 0;             ///< threads that may serve crypto lanes
  std::vector<std::string> nics;  ///< devices of the ports, for the node they hang on
  std::vector<unsigned> near;     ///< nodes of devices that are no interfaces
};

struct WorkerPlace {
  unsigned core = 0;
  unsigned numa_node = 0;
  PollMode poll = PollMode::Adaptive;
};

struct Plan {
  std::vector<WorkerPlace> workers;
  std::vector<unsigned> nodes;  ///< NUMA nodes that workers are on, in the workers' order
  /// Where the event loop and all helper threads may run: never a busy worker's core.
  std::vector<unsigned> control_cores;
  /// Isolated cores that no worker has, at most one for each crypto lane, of the workers' nodes in
  /// turn, as lanes are; empty: lanes run where the system likes.
  std::vector<unsigned> lane_cores;
  std::vector<std::string> warnings;  ///< sentences for the node's status
};

/// Puts workers on cores: one each; not the event loop's if there is another, and no two on one
/// physical core; of those left, isolated ones first, then those near the ports' NICs. A busy
/// worker gets a core that nothing else of ours uses, or the plan is refused; auto becomes adaptive
/// where that can't be. Pure. Errors: on workers.count, workers.cores or workers.poll, naming
/// what is available.
Result<Plan> plan_workers(const Topology& topology, const PlanRequest& request);

/// "worker 0 on core 2 (node 0, busy), worker 1 on …; event loop on 0-1", to print at start.
std::string describe(const Plan& plan);

/// Reads a kernel-style list such as "0-3,8". Error: not a list, or numbers above 65535.
Result<std::vector<unsigned>> parse_core_list(const std::string& text);
/// The reverse: "0-3,8"; "none" for an empty one.
std::string format_core_list(std::vector<unsigned> cores);

/// Lets the calling thread run only on these cores. Error: the kernel refuses.
Status pin_this_thread(std::span<const unsigned> cores);
/// Lets all threads that the process has by now run only on these cores, and so those that they
/// make. Threads that the kernel refuses (gone meanwhile) are left out.
void confine_process(std::span<const unsigned> cores) noexcept;
inline Status pin_this_thread(unsigned core) { return pin_this_thread(std::span(&core, 1)); }
/// Names the calling thread for top, gdb and perf; the kernel keeps 15 characters.
void name_this_thread(const std::string& name) noexcept;

}  // namespace sluice
