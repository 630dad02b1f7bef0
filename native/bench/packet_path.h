// The packet path under measurement: memory ports, one worker driven by the bench itself, or
// ports of another kind; sessions with bare or full rules. With memory ports made
// once per number of sessions and kept.
#pragma once
#include <memory>
#include <vector>

#include "session/compile/record_builder.h"
#include "worker/datapath.h"

namespace bench {

struct PacketPath {
  struct Key {
    std::uint32_t teid;
    std::uint32_t ue;
  };
  /// @param full  two PDRs a direction with SDF filters, the second matching; flow QER and
  ///              AMBR QER with MBR that does not drop; one URR with a volume threshold.
  /// @param is_protected  what goes to N6 is sealed with SM4-GCM, by a thousand associations.
  static PacketPath& of(std::uint32_t sessions, bool full, bool is_protected = false);
  /// With full rules, through an N3 and an N6 that the caller describes; the caller drives the
  /// worker. nullptr, and a word on standard error: the ports don't open here.
  static std::unique_ptr<PacketPath> through(std::uint32_t sessions, sluice::PortConfig n3,
                                             sluice::PortConfig n6);

  std::unique_ptr<sluice::Datapath> datapath;
  std::vector<Key> keys;  ///< by session
  std::vector<std::uint32_t> records;
  std::uint32_t sessions;
  bool full;
  bool is_protected;
};

/// Writes the headers of a packet as it arrives, but for TEID and UE address: 72 octets uplink (the
/// UE's header from octet 44 on), 28 downlink.
/// @param bytes  of the UE's packet.
void write_packet(std::byte* headers, bool uplink, unsigned bytes) noexcept;

inline constexpr std::uint32_t kN3 = 0x0a000001, kGnb = 0x0a000002, kServer = 0xcb007109;

}  // namespace bench
