// GTP-U messages about tunnels: End Markers, Error Indications, extension headers.
#include <chrono>
#include <thread>

#include "base/topology.h"
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;

class SignallingTest : public DatapathTest {
 protected:
  void configure(DatapathConfig& config) const override { config.answers_per_second = 1000; }
  static Bytes end_marker(std::uint32_t teid) {
    Bytes m(wire::kEndMarkerBytes);
    wire::write_end_marker(m.data(), Teid{teid});
    return gtpu_message(kGnb, m);
  }
  static Bytes error_indication(std::uint32_t source, std::uint32_t peer, std::uint32_t teid) {
    Bytes m(wire::kErrorIndicationBytesMax);
    std::byte address[4];
    wire::store32(address, peer);
    m.resize(wire::write_error_indication(m.data(), 1, Teid{teid}, address, 4));
    return gtpu_message(source, m);
  }
  static std::uint8_t type(const Bytes& b) { return wire::load8(b.data() + 29); }
  static std::uint32_t teid_of(const Bytes& b) { return wire::load32(b.data() + 32); }
  static SessionSpec towards(std::uint32_t teid, std::uint32_t peer = kGnb) {
    SessionSpec spec = plain_session(kTeid);
    spec.fars[1].teid = teid;
    spec.fars[1].ipv4 = peer;
    return spec;
  }
  static Bytes downlink() { return ipv4({.source = kServer, .destination = kUe}); }
  void settle() {
    for (unsigned n = 0; n < 100; ++n) path_->step();
  }
};

TEST_F(SignallingTest, OneEndMarkerBetweenTheOldPathAndTheNew) {
  ASSERT_EQ(create(kSession, towards(0x11)), PrepareStatus::Ok);
  for (unsigned n = 0; n < 3; ++n) ASSERT_TRUE(inject(1, downlink()));
  path_->step();
  ASSERT_EQ(update(kSession, towards(0x22, kGnb + 1), kOperationEndMarkers), PrepareStatus::Ok);
  for (unsigned n = 0; n < 3; ++n) ASSERT_TRUE(inject(1, downlink()));
  path_->step();
  const auto out = collect(0);
  ASSERT_EQ(out.size(), 7u);
  for (unsigned n = 0; n < 7; ++n) {
    EXPECT_EQ(type(out[n]), n == 3 ? wire::kGtpuEndMarker : wire::kGtpuGpdu) << n;
    EXPECT_EQ(teid_of(out[n]), n <= 3 ? 0x11u : 0x22u);
    EXPECT_EQ(wire::load32(out[n].data() + 16), n <= 3 ? kGnb : kGnb + 1);
  }
  EXPECT_EQ(out[3].size(), 36u);
  EXPECT_TRUE(wire::ipv4_checksum_good(out[3].data(), 20));
  conserve();
}

