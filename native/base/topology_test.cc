#include "base/topology.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

namespace sluice {
namespace {

Topology synthetic(const std::string& description) {
  auto topology = synthetic_topology(description);
  EXPECT_TRUE(topology) << topology.error().message;
  return topology.value();
}

// hwloc numbers siblings of one core next to each other: 0 and 1, 2 and 3, …
Topology two_sockets() { return synthetic("numa:2 core:16 pu:2"); }
Topology kunpeng() { return synthetic("package:2 numa:2 core:32 pu:1"); }
Topology container() { return synthetic("numa:1 core:2 pu:1"); }
Topology one_core() { return synthetic("numa:1 core:1 pu:1"); }

Plan planned(const Topology& topology, const PlanRequest& request) {
  auto plan = plan_workers(topology, request);
  EXPECT_TRUE(plan) << plan.error().message;
  return plan ? plan.value() : Plan{};
}

Error refused(const Topology& topology, const PlanRequest& request) {
  auto plan = plan_workers(topology, request);
  EXPECT_FALSE(plan) << describe(plan.value());
  return plan ? Error{} : plan.error();
}

std::vector<unsigned> cores_of(const Plan& plan) {
  std::vector<unsigned> cores;
  for (const WorkerPlace& place : plan.workers) cores.push_back(place.core);
  return cores;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Topology, ReadsSyntheticMachines) {
  const Topology smt = two_sockets();
  ASSERT_EQ(smt.cores.size(), 64U);
  EXPECT_EQ(smt.numa_nodes, 2U);
  EXPECT_EQ(smt.cores[1].physical_core, smt.cores[0].physical_core);
  EXPECT_EQ(smt.cores[1].smt_index, 1U);
  EXPECT_EQ(smt.cores[63].numa_node, 1U);
  EXPECT_EQ(kunpeng().cores.size(), 128U);
  EXPECT_EQ(kunpeng().numa_nodes, 4U);
  EXPECT_FALSE(synthetic_topology("nonsense"));
  EXPECT_FALSE(synthetic_topology(""));
}

TEST(Topology, OfThisMachineHonoursAffinity) {
  auto topology = discover_topology();
  ASSERT_TRUE(topology) << topology.error().message;
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(getpid(), sizeof allowed, &allowed), 0);
  ASSERT_FALSE(topology.value().cores.empty());
  for (const Core& core : topology.value().cores) {
    EXPECT_TRUE(core.isolated || CPU_ISSET(core.os_index, &allowed)) << core.os_index;
  }
  EXPECT_TRUE(plan_workers(topology.value(), PlanRequest{}));
}

TEST(Plan, SpreadsOverPhysicalCoresOfTheLoopsNode) {
  PlanRequest request;
  request.workers = 8;
  const Plan plan = planned(two_sockets(), request);
  EXPECT_EQ(cores_of(plan), (std::vector<unsigned>{2, 4, 6, 8, 10, 12, 14, 16}));
  for (const WorkerPlace& place : plan.workers) {
    EXPECT_EQ(place.numa_node, 0U);
    EXPECT_EQ(place.poll, PollMode::Adaptive);
  }
  EXPECT_TRUE(plan.warnings.empty());
  EXPECT_EQ(plan.control_cores.size(), 56U);
}

TEST(Plan, PrefersTheOtherNodeToASibling) {
  PlanRequest request;
  request.workers = 20;
  const Topology topology = two_sockets();
  const Plan plan = planned(topology, request);
  std::set<unsigned> physical;
  for (const unsigned core : cores_of(plan)) physical.insert(topology.cores[core].physical_core);
  EXPECT_EQ(physical.size(), 20U);
  EXPECT_TRUE(plan.warnings.empty());
}

TEST(Plan, GoesWhereADeviceWithoutAnInterfaceIs) {
  PlanRequest request;
  request.workers = 2;
  request.near = {1};
  const Plan plan = planned(two_sockets(), request);
  EXPECT_EQ(plan.nodes, std::vector<unsigned>{1});
  EXPECT_TRUE(plan.warnings.empty());
  request.near = {0, 1};
  EXPECT_EQ(planned(two_sockets(), request).nodes, std::vector<unsigned>{0});
}

TEST(Topology, OnlyWhatIsOnPciHasANodeByItsAddress) {
  for (const char* device : {"net_memif0,role=client", "eth0", "ffff:ff:1f.7", "ff:1f.7,arg=1"}) {
    EXPECT_LT(node_of_pci(device), 0) << device;
  }
}

TEST(Plan, WarnsWhenSiblingsMustBeUsed) {
  PlanRequest request;
  request.workers = 40;
  EXPECT_FALSE(planned(two_sockets(), request).warnings.empty());
}

TEST(Plan, GoesWhereTheNicIs) {
  Topology topology = kunpeng();
  topology.nics = {{"eth0", 2}, {"eth1", 0}};
  PlanRequest request;
  request.workers = 4;
  request.nics = {"eth0"};
  request.kernel_bypass = true;
  const Plan plan = planned(topology, request);
  for (const WorkerPlace& place : plan.workers) {
    EXPECT_EQ(place.numa_node, 2U);
    EXPECT_EQ(place.poll, PollMode::Busy);
    EXPECT_EQ(std::count(plan.control_cores.begin(), plan.control_cores.end(), place.core), 0);
  }
  EXPECT_TRUE(plan.warnings.empty());
  request.cores = {1, 2, 3, 4};
  EXPECT_EQ(planned(topology, request).warnings.size(), 4U);
}

TEST(Plan, PrefersIsolatedCoresAndKeepsTheLoopOffThem) {
  Topology topology = two_sockets();
  for (const unsigned core : {40U, 42U, 44U}) topology.cores[core].isolated = true;
  PlanRequest request;
  request.workers = 2;
  const Plan plan = planned(topology, request);
  EXPECT_EQ(cores_of(plan), (std::vector<unsigned>{40, 42}));
  EXPECT_EQ(std::count(plan.control_cores.begin(), plan.control_cores.end(), 44), 0);
  EXPECT_TRUE(plan.lane_cores.empty()) << "nobody has asked for lanes";
  request.lanes = 4;
  EXPECT_EQ(planned(topology, request).lane_cores, std::vector<unsigned>{44});
  EXPECT_NE(describe(planned(topology, request)).find("; crypto lanes on 44"), std::string::npos);
  EXPECT_TRUE(planned(two_sockets(), request).lane_cores.empty()) << "none is isolated";
  // Second threads of their cores do as well when those are what is isolated.
  topology = two_sockets();
  for (const unsigned core : {3U, 5U}) topology.cores[core].isolated = true;
  EXPECT_EQ(cores_of(planned(topology, request)), (std::vector<unsigned>{3, 5}));
}

TEST(Plan, LanesAreOfTheWorkersNodesInTurn) {
  Topology topology = two_sockets();
  for (const unsigned core : {10U, 12U, 14U, 40U, 42U}) topology.cores[core].isolated = true;
  PlanRequest request;
  request.workers = 2;
  request.cores = {42, 4};
  request.lanes = 4;
  const Plan plan = planned(topology, request);
  EXPECT_EQ(plan.nodes, (std::vector<unsigned>{1, 0}));
  EXPECT_EQ(plan.lane_cores, (std::vector<unsigned>{40, 10, 12, 14}));
}

TEST(Plan, InAContainerOfTwoCoresLeavesOneToTheLoop) {
  PlanRequest request;
  const Plan plan = planned(container(), request);
  EXPECT_EQ(cores_of(plan), std::vector<unsigned>{1});
  EXPECT_EQ(plan.control_cores, std::vector<unsigned>{0});
  EXPECT_EQ(plan.workers[0].poll, PollMode::Adaptive);
  EXPECT_EQ(describe(plan), "worker 0 on core 1 (node 0, adaptive); event loop on 0");
  request.poll = PollMode::Busy;
  EXPECT_EQ(planned(container(), request).workers[0].poll, PollMode::Busy);
  request.poll = PollMode::Auto;
  request.kernel_bypass = true;
  EXPECT_EQ(planned(container(), request).workers[0].poll, PollMode::Busy);
}

TEST(Plan, TwoWorkersOnTwoCoresShareWithTheLoopButNeverSpin) {
  PlanRequest request;
  request.workers = 2;
  const Plan plan = planned(container(), request);
  EXPECT_EQ(plan.control_cores, (std::vector<unsigned>{0, 1}));
  request.kernel_bypass = true;
  const Plan bypass = planned(container(), request);
  EXPECT_EQ(bypass.workers[0].poll, PollMode::Adaptive);
  ASSERT_EQ(bypass.warnings.size(), 1U);
  EXPECT_TRUE(contains(bypass.warnings[0], "adaptively"));
  request.poll = PollMode::Busy;
  const Error error = refused(container(), request);
  EXPECT_EQ(error.field, "workers.poll");
  EXPECT_TRUE(contains(error.message, "may use 0-1")) << error.message;
  request.cores = {0, 1};
  EXPECT_EQ(refused(container(), request).field, "workers.cores");
}

TEST(Plan, OneCoreIsSharedAndNeverSpunOn) {
  PlanRequest request;
  const Plan plan = planned(one_core(), request);
  EXPECT_EQ(cores_of(plan), std::vector<unsigned>{0});
  EXPECT_EQ(plan.control_cores, std::vector<unsigned>{0});
  EXPECT_EQ(plan.workers[0].poll, PollMode::Adaptive);
  request.poll = PollMode::Busy;
  EXPECT_EQ(refused(one_core(), request).field, "workers.poll");
}

TEST(Plan, AQuotaForbidsSpinning) {
  Topology topology = two_sockets();
  topology.quota_cores = 2;
  PlanRequest request;
  request.workers = 2;
  request.kernel_bypass = true;
  EXPECT_EQ(planned(topology, request).workers[0].poll, PollMode::Adaptive);
  request.poll = PollMode::Busy;
  EXPECT_TRUE(contains(refused(topology, request).message, "quota is 2"));
  request.workers = 1;
  EXPECT_EQ(planned(topology, request).workers[0].poll, PollMode::Busy);
}

TEST(Plan, HonoursAListOrSaysWhyNot) {
  PlanRequest request;
  request.workers = 2;
  request.cores = {33, 5};
  request.poll = PollMode::Busy;
  const Plan plan = planned(two_sockets(), request);
  EXPECT_EQ(cores_of(plan), (std::vector<unsigned>{33, 5}));
  EXPECT_EQ(plan.workers[0].numa_node, 1U);
  EXPECT_EQ(std::count(plan.control_cores.begin(), plan.control_cores.end(), 5), 0);

  request.cores = {5, 64};
  EXPECT_TRUE(contains(refused(two_sockets(), request).message, "core 64, but this process may"));
  request.cores = {5, 5};
  EXPECT_TRUE(contains(refused(two_sockets(), request).message, "twice"));
  request.cores = {5};
  const Error error = refused(two_sockets(), request);
  EXPECT_EQ(error.field, "workers.cores");
  EXPECT_TRUE(contains(error.message, "1 cores for 2 workers"));
}

TEST(Plan, RefusesWhatNoMachineCanDo) {
  PlanRequest request;
  request.workers = 3;
  const Error error = refused(container(), request);
  EXPECT_EQ(error.field, "workers.count");
  EXPECT_TRUE(contains(error.message, "may use 0-1")) << error.message;
  request.workers = 0;
  EXPECT_EQ(refused(container(), request).field, "workers.count");
  request.workers = 1;
  EXPECT_EQ(refused(Topology{}, request).field, "workers.cores");
}

TEST(CoreList, ReadsAndWritesTheKernelsForm) {
  EXPECT_EQ(parse_core_list("0-3,8").value(), (std::vector<unsigned>{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_core_list("7").value(), std::vector<unsigned>{7});
  EXPECT_TRUE(parse_core_list("").value().empty());
  for (const char* bad : {"a", "1-", "-1", "3-1", "1,", ",1", "1;2", "1--2", "0-99999", "1 2"}) {
    auto list = parse_core_list(bad);
    ASSERT_FALSE(list) << bad;
    EXPECT_EQ(list.error().field, "workers.cores");
  }
  EXPECT_EQ(format_core_list({8, 0, 2, 1}), "0-2,8");
  EXPECT_EQ(format_core_list({}), "none");
}

TEST(Thread, IsPinnedAndNamed) {
  std::thread([] {
    auto topology = discover_topology();
    ASSERT_TRUE(topology);
    const unsigned core = topology.value().cores.back().os_index;
    auto pinned = pin_this_thread(core);
    ASSERT_TRUE(pinned) << pinned.error().message;
    EXPECT_EQ(sched_getcpu(), static_cast<int>(core));
    EXPECT_FALSE(pin_this_thread(60'000U));
    name_this_thread("a name that is too long");
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof name);
    EXPECT_STREQ(name, "a name that is ");
  }).join();
}

}  // namespace
}  // namespace sluice
