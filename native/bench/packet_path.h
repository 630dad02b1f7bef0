// The packet path under measurement: memory ports, one worker driven by the bench itself,
// and sessions with bare or full rules. Made once per number of sessions and kept.
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

  std::unique_ptr<sluice::Datapath> datapath;
  std::vector<Key> keys;  ///< by session
  std::vector<std::uint32_t> records;
  std::uint32_t sessions;
  bool full;
  bool is_protected;
};

inline constexpr std::uint32_t kN3 = 0x0a000001, kGnb = 0x0a000002, kServer = 0xcb007109;

}  // namespace bench
