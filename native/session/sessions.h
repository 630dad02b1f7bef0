// All sessions of the packet path: flows by index, tables by address, and the two-step
// change of one session. The control thread prepares, aborts and retires; the session's
// worker applies between two bursts; any worker looks up.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "memory/region.h"
#include "session/compile/compiler.h"
#include "session/table/address_sieve.h"
#include "session/table/address_table.h"
#include "session/table/remote_table.h"
#include "session/table/remote_tunnels.h"
#include "session/table/route_table.h"

namespace sluice {

enum class OperationKind : std::uint32_t { Create = 1, Update = 2, Delete = 3 };

/// What a change asks for beside new rules; OperationFlag in src/datapath/datapath.ts. Afresh: it
/// is another session in the same place, which goes on with nothing of the one before. Used: of
/// the URRs that are asked for, those that have something to tell. Displaced: see displace().
inline constexpr std::uint32_t kOperationEndMarkers = 1, kOperationDropBuffered = 2,
                               kOperationQuery = 4, kOperationAfresh = 8, kOperationUsed = 16,
                               kOperationDisplaced = 32;

struct SessionsConfig {
  std::uint32_t slots_per_bucket;
  unsigned slot_bits;
  std::array<std::uint32_t, 5> teid_key;
  HashSecret hash_secret;
  std::uint32_t arena_bytes_per_session = 1024;  ///< address space, touched only where used
};

/// A change that is ready: applying it cannot fail. Lies in the region.
struct Prepared {
  Compiled compiled;
  SessionIndex session;
  OperationKind kind;
  std::uint32_t next_free;
  std::uint32_t events_max;  ///< reports that applying it may send
  std::uint64_t query;       ///< positions, in the rules before, of URRs to report at once (IMMER)
  std::uint32_t flags;       ///< kOperation…
  ArenaRef end_markers;      ///< RemoteTunnelList: paths that end, 0: none
};

class Sessions {
 public:
  static constexpr std::uint32_t kPreparedMax = 8192;
  static std::size_t bytes(const SessionsConfig& config) noexcept;
  static Result<std::unique_ptr<Sessions>> create(Region& region, const SessionsConfig& config,
                                                  const NetworkMap& network);

  // ---- control thread ----
  /// Compiles and reserves; on Ok `ticket` names the change.
  /// @param record  words of the new record (create, update), which stay in place until the
  ///                session is changed again and that change is retired.
  /// @param flags   kOperation… bits.
  /// @param query   URR positions to report; for kOperationQuery.
  PrepareError prepare(OperationKind kind, SessionIndex session, const std::uint32_t* record,
                       std::size_t record_bytes, std::uint32_t flags, std::uint64_t query,
                       std::uint32_t& ticket);
  /// The session that the deletion `ticket` is of goes in favour of `successor`, whose change is
  /// prepared next: that may ask for the addresses of this one, and has them from hand_over() on.
  /// Both are applied, or both aborted.
  void displace(std::uint32_t ticket, SessionIndex successor);
  /// Before the change is given to its worker: packets to what it has taken from others are its
  /// own.
  void hand_over(std::uint32_t ticket);
  void abort(std::uint32_t ticket);
  /// After the worker has applied it: frees what the old rules held.
  void retire(std::uint32_t ticket);
  SessionIndex session_of(std::uint32_t ticket) const noexcept { return prepared_[ticket].session; }
  OperationKind kind_of(std::uint32_t ticket) const noexcept { return prepared_[ticket].kind; }
  /// The record in force, invalid: no such session. While a change is under way, the one before.
  RecordReader record(SessionIndex session) const noexcept {
    if (session >= installed_.size() || installed_[session].record == nullptr) return {};
    return {installed_[session].record, installed_[session].bytes};
  }
  /// Who has a TEID (`teids`), or a UE address or route, that `record` of `session` asks for too;
  /// changes under way count. kNoSession: nobody, or one of `but_for`.
  SessionIndex holder(SessionIndex session, const RecordReader& record, bool teids,
                      std::span<const SessionIndex> but_for = {}) const;
  /// A change of the session is prepared or under way.
  bool changing(SessionIndex session) const noexcept { return installed_[session].busy; }
  /// Or about to be.
  bool is_there(SessionIndex session) const noexcept {
    return installed_[session].busy || installed_[session].record != nullptr;
  }
  const Compiler& compiler() const noexcept { return compiler_; }
  std::uint64_t live() const noexcept { return live_; }
  PeerTable& peer_table() noexcept { return peers_; }
  ProtectionUses& protection_uses() noexcept { return protections_; }
  /// By peer.
  Path* paths() noexcept { return paths_; }
  const RulesArena& arena() const noexcept { return arena_; }

  // ---- the session's worker ----
  std::uint32_t events_needed(std::uint32_t ticket) const noexcept {
    return prepared_[ticket].events_max;
  }
  const Prepared& change(std::uint32_t ticket) const noexcept { return prepared_[ticket]; }
  void apply(std::uint32_t ticket, Nanoseconds now, EventSink& sink) noexcept;
  SessionView view(SessionIndex session) noexcept {
    const ArenaRef account = flows_[0][session].state.account;
    return {session,
            {&flows_[0][session], &flows_[1][session]},
            account == 0 ? nullptr : arena_.at<Account>(account)};
  }
  /// Link of the worker's list of sessions with unsent reports: 0: not in it, else next + 1.
  std::uint32_t& pending_link(SessionIndex session) noexcept { return pending_links_[session]; }

