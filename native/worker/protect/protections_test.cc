// Packets under protections: sealed behind a FAR, opened before a PDI, and what must not pass.
// One packet path plays both ends: what it seals for its own N3 address is what comes back.
#include "wire/checksum.h"
#include "worker/protect/protections_fixture_test.h"
#include "worker/sight/capture_fixture_test.h"

namespace sluice::test {
namespace {

/// By workers themselves, and by so many crypto lanes.
class ProtectionsTest : public DatapathTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  void configure(DatapathConfig& config) const override { config.lanes = GetParam(); }
  void set(const ProtectionSettings& settings) {
    Status status = path_->protections().set(settings);
    ASSERT_TRUE(status) << status.error().message;
    ASSERT_TRUE(path_->protections().settled());
  }
  void set_up_two() {
    ASSERT_EQ(create(kFirst, first_session()), PrepareStatus::Ok);
    ASSERT_EQ(create(kSecond, second_session()), PrepareStatus::Ok);
  }
  Bytes seal(const Bytes& inner) {
    auto out = send(0, gtpu(kFirstTeid, inner));
    EXPECT_EQ(out.size(), 1u);
    return out.empty() ? Bytes{} : out[0];
  }
};

TEST_P(ProtectionsTest, WhatIsSealedIsOpened) {
  using crypto::EspSuite;
  for (const EspSuite suite : {EspSuite::Sm4Gcm16, EspSuite::Sm4CbcSm3_96, EspSuite::Sm4CbcSm3_128,
                               EspSuite::Sm4CbcSm3_256}) {
    for (const bool in_udp : {false, true}) {
      ProtectionSettings settings = protection();
      settings.suite = suite;
      settings.in_udp = in_udp;
      set(settings);
      set_up_two();
      for (const std::uint16_t bytes : {28, 64, 65, 1400, 1500}) {
        const Bytes inner = ipv4({.bytes = bytes, .tos = 0xb8});
        const Bytes esp = seal(inner);
        ASSERT_GT(esp.size(), inner.size() + 44);
        const std::byte* p = esp.data();
        EXPECT_TRUE(wire::ipv4_checksum_good(p, 20));
        EXPECT_EQ(wire::load16(p + 2), esp.size());
        EXPECT_EQ(wire::load8(p + 9), in_udp ? 17 : 50);
        if (in_udp) {
          EXPECT_EQ(wire::load32(p + 20), 4500u << 16 | 4500u);
          EXPECT_EQ(wire::load16(p + 24), esp.size() - 20);
        }
        EXPECT_EQ(wire::load32(p + (in_udp ? 28 : 20)), kSpi);
        EXPECT_EQ(std::search(esp.begin(), esp.end(), inner.begin(), inner.begin() + 20),
                  esp.end());
        const auto out = send(0, esp);
        ASSERT_EQ(out.size(), 1u) << bytes;
        EXPECT_TRUE(out[0] == inner);
      }
      ASSERT_EQ(remove(kFirst), PrepareStatus::Ok);
      ASSERT_EQ(remove(kSecond), PrepareStatus::Ok);
      ASSERT_TRUE(path_->protections().remove(kNumber));
    }
  }
  conserve();
}

TEST_P(ProtectionsTest, OverIpv6) {
  ProtectionSettings settings = protection();
  settings.local = settings.peer = v6(0xfd000000000000aa);
  for (const bool in_udp : {false, true}) {
    settings.in_udp = in_udp;
    set(settings);
    set_up_two();
    const Bytes inner = ipv4({});
    const Bytes esp = seal(inner);
    ASSERT_GT(esp.size(), 100u);
    EXPECT_EQ(wire::load8(esp.data()) >> 4, 6);
    EXPECT_EQ(wire::load16(esp.data() + 4), esp.size() - 40);
    const auto out = send(0, esp);
    ASSERT_EQ(out.size(), 1u);
    EXPECT_TRUE(out[0] == inner);
    ASSERT_EQ(remove(kFirst), PrepareStatus::Ok);
    ASSERT_EQ(remove(kSecond), PrepareStatus::Ok);
    ASSERT_TRUE(path_->protections().remove(kNumber));
  }
}

TEST_P(ProtectionsTest, PlainIpTowardsN6AndBack) {
  ProtectionSettings settings = protection();
  set(settings);
  SessionSpec spec = plain_session(kFirstTeid);
  spec.fars[0].protection = kNumber;
  ASSERT_EQ(create(kFirst, spec), PrepareStatus::Ok);
  const Bytes esp = seal(ipv4({}));
  ASSERT_GT(esp.size(), 64u);
  EXPECT_EQ(wire::load8(esp.data() + 9), 50);
  // The other way: what came back sealed is for the UE.
  spec.pdrs[1].protection = kNumber;
  spec.fars[0].protection = 0;
  ASSERT_EQ(update(kFirst, spec), PrepareStatus::Ok);
  expect_drop(1, ipv4({.source = kServer, .destination = kUe}), DropReason::Unprotected);
}

TEST_P(ProtectionsTest, ManyAtOnceAreAllOpened) {
  set(protection());
  set_up_two();
  std::vector<Bytes> sealed;
  for (unsigned i = 0; i < 300; ++i) sealed.push_back(seal(ipv4({})));
  for (const Bytes& esp : sealed) ASSERT_TRUE(inject(0, esp));
  std::size_t opened = 0;
  // A full burst leaves packets inside for the next turn, which come out while others are opened.
  for (unsigned turn = 0; turn < 20; ++turn) {
    path_->step();
    opened += collect(1).size();
  }
  EXPECT_EQ(opened, sealed.size());
}

TEST_P(ProtectionsTest, APdiWantsItsProtection) {
  set(protection());
  set_up_two();
  expect_drop(0, gtpu(kSecondTeid, ipv4({})), DropReason::Unprotected);
  ProtectionSettings other = protection();
  other.number = kNumber + 1;
  other.inbound = {association(0x2002)};
  set(other);
  SessionSpec spec = second_session();
  spec.pdrs[0].protection = kNumber + 1;
  ASSERT_EQ(update(kSecond, spec), PrepareStatus::Ok);
  expect_drop(0, seal(ipv4({})), DropReason::Unprotected);
}

TEST_P(ProtectionsTest, WhatIsNotGenuineChangesNothing) {
  set(protection());
  set_up_two();
  const Bytes inner = ipv4({});
  const Bytes first = seal(inner), second = seal(inner);
  for (std::size_t at = 20; at < first.size(); ++at) {
    Bytes bad = first;
    bad[at] ^= std::byte{1};
    EXPECT_TRUE(send(0, bad).empty()) << at;
  }
  EXPECT_EQ(dropped(DropReason::EspUnknownSpi), 4u) << "the octets of the SPI";
  EXPECT_EQ(dropped(DropReason::EspReplayed), 1u) << "number 0";
  EXPECT_EQ(dropped(DropReason::EspNotGenuine), first.size() - 25);
  for (const std::size_t bytes : {24u, 27u, 28u, 40u}) {
    Bytes cut(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(bytes));
    wire::store16(cut.data() + 2, static_cast<std::uint16_t>(bytes));
    wire::store16(cut.data() + 10, 0);
    wire::store16(cut.data() + 10, wire::fold(wire::checksum_partial(cut.data(), 20, 0)));
    EXPECT_TRUE(send(0, cut).empty()) << bytes;
  }
  EXPECT_EQ(dropped(DropReason::EspMalformed), 4u);
  // Later first, then the earlier, then either again.
  EXPECT_EQ(send(0, second).size(), 1u);
  EXPECT_EQ(send(0, first).size(), 1u);
  expect_drop(0, first, DropReason::EspReplayed);
  expect_drop(0, second, DropReason::EspReplayed);
  const auto rows = path_->protections().status(kNumber);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[0].outbound);
  EXPECT_EQ(rows[0].packets, 2u);
  EXPECT_EQ(rows[0].number, 2u);
  EXPECT_EQ(rows[1].packets, 2u);
  EXPECT_EQ(rows[1].replayed, 3u);
  EXPECT_EQ(rows[1].not_genuine, first.size() - 25);
  EXPECT_EQ(rows[1].number, 2u);
}