TEST_F(SignallingTest, EachTunnelThatEndsGetsOneAndOnlyIfAsked) {
  SessionSpec spec = towards(0x11);
  // A second PDR and FAR into the same tunnel, a third into another that stays.
  for (unsigned n = 0; n < 2; ++n) {
    PdrSpec pdr = spec.pdrs[1];
    pdr.id = 10 + n;
    pdr.far = 2 + n;
    spec.pdrs.push_back(pdr);
    FarSpec far = spec.fars[1];
    far.id = 10 + n;
    if (n == 1) far.teid = 0x99;
    spec.fars.push_back(far);
  }
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  SessionSpec next = spec;
  next.fars[1].teid = next.fars[2].teid = 0x22;
  ASSERT_EQ(update(kSession, next), PrepareStatus::Ok);
  path_->step();
  EXPECT_TRUE(collect(0).empty());
  ASSERT_EQ(update(kSession, spec, kOperationEndMarkers), PrepareStatus::Ok);
  auto out = collect(0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(teid_of(out[0]), 0x22u);
  ASSERT_EQ(update(kSession, spec, kOperationEndMarkers), PrepareStatus::Ok);
  EXPECT_TRUE(collect(0).empty()) << "nothing changed";
  // A FAR that goes, or buffers, leaves its tunnel too.
  next = spec;
  for (unsigned far : {1u, 2u, 3u}) next.fars[far].action = record::far::kBuffer;
  for (unsigned far : {1u, 2u, 3u}) next.fars[far].tunnel = false;
  ASSERT_EQ(update(kSession, next, kOperationEndMarkers), PrepareStatus::Ok);
  out = collect(0);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(teid_of(out[0]) + teid_of(out[1]), 0x11u + 0x99u);
}

TEST_F(SignallingTest, HeldPacketsTakeTheNewPathBehindTheEndMarker) {
  ASSERT_EQ(create(kSession, towards(0x11)), PrepareStatus::Ok);
  EXPECT_EQ(send(1, downlink()).size(), 1u);
  SessionSpec buffers = towards(0x11);
  buffers.fars[1] = FarSpec{};
  buffers.fars[1].id = 2;
  buffers.fars[1].action = record::far::kBuffer;
  ASSERT_EQ(update(kSession, buffers, kOperationEndMarkers), PrepareStatus::Ok);
  EXPECT_EQ(send(1, downlink()).size(), 1u) << "the End Marker, the packet is held";
  ASSERT_EQ(update(kSession, towards(0x22), kOperationEndMarkers), PrepareStatus::Ok);
  settle();
  const auto out = collect(0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(teid_of(out[0]), 0x22u);
}

TEST_F(SignallingTest, EndMarkersPassThroughIndirectTunnels) {
  SessionSpec spec = plain_session(kTeid);
  spec.fars[0] = spec.fars[1];
  spec.fars[0].id = 1;
  spec.fars[0].teid = 0x5555;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  // In one burst with its packets: it leaves behind them.
  ASSERT_TRUE(inject(0, gtpu(kTeid, ipv4({}))));
  ASSERT_TRUE(inject(0, end_marker(kTeid)));
  ASSERT_TRUE(inject(0, gtpu(kTeid, ipv4({}))));
  path_->step();
  const auto out = collect(0);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(type(out[2]), wire::kGtpuEndMarker);
  EXPECT_EQ(teid_of(out[2]), 0x5555u);
  EXPECT_EQ(dropped(DropReason::EndMarker), 1u);
  conserve();
  expect_drop(0, end_marker(kTeid + 1), DropReason::EndMarker);
}

TEST_F(SignallingTest, EndMarkersOfN3EndHere) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  expect_drop(0, end_marker(kTeid), DropReason::EndMarker);
}

TEST_F(SignallingTest, EndMarkersQueueBehindHeldPackets) {
  SessionSpec spec = plain_session(kTeid);
  spec.fars[0].action = record::far::kBuffer;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_TRUE(send(0, gtpu(kTeid, ipv4({}))).empty());
  EXPECT_TRUE(send(0, end_marker(kTeid)).empty());
  EXPECT_EQ(path_->statistics().held, 2u);
  spec.fars[0] = spec.fars[1];
  spec.fars[0].id = 1;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  settle();
  const auto out = collect(0);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(type(out[0]), wire::kGtpuGpdu);
  EXPECT_EQ(type(out[1]), wire::kGtpuEndMarker);
}

TEST_F(SignallingTest, UnknownTeidsAreAnsweredWithErrorIndications) {
  const auto out = send(0, gtpu(0x03abcdef, ipv4({})));
  ASSERT_EQ(out.size(), 1u);
  const std::byte* p = out[0].data();
  EXPECT_TRUE(wire::ipv4_checksum_good(p, 20));
  EXPECT_EQ(wire::load32(p + 12), kN3);
  EXPECT_EQ(wire::load32(p + 16), kGnb);
  EXPECT_EQ(wire::load16(p + 22), 2152);
  wire::GtpuHeader header{};
  ASSERT_EQ(wire::parse_gtpu(p + 28, out[0].size() - 28, header), DropReason::None);
  EXPECT_EQ(header.type, wire::kGtpuErrorIndication);
  EXPECT_TRUE(header.has_sequence);
  EXPECT_EQ(static_cast<std::uint32_t>(header.teid), 0u);
  wire::ErrorIndication said{};
  ASSERT_EQ(
      wire::parse_error_indication(p + 28 + header.payload_offset, header.payload_length, said),
      DropReason::None);
  EXPECT_EQ(static_cast<std::uint32_t>(said.teid), 0x03abcdefu);
  EXPECT_EQ(wire::load32(reinterpret_cast<const std::byte*>(said.address)), kN3);
  EXPECT_EQ(dropped(DropReason::UnknownTeid), 1u);
  conserve();
}

/// Peers know N3 by another address: a NAT stands between.
class AdvertisedTest : public SignallingTest {
 protected:
  static constexpr std::uint32_t kOutside = 0xcb007109;
  void configure(DatapathConfig& config) const override {
    SignallingTest::configure(config);
    config.ports[0].advertise.assign(config.ports[0].addresses.size(), v4(kOutside));
  }
};

TEST_F(AdvertisedTest, ErrorIndicationsNameTheAddressThatThePeerSentTo) {
  const auto out = send(0, gtpu(0x03abcdef, ipv4({})));
  ASSERT_EQ(out.size(), 1u);
  const std::byte* p = out[0].data();
  EXPECT_EQ(wire::load32(p + 12), kN3) << "the NAT changes it";
  wire::GtpuHeader header{};
  ASSERT_EQ(wire::parse_gtpu(p + 28, out[0].size() - 28, header), DropReason::None);
  wire::ErrorIndication said{};
  ASSERT_EQ(
      wire::parse_error_indication(p + 28 + header.payload_offset, header.payload_length, said),
      DropReason::None);
  EXPECT_EQ(wire::load32(reinterpret_cast<const std::byte*>(said.address)), kOutside);
}

TEST_F(AdvertisedTest, TheAddressIsTheNodesOwnToUes) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  const auto to = [](std::uint16_t port) {
    return gtpu(kTeid, ipv4({.destination = kOutside, .destination_port = port}));
  };
  expect_drop(0, to(2152), DropReason::NestedGtpu);
  expect_drop(0, to(443), DropReason::OwnAddress);
}

