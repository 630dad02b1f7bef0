#include "base/topology.h"

#include <dirent.h>
#include <hwloc.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <set>

namespace sluice {
namespace {
constexpr unsigned kCoresMax = 65536;

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Hwloc = std::unique_ptr<hwloc_topology, DestroyTopology>;

std::string read_line(const char* path) {
  char line[4096] = {};
  if (std::FILE* file = std::fopen(path, "re")) {
    if (!std::fgets(line, sizeof line, file)) line[0] = 0;
    std::fclose(file);
  }
  std::string text = line;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::set<unsigned> isolated_cores() {
  auto cores = parse_core_list(read_line("/sys/devices/system/cpu/isolated"));
  if (!cores) return {};
  return {cores.value().begin(), cores.value().end()};
}

// A CPU_SET of any size, since a machine may have more cores than cpu_set_t has bits.
class CoreSet {
 public:
  explicit CoreSet(unsigned cores) : bytes_(CPU_ALLOC_SIZE(cores)), set_(CPU_ALLOC(cores)) {
    CPU_ZERO_S(bytes_, set_);
  }
  ~CoreSet() { CPU_FREE(set_); }
  CoreSet(const CoreSet&) = delete;
  CoreSet& operator=(const CoreSet&) = delete;
  std::size_t bytes() const { return bytes_; }
  cpu_set_t* get() { return set_; }
  void add(unsigned core) { CPU_SET_S(core, bytes_, set_); }
  bool has(unsigned core) const { return CPU_ISSET_S(core, bytes_, set_) != 0; }

 private:
  std::size_t bytes_;
  cpu_set_t* set_;
};

unsigned quota_cores() {
  long long quota = 0;
  long long period = 0;
  const std::string v2 = read_line("/sys/fs/cgroup/cpu.max");
  if (std::sscanf(v2.c_str(), "%lld %lld", &quota, &period) != 2) {
    quota = std::atoll(read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").c_str());
    period = std::atoll(read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us").c_str());
  }
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<unsigned>(std::max(1LL, quota / period));
}

unsigned node_of(hwloc_obj_t cpu) {
  const int node = cpu->nodeset == nullptr ? -1 : hwloc_bitmap_first(cpu->nodeset);
  return node < 0 ? 0 : static_cast<unsigned>(node);
}

// From the kernel itself: hwloc would read the configuration space of every PCI device for
// it, which takes seconds on some virtual machines.
std::vector<Nic> network_devices() {
  std::vector<Nic> nics;
  DIR* folder = opendir("/sys/class/net");
  if (folder == nullptr) return nics;
  while (const dirent* entry = readdir(folder)) {
    const std::string name = entry->d_name;
    const std::string node = read_line(("/sys/class/net/" + name + "/device/numa_node").c_str());
    if (node.empty()) continue;  // no hardware behind it
    nics.push_back({name, static_cast<unsigned>(std::max(0, std::atoi(node.c_str())))});
  }
  closedir(folder);
  return nics;
}

Topology read_topology(hwloc_topology_t topology) {
  Topology result;
  std::map<hwloc_obj_t, unsigned> threads_of;
  hwloc_obj_t pu = nullptr;
  while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != nullptr) {
    hwloc_obj_t physical = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
    if (physical == nullptr) physical = pu;
    Core core;
    core.os_index = pu->os_index;
    core.numa_node = node_of(pu);
    core.physical_core = physical->logical_index;
    core.smt_index = threads_of[physical]++;
    result.cores.push_back(core);
  }
  std::sort(result.cores.begin(), result.cores.end(),
            [](const Core& a, const Core& b) { return a.os_index < b.os_index; });
  const int nodes = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
  result.numa_nodes = nodes < 1 ? 1 : static_cast<unsigned>(nodes);
  return result;
}

Result<Hwloc> load(const std::string& synthetic) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return Error{"hwloc does not start", ""};
  Hwloc topology(raw);
  if (!synthetic.empty() && hwloc_topology_set_synthetic(raw, synthetic.c_str()) != 0) {
    return Error{"'" + synthetic + "' is not a topology that hwloc understands", ""};
  }
  // The kernel says all that is asked here; hwloc's own look by CPUID traps on virtual machines.
  hwloc_topology_set_components(raw, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
  if (hwloc_topology_load(raw) != 0) return Error{"hwloc can't read this machine's topology", ""};
  return topology;
}
}  // namespace

int node_of_pci(const std::string& device) {
  const std::string name = device.substr(0, device.find(','));
  const auto colons = std::count(name.begin(), name.end(), ':');
  if (colons == 0) return -1;
  const std::string path =
      "/sys/bus/pci/devices/" + std::string(colons == 1 ? "0000:" : "") + name + "/numa_node";
  const std::string node = read_line(path.c_str());
  return node.empty() ? -1 : std::atoi(node.c_str());
}

Result<Topology> discover_topology() {
  auto loaded = load("");
  if (!loaded) return loaded.error();
  Topology topology = read_topology(loaded.value().get());
  topology.nics = network_devices();
  topology.quota_cores = quota_cores();
  const std::set<unsigned> isolated = isolated_cores();
  for (Core& core : topology.cores) core.isolated = isolated.count(core.os_index) != 0;
  CoreSet allowed(kCoresMax);
  // The main thread's affinity: the caller's own may have been narrowed already.
  if (sched_getaffinity(getpid(), allowed.bytes(), allowed.get()) == 0) {
    std::erase_if(topology.cores,
                  [&](const Core& core) { return !core.isolated && !allowed.has(core.os_index); });
  }
  if (topology.cores.empty()) return Error{"this process may not use any core", ""};
  return topology;
}

Result<Topology> synthetic_topology(const std::string& description) {
  if (description.empty()) return Error{"an empty topology description", ""};
  auto loaded = load(description);
  if (!loaded) return loaded.error();
  return read_topology(loaded.value().get());
}

Result<std::vector<unsigned>> parse_core_list(const std::string& text) {
  const Error bad{"'" + text + "' is not a list of cores such as 2-5,8", "workers.cores"};
  std::vector<unsigned> cores;
  const char* at = text.c_str();
  while (*at != 0) {
    unsigned long bounds[2];
    for (unsigned i = 0; i < 2; ++i) {
      if (*at < '0' || *at > '9') return bad;
      char* end = nullptr;
      bounds[i] = std::strtoul(at, &end, 10);
      at = end;
      if (i == 0 && *at != '-') {
        bounds[1] = bounds[0];
        break;
      }
      if (i == 0) ++at;
    }
    if (bounds[0] > bounds[1] || bounds[1] >= kCoresMax) return bad;
    for (unsigned long core = bounds[0]; core <= bounds[1]; ++core) {
      cores.push_back(static_cast<unsigned>(core));
    }
    if (*at == ',' && at[1] != 0) {
      ++at;
    } else if (*at != 0) {
      return bad;
    }
  }
  return cores;
}

std::string format_core_list(std::vector<unsigned> cores) {
  if (cores.empty()) return "none";
  std::sort(cores.begin(), cores.end());
  std::string text;
  for (std::size_t i = 0; i < cores.size();) {
    std::size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(cores[i]);
    if (last > i) {
      text += '-';
      text += std::to_string(cores[last]);
    }
    i = last + 1;
  }
  return text;
}

Status pin_this_thread(std::span<const unsigned> cores) {
  CoreSet set(kCoresMax);
  for (const unsigned core : cores) {
    if (core < kCoresMax) set.add(core);
  }
  // 0 is the calling thread.
  if (sched_setaffinity(0, set.bytes(), set.get()) != 0) {
    return Error{"can't run on " + format_core_list({cores.begin(), cores.end()}) + ": " +
                     std::strerror(errno),
                 "workers.cores"};
  }
  return Ok{};
}

void confine_process(std::span<const unsigned> cores) noexcept {
  CoreSet set(kCoresMax);
  for (const unsigned core : cores) {
    if (core < kCoresMax) set.add(core);
  }
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return;
  while (const dirent* task = readdir(tasks)) {
    const int id = std::atoi(task->d_name);
    if (id > 0) sched_setaffinity(id, set.bytes(), set.get());
  }
  closedir(tasks);
}

void name_this_thread(const std::string& name) noexcept {
  char short_name[16] = {};
  std::strncpy(short_name, name.c_str(), sizeof short_name - 1);
  pthread_setname_np(pthread_self(), short_name);
}

}  // namespace sluice
