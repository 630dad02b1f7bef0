// Compiles a session record into what the packet path uses: two images of lines, an
// account, extensions. Control thread only; everything it takes is named in `Compiled`,
// so that a refusal or a deletion gives all of it back.
#pragma once
#include <array>
#include <vector>

#include "session/compile/filter_set.h"
#include "session/compile/record_reader.h"
#include "session/rules_arena.h"
#include "session/table/network_map.h"
#include "session/table/peer_table.h"
#include "session/table/protection_uses.h"
#include "session/usage/usage.h"

namespace sluice {

/// The values of PrepareStatus in src/datapath/datapath.ts.
enum class PrepareStatus : std::uint32_t {
  Ok = 0,
  Malformed = 1,
  TeidTaken = 2,
  UeAddressTaken = 3,
  Resources = 4,
  Instance = 5,
  LocalAddress = 6,
  Protection = 7,      ///< detail: FAR index, or 256 + PDR index
  ProtectionPort = 8,  ///< detail: FAR index
};

struct PrepareError {
  PrepareStatus status = PrepareStatus::Ok;
  std::uint32_t detail = 0;
};

/// Address under which packets reach a session; which table is a matter of kind. A route of
/// the length of a UE address is a UE address, so that no two sessions have it.
struct TableKey {
  enum class Kind : std::uint8_t { Teid, Ipv4, Ipv6, Route };
  std::uint64_t key;  ///< 0 of a route
  Kind kind;
  std::uint8_t qualifier;  ///< local address (TEID) or port (UE addresses, routes)
  std::uint16_t pdr;       ///< for the error: index | (position of the route + 1) << 8
  Route route{};           ///< Kind::Route
  bool same_place(const TableKey& o) const noexcept {
    return key == o.key && kind == o.kind && qualifier == o.qualifier &&
           (kind != Kind::Route || route == o.route);
  }
};

/// Interfaces that a record names.
inline constexpr unsigned kInterfaceAccess = 1, kInterfaceCpFunction = 4;
inline constexpr unsigned kBucketsMax = 64;    ///< a direction of a session
inline constexpr unsigned kFiltersMax = 4096;  ///< boxes of one kind of arrival

/// Which QERs meter a direction, in the order of its buckets; and the names that QERs share.
struct BucketList {
  std::array<std::uint8_t, kBucketsMax> qer;  ///< index of the first QER of each bucket
  unsigned count = 0;
  int find(const RecordReader& record, unsigned qer_index) const noexcept;
};

struct Compiled {
  Flow flows[kDirections];
  ArenaRef account = 0;
  /// What carries over from the rules before: position + 1, 0: starts anew.
  std::array<std::uint8_t, kUrrsMax> urr_from;
  std::uint64_t same_volume_quota;  ///< bit n: URR n brings no new one
  std::uint64_t same_time_quota;
  std::uint64_t same_threshold;  ///< as they were, whatever monitoring times made of them
  std::uint64_t same_time_threshold;
  std::array<std::uint8_t, kBucketsMax> bucket_from[kDirections];
};

class Compiler {
 public:
  Compiler(RulesArena& arena, FilterSets& filter_sets, PeerTable& peers,
           ProtectionUses& protections, const NetworkMap& network)
      : arena_(arena),
        filter_sets_(filter_sets),
        peers_(peers),
        protections_(protections),
        network_(network) {}

  /// @param before  record of the rules in force, or an invalid reader for a new session.
  /// @param out     complete on Ok; on an error nothing is held.
  PrepareError compile(const RecordReader& record, const RecordReader& before,
                       std::uint32_t direct_teid, Compiled& out);
  /// Gives back what the images of a compiled session hold (not its account).
  void release(const Flow (&flows)[kDirections]);
  void release_account(ArenaRef account);
  /// The tunnels of FARs that hold or drop at present and keep where they led, for End Markers.
  /// What cannot be reached any more is left out. Give them back by release_fars().
  void idle_tunnels(const RecordReader& record, std::vector<FarEntry>& out);
  void release_fars(std::vector<FarEntry>& fars);

  /// Addresses of a session, all but its direct TEID. Valid until the next call.
  PrepareError keys(const RecordReader& record, std::uint32_t direct_teid,
                    std::vector<TableKey>& out) const;

 private:
  struct Tunnel {
    std::uint32_t teid;  ///< 0: the UE address
    std::uint16_t local_mask;
    Direction direction;
    std::vector<Filter> filters;
  };
  struct Side {                       ///< one direction while it is compiled
    std::vector<std::uint8_t> order;  ///< PDR indices by precedence
    std::vector<PdrEntry> pdrs;
    std::vector<std::uint64_t> masks;
    std::vector<FarEntry> fars;
    std::vector<std::uint16_t> far_index;    ///< as in the record | kKeepsOuter; kCopyEntry
    std::vector<std::uint64_t> sets;         ///< URR masks
    std::vector<std::uint8_t> first_sets;    ///< by PDR: what counts before policing
    std::vector<std::uint16_t> protections;  ///< by PDR: what its packets come under
    bool measures_first = false;
    bool is_protected = false;                      ///< some PDR's packets come under a protection
    std::uint8_t rules_flags = 0;                   ///< kRules… that its URRs bring
    std::array<std::uint8_t, kUrrsMax> quota_fars;  ///< by URR: position + 1 of its FAR
    BucketList buckets;
  };

