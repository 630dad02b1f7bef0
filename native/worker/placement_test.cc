// Where memory is, on a machine whose workers are on several NUMA nodes.
#include "memory/page_nodes.h"
#include "worker/workers_fixture_test.h"

namespace sluice::test {
namespace {

/// Of each node one core, at most two.
std::vector<unsigned> a_core_of_each_node() {
  auto topology = discover_topology();
  std::vector<unsigned> cores, nodes;
  if (!topology) return cores;
  for (const Core& core : topology.value().cores) {
    if (nodes.size() == 2 || std::count(nodes.begin(), nodes.end(), core.numa_node) != 0) continue;
    nodes.push_back(core.numa_node);
    cores.push_back(core.os_index);
  }
  return cores;
}

class PlacementTest : public WorkersTest {
 protected:
  void SetUp() override {
    if (a_core_of_each_node().size() < 2) GTEST_SKIP() << "one NUMA node";
    WorkersTest::SetUp();
  }
  void configure(DatapathConfig& config) const override { config.cores = a_core_of_each_node(); }
  unsigned node_of_worker(unsigned w) const {
    return path_->workers()[w]->config().place.numa_node;
  }
  static unsigned node_of(const void* memory) {
    const auto nodes = nodes_of_pages(static_cast<const std::byte*>(memory), 1, 1);
    return nodes.empty() ? ~0u : nodes.begin()->first;
  }
};

TEST_F(PlacementTest, AWorkersPacketsAndHotLinesAreOfItsNode) {
  EXPECT_TRUE(path_->warnings().empty()) << path_->warnings().front();
  const Placement placement = path_->placement();
  EXPECT_EQ(placement.packet_pages.size(), 2u);
  for (unsigned n : {0u, kBuckets - 1}) {
    ASSERT_EQ(create(session(n), plain_session(teid(n), ue(n))), PrepareStatus::Ok);
    const unsigned owner = path_->bucket_owners()[n];
    EXPECT_EQ(node_of(&path_->sessions().flows(Direction::Uplink)[session(n)]),
              node_of_worker(owner));
  }
  EXPECT_NE(path_->bucket_owners()[0], path_->bucket_owners()[kBuckets - 1]);
}

}  // namespace
}  // namespace sluice::test
