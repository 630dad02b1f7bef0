// Traces: what they say of a packet is what happens to it, and nothing happens by them.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;

/// Two PDRs a direction, the second of which matches; meters and usage on all of them.
SessionSpec full_session() {
  SessionSpec s = plain_session(kTeid);
  s.name = "ue1";
  FilterSpec web, rest;
  web.protocol = 6;
  web.remote_ports = {{80, 90}};
  web.text = "permit out tcp from any 80-90 to assigned";
  rest.protocol = 17;
  rest.text = "permit out udp from any to assigned";
  QerSpec qer;
  qer.qfi = 9;
  qer.uplink_mbr = qer.downlink_mbr = 20'000;
  UrrSpec urr;
  urr.threshold[0] = 100'000'000;
  s.qers = {qer};
  s.urrs = {urr};
  for (PdrSpec& pdr : s.pdrs) {
    pdr.qers = {0};
    pdr.urrs = {0};
  }
  std::vector<PdrSpec> pdrs;
  for (PdrSpec pdr : s.pdrs) {
    pdr.id += 10;
    pdr.precedence = 10;
    pdr.filters = {web};
    pdrs.push_back(pdr);
  }
  for (PdrSpec pdr : s.pdrs) {
    pdr.filters = {rest};
    pdrs.push_back(pdr);
  }
  s.pdrs = pdrs;
  return s;
}

class TraceTest : public DatapathTest {
 protected:
  TraceResult trace(unsigned at, const Bytes& packet) {
    auto started = path_->traces().start(packet, static_cast<std::uint8_t>(at));
    if (!started) {
      ADD_FAILURE() << started.error().message;
      return {};
    }
    for (;;) {
      auto taken = path_->traces().take(started.value());
      collect_events();
      if (!taken) continue;
      if (*taken) return std::move(*taken).value();
      ADD_FAILURE() << taken->error().message;
      return {};
    }
  }
  /// All that a packet of the session may change.
  std::string state() {
    std::string bytes;
    const auto put = [&](const void* from, std::size_t n) {
      bytes.append(static_cast<const char*>(from), n);
    };
    Sessions& sessions = path_->sessions();
    const SessionView view = sessions.view(kSession);
    for (Flow* flow : view.flows) put(flow, sizeof(Flow));
    if (view.account != nullptr) put(view.account, view.account->bytes);
    const auto s = path_->statistics();
    for (const auto& port : s.ports) {
      for (const std::uint64_t n : {+port.counters.rx_packets, +port.counters.tx_packets}) {
        put(&n, sizeof(n));
      }
    }
    put(s.dropped.data(), sizeof(s.dropped));
    put(&s.created, sizeof(s.created));
    put(&s.held, sizeof(s.held));
    const std::uint32_t available = path_->pool().available();
    put(&available, sizeof(available));
    return bytes;
  }
  static std::string all(const TraceResult& result) {
    std::string text;
    for (const TraceStep& step : result.steps) text += step.stage + ": " + step.decision + "\n";
    return text;
  }
  static void expect_says(const TraceResult& result, const std::string& what) {
    EXPECT_NE(all(result).find(what), std::string::npos) << what << " is not in\n" << all(result);
  }
};

TEST_F(TraceTest, SaysEachDecisionWithSessionAndRule) {
  ASSERT_EQ(create(kSession, full_session()), PrepareStatus::Ok);
  const TraceResult up = trace(0, gtpu(kTeid, ipv4({.bytes = 1400})));
  EXPECT_EQ(up.verdict, "forwarded");
  EXPECT_EQ(up.drop_reason, "");
  expect_says(up, "receive: worker 0, on n3, 1,444 bytes");
  expect_says(up, "parse: G-PDU with TEID");
  expect_says(up, "QFI 9; inside UDP 10.60.0.7:4000 to 203.0.113.9:443, 1,400 bytes");
  expect_says(up, " at 10.0.0.1 is session ue1, uplink");
  expect_says(up, "match: PDR 11 (precedence 10) passed over: protocol is 17, not 6");
  expect_says(up,
              "match: PDR 1 (precedence 100) matched filter 1 'permit out udp from any to "
              "assigned'");
  expect_says(up, "police: QER 1: gate open, 20000 kbit/s: 124 kB of 125 kB of tokens left");
  expect_says(up, "account: URR 1: 1,400 bytes since its last report");
  expect_says(up, "threshold 100 MB");
  expect_says(up, "forward: FAR 1: plain IP, out on n6");
  const TraceResult down =
      trace(1, ipv4({.source = kServer, .destination = kUe, .source_port = 443}));
  expect_says(down, "lookup: UE address 10.60.0.7 is session ue1, downlink");
  expect_says(down, "forward: FAR 2: into tunnel 10.0.0.2 TEID 0x1234, QFI 9, out on n3");
  for (const TraceStep& step : down.steps) {
    EXPECT_EQ(step.rule == 2 && step.stage == "forward", step.stage == "forward");
  }
}