TEST_F(SignallingTest, AMissInsideASessionIsSilent) {
  SessionSpec spec = plain_session(kTeid);
  spec.pdrs[0].qfis = 1ull << 5;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::NoPdr);
  expect_drop(0, gtpu(0, ipv4({})), DropReason::UnknownTeid);
}

TEST_F(SignallingTest, ErrorIndicationsReportATunnelOnce) {
  ASSERT_EQ(create(kSession, towards(0x11)), PrepareStatus::Ok);
  expect_drop(0, error_indication(kGnb + 5, kGnb, 0x11), DropReason::ErrorIndicationForged);
  expect_drop(0, error_indication(kGnb + 5, kGnb + 5, 0x11), DropReason::ErrorIndication);
  expect_drop(0, error_indication(kGnb, kGnb, 0x12), DropReason::ErrorIndication);
  collect_events();
  EXPECT_TRUE(events_.empty()) << "of another peer, or another tunnel";
  for (unsigned n = 0; n < 3; ++n) {
    expect_drop(0, error_indication(kGnb, kGnb, 0x11), DropReason::ErrorIndication);
  }
  collect_events();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].kind, EventKind::ErrorIndication);
  EXPECT_EQ(events_[0].session, kSession);
  EXPECT_EQ(events_[0].id, 0x11u);
  EXPECT_EQ(events_[0].address[0], kGnb);
  // Other rules change, the FAR stays: no second report. Then it changes.
  SessionSpec spec = towards(0x11);
  spec.pdrs[0].precedence = 7;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  expect_drop(0, error_indication(kGnb, kGnb, 0x11), DropReason::ErrorIndication);
  ASSERT_EQ(update(kSession, towards(0x22)), PrepareStatus::Ok);
  expect_drop(0, error_indication(kGnb, kGnb, 0x11), DropReason::ErrorIndication);
  collect_events();
  EXPECT_EQ(events_.size(), 1u);
  expect_drop(0, error_indication(kGnb, kGnb, 0x22), DropReason::ErrorIndication);
  collect_events();
  EXPECT_EQ(events_.size(), 2u);
}