  void sort_pdrs(const RecordReader& record);
  PrepareError compile_pdrs(const RecordReader& record, Direction direction);
  PrepareError compile_far(const RecordReader& record, unsigned far_index, bool keeps_outer,
                           Direction direction, std::uint8_t& out);
  PrepareError compile_urrs(const RecordReader& record, const std::uint32_t* pdr,
                            Direction direction, PdrEntry& entry);
  PrepareError compile_copies(const RecordReader& record, unsigned far_index, bool keeps_outer,
                              Side& side, FarEntry primary);
  PrepareError resolve_forward(const RecordReader& record, const std::uint32_t* far,
                               unsigned far_index, bool keeps_outer, FarEntry& out);
  PrepareError collect_routes(const RecordReader& record);
  PortMask ue_ports_of(const RecordReader& record, const std::uint32_t* pdr) const;
  void list_ue_ports(const RecordReader& record);
  void list_locals(const RecordReader& record, const std::uint32_t* pdr, Direction direction);
  void add_boxes(const RecordReader& record, const std::uint32_t* pdr, const std::uint32_t* filter,
                 Filter& made, std::vector<Filter>& out) const;
  void add_filters(const RecordReader& record, unsigned pdr, Direction direction,
                   std::uint8_t position, std::vector<Filter>& out);
  PrepareError build_tunnels(const RecordReader& record, std::uint32_t direct_teid);
  bool acquire_tunnel_filters(std::size_t first);
  void lay_out_flow(const RecordReader& record, bool uplink, const Tunnel* direct, Flow& flow);
  PrepareError lay_out(const RecordReader& record, Compiled& out);
  ArenaRef lay_out_extension(Direction direction, std::vector<TunnelEntry>& tunnels);
  PrepareError make_account(const RecordReader& record, const RecordReader& before, Compiled& out);
  void fill_urrs(const RecordReader& record, Account& account) const;
  void carry_buckets(const RecordReader& record, const RecordReader& before, Compiled& out);
  PrepareError compile_protection(const std::uint32_t* pdr, unsigned index, Side& side,
                                  PdrEntry& entry);
  void release_far(const FarEntry& far);
  void release_side(Side& side);

  RulesArena& arena_;
  FilterSets& filter_sets_;
  PeerTable& peers_;
  ProtectionUses& protections_;
  const NetworkMap& network_;
  // Scratch of one compilation, kept to spare allocations.
  Side sides_[kDirections];
  std::vector<Tunnel> tunnels_;
  PortMask ue_ports_ = 0;
  std::vector<Filter> ue_filters_;
  std::vector<Route> routes_;         ///< framed routes of the session, each once
  bool is_routed_[kDirections] = {};  ///< some PDR of the direction has framed routes
  std::vector<Route> locals_;         ///< what is on the UE's side, for one PDR; empty: anything
  std::uint8_t default_qfi_ = 0;
  std::vector<TunnelEntry> tunnel_entries_;
};

/// Direction of a PDR by its source interface; false for a value that has none.
bool direction_of(const std::uint32_t* pdr, Direction& out) noexcept;
/// What a bucket of this QER is refilled with.
std::uint32_t bucket_rate_kbps(const std::uint32_t* qer, Direction direction) noexcept;
/// Which local addresses the F-TEID of a PDR is at: bits of FlowState::local_mask.
std::uint16_t local_mask_of(const NetworkMap& network, const std::uint32_t* pdr) noexcept;
/// Calls f(Route) for each framed route of a PDR.
template <typename F>
void for_each_route(const RecordReader& record, const std::uint32_t* pdr, F&& f) {
  const auto words = record.routes(pdr);
  for (std::size_t at = 0; at < words.size(); at += record::kRouteWords) {
    Route route{{words[at + 2], words[at + 3], words[at + 4], words[at + 5]},
                static_cast<std::uint8_t>(words[at + 1]),
                words[at] != 0,
                0};
    for (unsigned i = 0; i < 4; ++i) route.words[i] &= route.mask(i);
    f(route);
  }
}
/// Whether a URR has an UrrClock, and an UrrWatch.
bool needs_clock(const RecordReader& record, const std::uint32_t* urr) noexcept;
bool needs_watch(const std::uint32_t* urr) noexcept;
/// Tells a URR from one of the same ID that asks for something else.
std::uint32_t urr_definition(const RecordReader& record, const std::uint32_t* urr) noexcept;
/// Which URRs of the record go on with what was counted before, and with which quotas.
void carry_urrs(const RecordReader& record, const RecordReader& before, Compiled& out) noexcept;
/// Buckets of one direction of a record.
bool list_buckets(const RecordReader& record, Direction direction, BucketList& out) noexcept;

}  // namespace sluice