TEST_P(ProtectionsTest, ANewKeyComesBesideTheOldOne) {
  ProtectionSettings settings = protection();
  set(settings);
  set_up_two();
  const Bytes inner = ipv4({});
  const Bytes early = seal(inner), last = seal(inner);
  // The receiving end first, then the sending one; the old key goes when nothing of it comes.
  settings.inbound.push_back(association(kSpi + 1));
  set(settings);
  EXPECT_EQ(send(0, early).size(), 1u);
  settings.outbound = {association(kSpi + 1)};
  set(settings);
  EXPECT_EQ(send(0, last).size(), 1u);
  const Bytes fresh = seal(inner);
  EXPECT_EQ(wire::load32(fresh.data() + 20), kSpi + 1);
  EXPECT_EQ(wire::load32(fresh.data() + 24), 1u) << "a sequence of its own";
  EXPECT_EQ(send(0, fresh).size(), 1u);
  expect_drop(0, early, DropReason::EspReplayed);
  settings.inbound = {association(kSpi + 1)};
  set(settings);
  expect_drop(0, early, DropReason::EspUnknownSpi);
  EXPECT_EQ(send(0, seal(inner)).size(), 1u);
}

TEST_P(ProtectionsTest, NumbersEndWhereTheyAreSaidTo) {
  ProtectionSettings settings = protection();
  settings.outbound[0].used = {.number = 1000, .bytes = 50'000};
  settings.outbound[0].allowed.number = 1002;
  set(settings);
  set_up_two();
  const Bytes packet = gtpu(kFirstTeid, ipv4({}));
  const Bytes esp = seal(ipv4({}));
  EXPECT_EQ(wire::load32(esp.data() + 24), 1001u);
  EXPECT_EQ(send(0, packet).size(), 1u);
  expect_drop(0, packet, DropReason::EspExpired);
  path_->protections().extend(kNumber, kSpi, {1003, ~std::uint64_t{0}});
  EXPECT_EQ(send(0, packet).size(), 1u);
  expect_drop(0, packet, DropReason::EspExpired);
}

TEST_P(ProtectionsTest, ALifetimeWithoutRoomForAPacketIsOver) {
  ProtectionSettings settings = protection();
  settings.lifetime.bytes_hard = 2000;
  settings.outbound[0].used = {.number = 12, .bytes = 1000};
  set(settings);
  set_up_two();
  const auto is_over = [&] { return path_->protections().status(kNumber)[0].has_expired; };
  ASSERT_FALSE(seal(ipv4({.bytes = 500})).empty());
  EXPECT_FALSE(is_over());
  expect_drop(0, gtpu(kFirstTeid, ipv4({.bytes = 1000})), DropReason::EspExpired);
  EXPECT_TRUE(is_over());
  expect_drop(0, gtpu(kFirstTeid, ipv4({.bytes = 28})), DropReason::EspExpired);
  const AssociationStatus row = path_->protections().status(kNumber)[0];
  EXPECT_EQ(row.packets, 13u);
  EXPECT_GT(row.bytes, 1500u);
  EXPECT_LT(row.bytes, 2000u);
}

TEST_P(ProtectionsTest, NothingThatCameBeforeComesAgain) {
  ProtectionSettings settings = protection();
  settings.outbound[0].used.number = 998;
  settings.inbound[0].used.number = 1000;
  set(settings);
  set_up_two();
  expect_drop(0, seal(ipv4({})), DropReason::EspReplayed);
  expect_drop(0, seal(ipv4({})), DropReason::EspReplayed);
  for (unsigned i = 0; i < 200; ++i) EXPECT_EQ(send(0, seal(ipv4({}))).size(), 1u) << i;
}

TEST_P(ProtectionsTest, RulesNeedOneThatIsThere) {
  EXPECT_EQ(create(kFirst, first_session()), PrepareStatus::Protection);
  EXPECT_EQ(detail_, 0u);
  EXPECT_EQ(create(kSecond, second_session()), PrepareStatus::Protection);
  EXPECT_EQ(detail_, 256u);
  set(protection());
  set_up_two();
  EXPECT_FALSE(path_->protections().remove(kNumber)) << "rules refer to it";
  ASSERT_EQ(remove(kFirst), PrepareStatus::Ok);
  EXPECT_FALSE(path_->protections().remove(kNumber));
  SessionSpec open = second_session();
  open.pdrs[0].protection = 0;
  ASSERT_EQ(update(kSecond, open), PrepareStatus::Ok);
  EXPECT_TRUE(path_->protections().remove(kNumber));
  EXPECT_FALSE(path_->protections().remove(kNumber));
}

TEST_P(ProtectionsTest, AnSpiHasOneProtection) {
  set(protection());
  ProtectionSettings other = protection();
  other.number = kNumber + 1;
  Status status = path_->protections().set(other);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().field, "inbound[0].spi");
  ASSERT_TRUE(path_->protections().remove(kNumber));
  set(other);
}

