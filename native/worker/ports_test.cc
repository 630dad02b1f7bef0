// As many ports as a node may have: the highest ones are ports like any other, in the masks of
// rules, of filters and of captures.
#include "worker/sight/capture_fixture_test.h"

namespace sluice::test {
namespace {

constexpr unsigned kLast = kPortsMax - 1, kMiddle = kPortsMax / 2;
const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;

std::string instance_of(unsigned port) { return "instance" + std::to_string(port); }

/// Port 0 is N3, each other one an N6 with an instance of its own.
class Ports : public Capturing<DatapathTest> {
 protected:
  void configure(DatapathConfig& config) const override {
    const PortConfig n6 = config.ports[1];
    config.ports.resize(1);
    while (config.ports.size() < ports_) {
      const auto index = static_cast<unsigned>(config.ports.size());
      config.ports.push_back(n6);
      config.ports.back().name = "n6-" + std::to_string(index);
      config.ports.back().network_instances = {instance_of(index)};
    }
  }
  static SessionSpec session_at(unsigned port) {
    SessionSpec spec = plain_session(kTeid);
    spec.pdrs[1].instance = spec.fars[0].instance = instance_of(port);
    return spec;
  }
  /// Sends a packet in at one port; how many come out of another.
  std::size_t through(unsigned from, const Bytes& bytes, unsigned to) {
    EXPECT_TRUE(inject(from, bytes));
    path_->step();
    conserve();
    return collect(to).size();
  }
  static Bytes down(std::uint16_t source_port = 4000) {
    return ipv4({.source = kServer, .destination = kUe, .source_port = source_port});
  }

  unsigned ports_ = kPortsMax;
};

TEST_F(Ports, EachCarriesASessionBothWaysAndNoOtherDelivers) {
  for (unsigned port = 1; port < kPortsMax; ++port) {
    ASSERT_EQ(create(kSession, session_at(port)), PrepareStatus::Ok) << port;
    EXPECT_EQ(through(0, gtpu(kTeid, ipv4({})), port), 1u) << port;
    EXPECT_EQ(through(port, down(), 0), 1u) << port;
    const std::uint64_t before = dropped(DropReason::UnknownUe);
    for (unsigned other = 1; other < kPortsMax; ++other) {
      if (other != port) {
        EXPECT_EQ(through(other, down(), 0), 0u) << other;
      }
    }
    EXPECT_EQ(dropped(DropReason::UnknownUe) - before, kPortsMax - 2u) << port;
    ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  }
}

TEST_F(Ports, RulesOfOneSessionTellHighPortsApart) {
  // The first rule is of the last port alone and drops; the second is of the middle one.
  SessionSpec spec = session_at(kMiddle);
  PdrSpec last = spec.pdrs[1];
  last.id = 3;
  last.precedence = 1;
  last.instance = instance_of(kLast);
  last.far = 2;
  spec.pdrs[1].precedence = 2;
  spec.pdrs.push_back(last);
  FarSpec drop;
  drop.id = 3;
  drop.action = record::far::kDrop;
  spec.fars.push_back(drop);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(through(kMiddle, down(), 0), 1u);
  const std::uint64_t before = dropped(DropReason::FarDrop);
  EXPECT_EQ(through(kLast, down(), 0), 0u);
  EXPECT_EQ(dropped(DropReason::FarDrop), before + 1);
}

TEST_F(Ports, TheLastOneIsCaptured) {
  ASSERT_EQ(create(kSession, session_at(kLast)), PrepareStatus::Ok);
  const unsigned capture = start({.ports = PortMask{1u << kLast}});
  EXPECT_EQ(through(kLast, down(), 0), 1u);
  EXPECT_EQ(through(0, gtpu(kTeid, ipv4({})), kLast), 1u);
  const CaptureRead end = stop(capture);
  EXPECT_EQ(end.lost, 0u);
  EXPECT_EQ(frames(), (std::vector<Frame>{{kLast, down(), down().size()},
                                          {kLast, ipv4({}), ipv4({}).size()}}));
}

TEST_F(Ports, OneMoreIsRefused) {
  ports_ = kPortsMax + 1;
  DatapathConfig config;
  config.ports.resize(1);
  config.ports[0].driver = "memory";
  config.ports.push_back(config.ports[0]);
  config.ports[1].role = PortRole::Core;
  configure(config);
  const auto made = Datapath::create(std::move(config));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().field, "ports");
  EXPECT_EQ(made.error().message, "at most 16 ports");
}

}  // namespace
}  // namespace sluice::test
