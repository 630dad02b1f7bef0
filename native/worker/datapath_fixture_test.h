// A whole packet path with memory ports and no thread, and the packets that tests send.
#pragma once
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "port/memory_port.h"
#include "session/compile/record_builder.h"
#include "wire/gtpu.h"
#include "wire/ipv6.h"
#include "wire/udp.h"
#include "worker/datapath.h"

namespace sluice::test {

using Bytes = std::vector<std::byte>;

inline constexpr std::uint32_t kN3 = 0x0a000001, kGnb = 0x0a000002;
inline constexpr std::uint32_t kUe = 0x0a3c0007, kServer = 0xcb007109;
inline constexpr std::uint64_t kUePrefix = 0xfd00006000000007;
inline constexpr std::array<std::uint32_t, 5> kKey{11, 22, 33, 44, 55};
inline constexpr unsigned kSlotBits = 13;

/// The allocating side of the TEID scheme, as src/session does it.
inline std::uint32_t direct_teid(unsigned bucket, std::uint32_t slot, std::uint32_t generation) {
  constexpr std::uint32_t m = 0xffffff;
  std::uint32_t x = ((generation << kSlotBits | slot) ^ kKey[0] ^ bucket * kKey[4]) & m;
  x = x * (kKey[1] | 1) & m;
  x ^= x >> 12;
  x = x * (kKey[2] | 1) & m;
  x ^= x >> 12;
  return bucket << 24 | (x * (kKey[3] | 1) & m);
}

struct Udp {
  std::uint32_t source = kUe, destination = kServer;
  std::uint16_t source_port = 4000, destination_port = 443;
  std::uint16_t bytes = 64;  ///< whole IP packet
  std::uint8_t tos = 0;
  std::uint8_t protocol = 17;
};

Bytes ipv4(const Udp& u);

Bytes ipv6(std::uint64_t source_prefix, std::uint64_t destination_prefix, std::uint16_t port,
           std::uint16_t bytes = 80);

Bytes gtpu(std::uint32_t teid, const Bytes& inner, int qfi = 9, std::uint32_t to = kN3);

/// A GTP-U message of a peer to kN3, whatever it is.
Bytes gtpu_message(std::uint32_t source, const Bytes& message);

/// The usual session: one PDR a direction, a tunnel to the gNB.
SessionSpec plain_session(std::uint32_t teid, std::uint32_t ue = kUe);

class DatapathTest : public ::testing::Test {
 protected:
  virtual unsigned workers() const { return 0; }
  virtual SurvivalConfig survival() const { return {}; }
  virtual void configure(DatapathConfig&) const {}
  void SetUp() override;
  /// A packet path that has not started, in place of the one before.
  void open();
  void TearDown() override;

  static IpAddress v4(std::uint32_t address) {
    IpAddress a;
    wire::store32(reinterpret_cast<std::byte*>(a.bytes.data()), address);
    return a;
  }
  static IpAddress v6(std::uint64_t high) {
    IpAddress a;
    a.is_v6 = true;
    wire::store64(reinterpret_cast<std::byte*>(a.bytes.data()), high);
    return a;
  }
  static SessionIndex index_of(unsigned bucket, unsigned slot) { return bucket * 64 + slot; }

  /// Prepares and applies one change; returns the status.
  PrepareStatus change(OperationKind kind, SessionIndex session, const SessionSpec* spec,
                       const std::vector<std::uint32_t>& query = {}, std::uint32_t flags = 0);
  PrepareStatus create(SessionIndex session, const SessionSpec& spec) {
    return change(OperationKind::Create, session, &spec);
  }
  PrepareStatus update(SessionIndex session, const SessionSpec& spec, std::uint32_t flags = 0) {
    return change(OperationKind::Update, session, &spec, {}, flags);
  }
  PrepareStatus remove(SessionIndex session) {
    return change(OperationKind::Delete, session, nullptr);
  }

  /// Time stands still but for this, if starts_at() is given.
  void pass(Nanoseconds time);

  void collect_events();
  MemoryPort& port(unsigned i) { return static_cast<MemoryPort&>(*path_->ports()[i]); }

  bool inject(unsigned at, const Bytes& bytes, unsigned queue = 0);
  std::vector<Bytes> collect(unsigned at, unsigned queue = 0);
  /// Sends one packet in at a port, and returns what comes out of either.
  std::vector<Bytes> send(unsigned at, const Bytes& bytes);
  std::uint64_t dropped(DropReason reason) const {
    return path_->statistics().dropped[static_cast<std::size_t>(reason)];
  }
  void expect_drop(unsigned at, const Bytes& bytes, DropReason reason);
  /// rx + created = tx + held + dropped.
  void conserve() const;

  std::uint32_t slots_per_bucket_ = 64;
  std::uint8_t packet_flags_ = 0;  ///< of packets that come
  Nanoseconds starts_at_ = 0;      ///< not 0: time stands still but for run_at()
  std::unique_ptr<Datapath> path_;
  std::deque<std::vector<std::uint32_t>> records_;
  std::uint32_t chunks_ = 0;
  std::uint32_t detail_ = 0;
  Nanoseconds now_ = 0;
  std::vector<Event> events_;
};

}  // namespace sluice::test