TEST_F(SignallingTest, ATunnelThatAnotherDirectionTakesOverIsNotReportedAgain) {
  ASSERT_EQ(create(kSession, towards(0x11)), PrepareStatus::Ok);
  expect_drop(0, error_indication(kGnb, kGnb, 0x11), DropReason::ErrorIndication);
  SessionSpec turned = towards(0x11);
  turned.pdrs[0].far = 1;
  turned.pdrs[1].far = 0;
  ASSERT_EQ(update(kSession, turned), PrepareStatus::Ok);
  expect_drop(0, error_indication(kGnb, kGnb, 0x11), DropReason::ErrorIndication);
  collect_events();
  EXPECT_EQ(events_.size(), 1u);
}

TEST_F(SignallingTest, UnknownRequiredExtensionsAreAnswered) {
  Bytes m(8 + 4 + 4 + 64);
  wire::store16(m.data(), 0x34ff);
  wire::store16(m.data() + 2, static_cast<std::uint16_t>(m.size() - 8));
  wire::store32(m.data() + 4, kTeid);
  wire::store32(m.data() + 8, 0xc7);
  wire::store32(m.data() + 12, 0x01000000);
  const auto out = send(0, gtpu_message(kGnb, m));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(type(out[0]), wire::kGtpuSupportedExtensions);
  EXPECT_EQ(dropped(DropReason::GtpuUnknownExtension), 1u);
  Bytes notification(wire::kSupportedExtensionsBytes);
  wire::write_supported_extensions(notification.data(), 1);
  expect_drop(0, gtpu_message(kGnb, notification), DropReason::ExtensionsNotification);
}

/// Two workers where there are two cores; every packet comes in at the wrong queue.
class SignallingWorkersTest : public SignallingTest {
 protected:
  unsigned workers() const override {
    auto topology = discover_topology();
    return topology && topology.value().cores.size() > 1 ? 2 : 1;
  }
  /// Sends a packet to the worker that does not own kSession, and waits for its verdict.
  void hand_in(const Bytes& bytes, DropReason reason) {
    const std::uint64_t before = dropped(reason);
    const unsigned owner = (kSession / 64) % workers();
    ASSERT_TRUE(inject(0, bytes, workers() - 1 - owner));
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (dropped(reason) == before) {
      ASSERT_LT(std::chrono::steady_clock::now(), patience) << "packets are stuck";
      std::this_thread::yield();
    }
  }
};

TEST_F(SignallingWorkersTest, TheOwnerReportsAndPassesOn) {
  SessionSpec spec = towards(0x11);
  spec.fars[0] = spec.fars[1];
  spec.fars[0].id = 1;
  spec.fars[0].teid = 0x5555;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  for (unsigned n = 0; n < 2; ++n) {
    hand_in(error_indication(kGnb, kGnb, 0x11), DropReason::ErrorIndication);
  }
  collect_events();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].session, kSession);
  hand_in(end_marker(kTeid), DropReason::EndMarker);
  path_->stop();
  EXPECT_EQ(path_->statistics().gtpu.end_markers_sent, 1u);
}

class LimitedTest : public SignallingTest {
 protected:
  void configure(DatapathConfig& config) const override { config.answers_per_second = 0; }
};
TEST_F(LimitedTest, WhatTheLimitForbidsIsCounted) {
  expect_drop(0, gtpu(0x03abcdef, ipv4({})), DropReason::UnknownTeid);
  EXPECT_EQ(path_->statistics().gtpu.answers_suppressed, 1u);
}

class QuietTest : public SignallingTest {
 protected:
  void configure(DatapathConfig& config) const override {
    SignallingTest::configure(config);
    config.answers_quiet = 3'600'000'000'000;
  }
};
TEST_F(QuietTest, NoErrorIndicationRightAfterTheStart) {
  expect_drop(0, gtpu(0x03abcdef, ipv4({})), DropReason::UnknownTeid);
  EXPECT_EQ(path_->statistics().gtpu.error_indications_sent, 0u);
  EXPECT_EQ(path_->statistics().gtpu.answers_suppressed, 1u);
}

}  // namespace
}  // namespace sluice::test