  // ---- any worker ----
  const TeidScheme& scheme() const noexcept { return scheme_; }
  Flow* flows(Direction direction) noexcept { return flows_[static_cast<unsigned>(direction)]; }
  const WideTable& teids() const noexcept { return teids_; }
  const RemoteTable& remotes() const noexcept { return remotes_; }
  const Ipv4Table& ipv4() const noexcept { return ipv4_; }
  const WideTable& ipv6() const noexcept { return ipv6_; }
  const RouteTable& routes() const noexcept { return routes_; }
  const AddressSieve& sieve() const noexcept { return sieve_; }
  /// Control thread, before the first session.
  AddressSieve& sieve() noexcept { return sieve_; }
  const Peer* peers() const noexcept { return peers_.data(); }
  template <typename T>
  const T* rule(ArenaRef ref) const noexcept {
    return arena_.at<T>(ref);
  }
  Account* account(ArenaRef ref) noexcept { return arena_.at<Account>(ref); }
  RulesExtension* extension(ArenaRef ref) const noexcept { return arena_.at<RulesExtension>(ref); }

 private:
  /// What the control thread remembers of a change until it is retired.
  struct Pending {
    FlowRules old_rules[kDirections];
    ArenaRef old_account = 0;
    const std::uint32_t* record = nullptr;
    std::size_t record_bytes = 0;
    std::vector<TableKey> inserted;  ///< to erase when aborted
    std::vector<TableKey> obsolete;  ///< to erase when retired
    std::vector<TableKey> taken;     ///< of displaced sessions, which have them until hand_over()
    SessionIndex successor = kNoSession;  ///< of a displaced session's deletion
    void clear_keys() noexcept {
      for (auto* keys : {&inserted, &obsolete, &taken}) keys->clear();
    }
    std::vector<RemoteTunnel> remotes_inserted, remotes_obsolete;  ///< likewise
    std::vector<FarEntry> idle_fars;  ///< their peers are kept for End Markers
  };
  struct Installed {
    const std::uint32_t* record = nullptr;
    std::uint32_t bytes = 0;
    bool busy = false;
    std::uint32_t displacing = 0;  ///< 1 + ticket of its deletion, when it is displaced
  };
  struct Memory;
  Sessions(Region& region, const SessionsConfig& config, const NetworkMap& network,
           const Memory& memory);

  std::uint32_t direct_teid(const RecordReader& record, SessionIndex session) const noexcept;
  PrepareError reserve_keys(const RecordReader& record, SessionIndex session, Pending& pending);
  bool insert_key(const TableKey& key, SessionIndex session);
  /// @param asking  its own direct TEID is not looked at.
  bool find_key(const TableKey& key, SessionIndex asking, SessionIndex& session) const;
  void erase_key(const TableKey& key);
  /// Not so a direct TEID, which is found without a table.
  bool is_tabled(const TableKey& key) const noexcept {
    SessionIndex found;
    return key.kind != TableKey::Kind::Teid || teids_.find(key.key, key.qualifier, found);
  }
  bool is_displaced_by(SessionIndex session, SessionIndex successor) const noexcept {
    const std::uint32_t ticket = installed_[session].displacing;
    return ticket != 0 && pending_[ticket - 1].successor == successor;
  }
  void apply_new(Prepared& change, Nanoseconds now, std::uint64_t realtime_offset) noexcept;
  void carry_over(Prepared& change, SessionView& old, Nanoseconds now, EventSink& sink) noexcept;
  void start_buckets(Prepared& change, const SessionView* old, Nanoseconds now) noexcept;
  bool prepare_tunnels(const RecordReader& before, const RecordReader& record, Prepared& change,
                       Pending& pending);
  bool prepare_end_markers(const RecordReader& before, const RecordReader& record, Prepared& change,
                           Pending& pending);
  void add_idle_tunnels(const RecordReader& record, Pending& pending,
                        std::vector<RemoteTunnel>& tunnels);
  void keep_other_places(std::vector<RemoteTunnel>& tunnels,
                         const std::vector<RemoteTunnel>& others) const;
  bool list_remotes(SessionIndex session, Pending& pending);
  void erase_remotes(SessionIndex session, const std::vector<RemoteTunnel>& tunnels);
  void carry_error_marks(Prepared& change) noexcept;
  void free_end_markers(Prepared& change, Pending& pending);
  void fill_port_mask(const std::vector<TableKey>& keys, Compiled& compiled);

  TeidScheme scheme_;
  Flow* flows_[kDirections];
  std::uint32_t* pending_links_;
  Prepared* prepared_;
  std::uint32_t free_prepared_ = 0;
  RulesArena arena_;
  WideTable teids_;
  Ipv4Table ipv4_;
  WideTable ipv6_;
  RouteTable routes_;
  RemoteTable remotes_;
  AddressSieve sieve_;
  PeerTable peers_;
  ProtectionUses protections_;
  Path* paths_;
  FilterSets filter_sets_;
  Compiler compiler_;
  std::vector<Pending> pending_;
  std::vector<Installed> installed_;
  std::vector<TableKey> keys_, old_keys_;
  std::vector<RemoteTunnel> tunnels_, old_tunnels_, ended_;
  std::uint64_t live_ = 0;
};

}  // namespace sluice