TEST_F(TraceTest, OutputIsWhatTheSamePacketBecomes) {
  ASSERT_EQ(create(kSession, full_session()), PrepareStatus::Ok);
  for (const unsigned at : {0u, 1u}) {
    const Bytes packet =
        at == 0 ? gtpu(kTeid, ipv4({})) : ipv4({.source = kServer, .destination = kUe});
    const TraceResult traced = trace(at, packet);
    ASSERT_EQ(traced.outputs.size(), 1u);
    EXPECT_EQ(traced.outputs[0].port, 1 - at);
    const auto sent = send(at, packet);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(traced.outputs[0].bytes, sent[0]);
  }
}

TEST_F(TraceTest, LeavesEverythingAsItWas) {
  SessionSpec spec = full_session();
  // The next packet reaches the threshold: a report would be sent.
  spec.urrs[0].threshold[0] = 200;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  send(0, gtpu(kTeid, ipv4({.bytes = 150})));
  send(1, ipv4({.source = kServer, .destination = kUe, .bytes = 40}));
  collect_events();
  events_.clear();
  const std::string before = state();
  expect_says(trace(0, gtpu(kTeid, ipv4({.bytes = 100}))), "would send a usage report of URR 1");
  EXPECT_EQ(state(), before);
  trace(1, ipv4({.source = kServer, .destination = kUe, .bytes = 1000}));
  EXPECT_EQ(state(), before);
  trace(0, gtpu(kTeid + 1, ipv4({})));
  EXPECT_EQ(state(), before);
  EXPECT_TRUE(collect(0).empty());
  EXPECT_TRUE(collect(1).empty());
  EXPECT_TRUE(events_.empty());
}

TEST_F(TraceTest, SaysWhyAPacketIsDropped) {
  SessionSpec spec = full_session();
  spec.qers[0].downlink_closed = true;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  TraceResult result = trace(0, gtpu(kTeid ^ 0x10000000, ipv4({})));
  EXPECT_EQ(result.verdict, "dropped");
  EXPECT_EQ(result.drop_reason, "unknown_teid");
  expect_says(result, "lookup: dropped as unknown_teid: no session has TEID");
  result = trace(0, gtpu(kTeid, ipv4({.source = kUe + 1})));
  expect_says(result,
              "match: dropped as spoofed_source: source 10.60.0.8, but the UE has 10.60.0.7");
  result = trace(0, gtpu(kTeid, ipv4({.protocol = 132})));
  EXPECT_EQ(result.drop_reason, "no_pdr");
  expect_says(result, "PDR 1 (precedence 100) passed over: protocol is 132, not 17");
  result = trace(1, ipv4({.source = kServer, .destination = kUe}));
  EXPECT_EQ(result.drop_reason, "gate_closed");
  expect_says(result, "the gate of QER 1 is closed");
  Bytes cut = gtpu(kTeid, ipv4({}));
  cut.resize(30);
  result = trace(0, cut);
  EXPECT_EQ(result.verdict, "dropped");
  EXPECT_TRUE(result.outputs.empty());
}