TEST_P(ProtectionsTest, EndMarkersAreSealedToo) {
  set(protection());
  set_up_two();
  SessionSpec moved = first_session();
  moved.fars[0].teid = kFarN9Teid;
  ASSERT_EQ(update(kFirst, moved, kOperationEndMarkers), PrepareStatus::Ok);
  path_->step();
  const auto out = collect(0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(wire::load8(out[0].data() + 9), 50);
  // It is for the second session's tunnel, which ends here.
  expect_drop(0, out[0], DropReason::EndMarker);
}

class CapturedProtections : public Capturing<ProtectionsTest> {};

INSTANTIATE_TEST_SUITE_P(Lanes, ProtectionsTest, ::testing::Values(0u, 3u));
INSTANTIATE_TEST_SUITE_P(Lanes, CapturedProtections, ::testing::Values(0u, 3u));

TEST_P(CapturedProtections, WhatIsMadeHereAndNotSealedIsSeenAtItsPort) {
  ProtectionSettings settings = protection();
  settings.outbound[0].allowed = {};
  set(settings);
  set_up_two();
  const unsigned capture = start({.ports = 1, .drops = true});
  SessionSpec moved = first_session();
  moved.fars[0].teid = kFarN9Teid;
  ASSERT_EQ(update(kFirst, moved, kOperationEndMarkers), PrepareStatus::Ok);
  path_->step();
  EXPECT_EQ(dropped(DropReason::EspExpired), 1u);
  stop(capture);
  ASSERT_EQ(frames().size(), 1u);
  EXPECT_EQ(frames()[0].port, 0u);
}

TEST_P(ProtectionsTest, WhatTurnsRoundIsNotProtectedAnyMore) {
  set(protection());
  ASSERT_EQ(create(kFirst, first_session()), PrepareStatus::Ok);
  ASSERT_EQ(create(kSecond, second_session()), PrepareStatus::Ok);
  // Another UE, which wants its downlink protected: what a UE sends it came in otherwise.
  SessionSpec third = plain_session(direct_teid(11, 5, 1), kUe + 1);
  third.pdrs[1].protection = kNumber;
  ASSERT_EQ(create(11 * 64 + 5, third), PrepareStatus::Ok);
  const Bytes esp = seal(ipv4({.destination = kUe + 1}));
  expect_drop(0, esp, DropReason::Unprotected);
}

Bytes to_n3(std::uint8_t protocol, const Bytes& rest) {
  Bytes packet(20);
  wire::write_ipv4(packet.data(),
                   {.source = kGnb,
                    .destination = kN3,
                    .total_length = static_cast<std::uint16_t>(packet.size() + rest.size()),
                    .protocol = protocol});
  packet.insert(packet.end(), rest.begin(), rest.end());
  return packet;
}
Bytes to_n3_4500(const Bytes& rest) {
  Bytes udp(8);
  wire::write_udp(udp.data(), 4500, 4500, static_cast<std::uint16_t>(udp.size() + rest.size()));
  udp.insert(udp.end(), rest.begin(), rest.end());
  return to_n3(wire::kProtocolUdp, udp);
}

/// A port that takes ESP, and nobody who has any of it.
class PortOfEsp : public DatapathTest {
 protected:
  void configure(DatapathConfig& config) const override { config.ports[0].esp = true; }
};

TEST_F(PortOfEsp, UnknownSpisAreNamedWithoutAnyProtection) {
  const Bytes spi(64, std::byte{7});
  const Bytes by_itself = to_n3(kProtocolEsp, spi);
  const Bytes in_udp = to_n3_4500(spi);
  for (unsigned i = 0; i < 50; ++i) {
    expect_drop(0, by_itself, DropReason::EspUnknownSpi);
    expect_drop(0, in_udp, DropReason::EspUnknownSpi);
  }
  ProtectionSettings outbound = protection();
  outbound.inbound.clear();
  ASSERT_TRUE(path_->protections().set(outbound));
  expect_drop(0, in_udp, DropReason::EspUnknownSpi);
  expect_drop(0, to_n3(kProtocolEsp, Bytes(4)), DropReason::EspMalformed);
  expect_drop(0, to_n3_4500(Bytes(1, std::byte{0xff})), DropReason::NatKeepalive);
  expect_drop(0, to_n3_4500(Bytes(8)), DropReason::NotGtpu);
  conserve();
}

TEST_F(DatapathTest, WithoutAPortOfEspItIsNotGtpu) {
  expect_drop(0, to_n3_4500(Bytes(64, std::byte{7})), DropReason::NotGtpu);
  expect_drop(0, to_n3_4500(Bytes(1, std::byte{0xff})), DropReason::NotGtpu);
}

/// Two workers: an SPI is one worker's, and sessions are another's.
class ProtectionsOfWorkers : public WorkersTest {};

TEST_F(ProtectionsOfWorkers, EveryWorkerSealsAndOpensForAll) {
  const unsigned queues = workers();
  ASSERT_TRUE(path_->protections().set(protection(queues)));
  while (!path_->protections().settled()) std::this_thread::yield();
  constexpr unsigned kSessions = 4, kRounds = 500;
  const auto second = [](unsigned n) { return index_of(n + 16, 5); };
  const auto second_teid = [](unsigned n) { return direct_teid(n + 16, 5, 1); };
  for (unsigned n = 0; n < kSessions; ++n) {
    // The owners of a session and of that which its packets come to differ for half of them.
    const unsigned to = (n + n / 2) % kSessions;
    ASSERT_EQ(create(session(n), first_session(teid(n), ue(n), second_teid(to))),
              PrepareStatus::Ok);
    ASSERT_EQ(create(second(n), second_session(second_teid(n))), PrepareStatus::Ok);
  }
  std::uint64_t opened = 0;
  const auto drain = [&] {
    for (unsigned q = 0; q < queues; ++q) {
      for (const Bytes& esp : collect(0, q)) {
        ASSERT_EQ(wire::load8(esp.data() + 9), 50);
        EXPECT_EQ(wire::load32(esp.data() + 20), kSpi + q) << "each worker has its own SPI";
        if (inject(0, esp, (q + 1) % queues)) ++injected_;
      }
      opened += collect(1, q).size();
    }
  };
  for (std::uint32_t r = 0; r < kRounds; ++r) {
    for (unsigned n = 0; n < kSessions; ++n) inject_all(0, uplink(n, r), n % queues, drain);
    if (r % 8 == 0) settle(drain);
  }
  settle(drain);
  settle(drain);
  EXPECT_EQ(opened + dropped(DropReason::HandoffFull) + dropped(DropReason::TxFull),
            std::uint64_t{kRounds} * kSessions);
  EXPECT_GT(opened, 0u);
}

}  // namespace
}  // namespace sluice::test
