// The pure half of topology.h: which worker runs where, and why not.
#include <algorithm>
#include <set>
#include <tuple>

#include "base/topology.h"

namespace sluice {
namespace {

std::vector<unsigned> indices(const std::vector<Core>& cores) {
  std::vector<unsigned> list;
  for (const Core& core : cores) list.push_back(core.os_index);
  return list;
}

std::string available(const Topology& topology) {
  return "this process may use " + format_core_list(indices(topology.cores));
}

const Core* find_core(const Topology& topology, unsigned os_index) {
  for (const Core& core : topology.cores) {
    if (core.os_index == os_index) return &core;
  }
  return nullptr;
}

// The event loop's core as far as the choice of others goes: an ordinary one first, since
// isolated cores are for polling, and the lowest, which takes the machine's own work anyway.
const Core& loop_core(const Topology& topology) {
  for (const Core& core : topology.cores) {
    if (!core.isolated) return core;
  }
  return topology.cores.front();
}

std::set<unsigned> nodes_of_nics(const Topology& topology, const PlanRequest& request) {
  std::set<unsigned> nodes(request.near.begin(), request.near.end());
  for (const Nic& nic : topology.nics) {
    if (std::count(request.nics.begin(), request.nics.end(), nic.name) != 0) {
      nodes.insert(nic.numa_node);
    }
  }
  return nodes;
}

// Takes the best core that is left, once for each worker. At most as many as there are cores.
std::vector<Core> choose_best(const Topology& topology, const PlanRequest& request) {
  const Core loop = loop_core(topology);
  std::set<unsigned> near = nodes_of_nics(topology, request);
  // Without a NIC to be near to, workers are best together, near the event loop's memory.
  if (near.empty()) near.insert(loop.numa_node);
  std::set<unsigned> taken_physical = {loop.physical_core};
  // Lower is better, earlier words count more: the loop's own core is the last resort, a
  // physical core that somebody has costs more than a distant node.
  auto rank = [&](const Core& core) {
    return std::tuple(core.os_index == loop.os_index, taken_physical.count(core.physical_core) != 0,
                      !core.isolated, near.count(core.numa_node) == 0, core.smt_index,
                      core.numa_node, core.os_index);
  };
  std::vector<Core> left = topology.cores;
  std::vector<Core> chosen;
  while (chosen.size() < request.workers) {
    const auto best = std::min_element(
        left.begin(), left.end(), [&](const Core& a, const Core& b) { return rank(a) < rank(b); });
    taken_physical.insert(best->physical_core);
    chosen.push_back(*best);
    left.erase(best);
  }
  return chosen;
}

Result<std::vector<Core>> chosen_by_hand(const Topology& topology, const PlanRequest& request) {
  if (request.cores.size() != request.workers) {
    return Error{"workers.cores names " + std::to_string(request.cores.size()) + " cores for " +
                     std::to_string(request.workers) +
                     " workers; name one for each, or set workers.count to match",
                 "workers.cores"};
  }
  std::vector<Core> chosen;
  for (const unsigned os_index : request.cores) {
    const Core* core = find_core(topology, os_index);
    if (core == nullptr) {
      return Error{
          "workers.cores names core " + std::to_string(os_index) + ", but " + available(topology),
          "workers.cores"};
    }
    if (std::count(request.cores.begin(), request.cores.end(), os_index) > 1) {
      return Error{"workers.cores names core " + std::to_string(os_index) +
                       " twice; a core takes one worker",
                   "workers.cores"};
    }
    chosen.push_back(*core);
  }
  return chosen;
}

Result<std::vector<Core>> choose(const Topology& topology, const PlanRequest& request) {
  if (!request.cores.empty()) return chosen_by_hand(topology, request);
  if (topology.cores.size() < request.workers) {
    return Error{"workers.count is " + std::to_string(request.workers) +
                     ", but a core takes one worker and " + available(topology) +
                     "; lower workers.count or give the process more cores",
                 "workers.count"};
  }
  return choose_best(topology, request);
}

// Why these workers can't spin on their cores, or an empty string.
std::string against_busy(const Topology& topology, const std::vector<Core>& chosen) {
  if (chosen.size() >= topology.cores.size()) {
    return "busy polling needs one core more than there are workers, for the event loop; " +
           available(topology);
  }
  if (topology.quota_cores != 0 && chosen.size() + 1 > topology.quota_cores) {
    return "busy polling of " + std::to_string(chosen.size()) +
           " workers needs one core more than that, and the container's CPU quota is " +
           std::to_string(topology.quota_cores);
  }
  return "";
}

/// A thread without a core of its own is better off where the system puts it.
std::vector<unsigned> lane_cores(const Topology& topology, const PlanRequest& request,
                                 const std::set<unsigned>& taken,
                                 const std::vector<unsigned>& nodes) {
  std::vector<Core> left;
  for (const Core& core : topology.cores) {
    if (core.isolated && taken.count(core.os_index) == 0) left.push_back(core);
  }
  std::vector<unsigned> cores;
  while (!left.empty() && cores.size() < request.lanes) {
    const unsigned node = nodes[cores.size() % nodes.size()];
    const auto rank = [node](const Core& core) {
      return std::tuple(core.numa_node != node, core.smt_index, core.os_index);
    };
    const auto best = std::min_element(
        left.begin(), left.end(), [&](const Core& a, const Core& b) { return rank(a) < rank(b); });
    cores.push_back(best->os_index);
    left.erase(best);
  }
  return cores;
}

void add_warnings(const Topology& topology, const PlanRequest& request,
                  const std::vector<Core>& chosen, Plan& plan) {
  std::set<unsigned> physical;
  for (const Core& core : chosen) {
    if (!physical.insert(core.physical_core).second) {
      plan.warnings.push_back("workers share the physical core of core " +
                              std::to_string(core.os_index) +
                              "; name cores that are not SMT siblings in workers.cores");
    }
  }
  const std::set<unsigned> near = nodes_of_nics(topology, request);
  for (const Core& core : chosen) {
    if (!near.empty() && near.count(core.numa_node) == 0) {
      plan.warnings.push_back("core " + std::to_string(core.os_index) + " is on NUMA node " +
                              std::to_string(core.numa_node) +
                              ", the ports' devices are not; packets cross between nodes");
    }
  }
}
}  // namespace

const char* poll_mode_name(PollMode mode) noexcept {
  switch (mode) {
    case PollMode::Adaptive:
      return "adaptive";
    case PollMode::Busy:
      return "busy";
    case PollMode::Auto:
      break;
  }
  return "auto";
}

Result<Plan> plan_workers(const Topology& topology, const PlanRequest& request) {
  if (topology.cores.empty()) return Error{"this process may not use any core", "workers.cores"};
  if (request.workers == 0) return Error{"workers.count is at least 1", "workers.count"};
  auto choice = choose(topology, request);
  if (!choice) return choice.error();
  const std::vector<Core>& chosen = choice.value();

  Plan plan;
  PollMode mode = PollMode::Adaptive;
  const bool wants_busy =
      request.poll == PollMode::Busy || (request.poll == PollMode::Auto && request.kernel_bypass);
  if (wants_busy) {
    const std::string obstacle = against_busy(topology, chosen);
    if (obstacle.empty()) {
      mode = PollMode::Busy;
    } else if (request.poll == PollMode::Busy) {
      return Error{obstacle + "; lower workers.count or let workers.poll be adaptive",
                   request.cores.empty() ? "workers.poll" : "workers.cores"};
    } else {
      plan.warnings.push_back("workers poll adaptively: " + obstacle);
    }
  }
  std::set<unsigned> taken;
  for (const Core& core : chosen) {
    plan.workers.push_back({core.os_index, core.numa_node, mode});
    taken.insert(core.os_index);
    if (std::count(plan.nodes.begin(), plan.nodes.end(), core.numa_node) == 0) {
      plan.nodes.push_back(core.numa_node);
    }
  }
  // Adaptive workers sleep, so the event loop may have their cores when there are no others.
  for (const Core& core : topology.cores) {
    const bool others = taken.size() < topology.cores.size();
    if (!others || taken.count(core.os_index) == 0) plan.control_cores.push_back(core.os_index);
  }
  // Isolated cores are left alone unless there is nothing else.
  std::vector<unsigned> ordinary;
  for (const unsigned os_index : plan.control_cores) {
    if (!find_core(topology, os_index)->isolated) ordinary.push_back(os_index);
  }
  if (!ordinary.empty()) plan.control_cores = std::move(ordinary);
  plan.lane_cores = lane_cores(topology, request, taken, plan.nodes);
  add_warnings(topology, request, chosen, plan);
  return plan;
}

std::string describe(const Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < plan.workers.size(); ++i) {
    const WorkerPlace& place = plan.workers[i];
    text += "worker " + std::to_string(i) + " on core " + std::to_string(place.core) + " (node " +
            std::to_string(place.numa_node) + ", " + poll_mode_name(place.poll) + ")";
    text += i + 1 < plan.workers.size() ? ", " : "; ";
  }
  text += "event loop on " + format_core_list(plan.control_cores);
  if (!plan.lane_cores.empty()) {
    text += "; crypto lanes on " + format_core_list(plan.lane_cores);
  }
  return text;
}

}  // namespace sluice