TEST_F(TraceTest, TokensThatDoNotSuffice) {
  SessionSpec spec = full_session();
  spec.qers[0].uplink_mbr = 1;  // 3,000 bytes deep, and next to nothing comes in
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const Bytes packet = gtpu(kTeid, ipv4({.bytes = 1400}));
  EXPECT_EQ(send(0, packet).size(), 1u);
  EXPECT_EQ(trace(0, packet).verdict, "forwarded");
  EXPECT_EQ(send(0, packet).size(), 1u) << "a trace takes no tokens";
  const TraceResult result = trace(0, packet);
  EXPECT_EQ(result.drop_reason, "mbr_exceeded");
  // How much has come in meanwhile is the clock's affair.
  expect_says(result, "1 kbit/s: not enough, ");
  expect_says(result, " bytes of 3,000 bytes of tokens left");
}

TEST_F(TraceTest, HoldsNothing) {
  SessionSpec spec = full_session();
  spec.fars[1].action = record::far::kBuffer;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const std::string before = state();
  const TraceResult result = trace(1, ipv4({.source = kServer, .destination = kUe}));
  EXPECT_EQ(result.verdict, "held");
  expect_says(result, "hold: FAR 2 buffers: held until new rules let it go");
  EXPECT_EQ(state(), before);
  EXPECT_EQ(path_->statistics().held, 0u);
}

TEST_F(TraceTest, EchoIsAnsweredInTheTraceAlone) {
  Bytes echo(28 + 12);
  wire::write_ipv4(echo.data(), {.source = kGnb, .destination = kN3, .total_length = 40});
  wire::write_udp(echo.data() + 20, 2152, 2152, 20);
  wire::store32(echo.data() + 28, 0x32010004);
  wire::store16(echo.data() + 36, 7);
  const TraceResult result = trace(0, echo);
  EXPECT_EQ(result.verdict, "answered");
  ASSERT_EQ(result.outputs.size(), 1u);
  EXPECT_EQ(wire::load32(result.outputs[0].bytes.data() + 16), kGnb);
  EXPECT_EQ(path_->statistics().created, 0u);
}

TEST_F(TraceTest, RefusesWhatIsNoPacketAndTooMany) {
  EXPECT_EQ(path_->traces().start({}, 0).error().field, "packet");
  EXPECT_EQ(path_->traces().start(Bytes(kChunkBytes), 0).error().field, "packet");
  for (unsigned n = 0; n < Traces::kMax; ++n) {
    ASSERT_TRUE(path_->traces().start(ipv4({}), 1));
  }
  EXPECT_FALSE(path_->traces().start(ipv4({}), 1));
}

class TraceOfWorkersTest : public TraceTest {
 protected:
  unsigned workers() const override {
    auto topology = discover_topology();
    return topology && topology.value().cores.size() > 1 ? 2 : 1;
  }
};

TEST_F(TraceOfWorkersTest, GoesOnWithTheOwner) {
  SessionSpec spec = full_session();
  spec.ue_prefix = kUePrefix;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);  // bucket 3: worker 1 of 2
  const TraceResult result = trace(1, ipv4({.source = kServer, .destination = kUe}));
  EXPECT_EQ(result.verdict, "forwarded");
  if (workers() == 2) {
    const TraceResult result6 = trace(1, ipv6(0x20010db800000000, kUePrefix, 53));
    expect_says(result6, "UE address fd00:60:0:7::2 is session ue1 of worker 1: handed over to it");
    expect_says(result, "UE address 10.60.0.7 is session ue1 of worker 1: handed over to it");
    expect_says(result, "worker 1 takes it over");
  }
  EXPECT_EQ(path_->statistics().held, 0u);
}

TEST_F(TraceOfWorkersTest, RulesThatChangeMeanwhileAreTracedAgain) {
  SessionSpec spec = full_session();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  for (unsigned n = 0; n < 20; ++n) {
    auto started = path_->traces().start(gtpu(kTeid, ipv4({})), 0);
    ASSERT_TRUE(started);
    spec.qers[0].uplink_mbr = 30'000 + n;
    ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
    std::optional<Result<TraceResult>> taken;
    while (!taken) taken = path_->traces().take(started.value());
    ASSERT_TRUE(*taken);
    expect_says(taken->value(), std::to_string(30'000 + n) + " kbit/s");
  }
}

}  // namespace
}  // namespace sluice::test
