#include "session/sessions.h"

#include <algorithm>

namespace sluice {
using namespace record;

namespace {
constexpr std::uint32_t kPeersMax = 65535;
}

struct Sessions::Memory {
  Flow* flows[kDirections];
  std::uint32_t* links;
  Prepared* prepared;
  std::byte* arena;
  std::size_t arena_bytes;
  std::byte *teids, *ipv4, *ipv6, *routes, *remotes;
  Peer* peers;
  Path* paths;
};

std::size_t Sessions::bytes(const SessionsConfig& config) noexcept {
  const std::size_t sessions = std::size_t{config.slots_per_bucket} * kBuckets;
  return sessions * (2 * sizeof(Flow) + 4 + config.arena_bytes_per_session) +
         (std::size_t{4} << 20) + kPreparedMax * sizeof(Prepared) +
         Ipv4Table::bytes(static_cast<std::uint32_t>(sessions)) +
         RemoteTable::bytes(static_cast<std::uint32_t>(sessions)) +
         2 * WideTable::bytes(static_cast<std::uint32_t>(sessions)) +
         RouteTable::bytes(static_cast<std::uint32_t>(sessions)) +
         kPeersMax * (sizeof(Peer) + sizeof(Path)) + 65536;
}

Result<std::unique_ptr<Sessions>> Sessions::create(Region& region, const SessionsConfig& config,
                                                   const NetworkMap& network) {
  const std::uint32_t sessions = config.slots_per_bucket * kBuckets;
  if (sessions == 0 || sessions > kSessionIndexMax) {
    return Error{"the packet path takes 1 to " + std::to_string(kSessionIndexMax) + " sessions",
                 "limits.sessions"};
  }
  Memory m{};
  for (auto& flows : m.flows) flows = region.allocate_array<Flow>(sessions);
  m.links = region.allocate_array<std::uint32_t>(sessions);
  m.prepared = region.allocate_array<Prepared>(kPreparedMax);
  m.paths = region.allocate_array<Path>(kPeersMax);
  m.peers = region.allocate_array<Peer>(kPeersMax);
  m.ipv4 = region.allocate(Ipv4Table::bytes(sessions));
  m.teids = region.allocate(WideTable::bytes(sessions));
  m.ipv6 = region.allocate(WideTable::bytes(sessions));
  m.routes = region.allocate(RouteTable::bytes(sessions));
  m.remotes = region.allocate(RemoteTable::bytes(sessions));
  m.arena_bytes = std::size_t{sessions} * config.arena_bytes_per_session + (std::size_t{4} << 20);
  m.arena = region.allocate(m.arena_bytes);
  if (m.arena == nullptr || m.remotes == nullptr || m.prepared == nullptr) {
    return Error{"the memory region is too small for " + std::to_string(sessions) + " sessions",
                 "limits.sessions"};
  }
  return std::unique_ptr<Sessions>(new Sessions(region, config, network, m));
}

Sessions::Sessions(Region& region, const SessionsConfig& config, const NetworkMap& network,
                   const Memory& memory)
    : scheme_(config.teid_key, config.slot_bits, config.slots_per_bucket),
      flows_{memory.flows[0], memory.flows[1]},
      pending_links_(memory.links),
      prepared_(memory.prepared),
      arena_(region.base(), memory.arena, memory.arena_bytes),
      teids_(memory.teids, scheme_.sessions(), config.hash_secret),
      ipv4_(memory.ipv4, scheme_.sessions(), config.hash_secret),
      ipv6_(memory.ipv6, scheme_.sessions(), config.hash_secret),
      routes_(memory.routes, scheme_.sessions()),
      remotes_(memory.remotes, scheme_.sessions(), config.hash_secret),
      peers_({memory.peers, kPeersMax}, memory.paths),
      paths_(memory.paths),
      filter_sets_(arena_),
      compiler_(arena_, filter_sets_, peers_, protections_, network),
      pending_(kPreparedMax),
      installed_(scheme_.sessions()) {
  for (std::uint32_t i = 0; i < kPreparedMax; ++i) prepared_[i].next_free = i + 1;
}

void Sessions::fill_port_mask(const std::vector<TableKey>& keys, Compiled& compiled) {
  for (const TableKey& key : keys) {
    if (key.kind != TableKey::Kind::Teid) {
      compiled.flows[1].rules.port_mask |= static_cast<PortMask>(1u << key.qualifier);
    }
  }
}

PrepareError Sessions::prepare(OperationKind kind, SessionIndex session, const std::uint32_t* words,
                               std::size_t bytes, std::uint32_t flags, std::uint64_t query,
                               std::uint32_t& ticket) {
  if (session >= scheme_.sessions()) return {PrepareStatus::Malformed, header::SessionIndex};
  Installed& installed = installed_[session];
  if (installed.busy || (installed.record == nullptr) != (kind == OperationKind::Create)) {
    return {PrepareStatus::Malformed, header::SessionIndex};
  }
  if (free_prepared_ >= kPreparedMax) return {PrepareStatus::Resources, 0};
  ticket = free_prepared_;
  Prepared& change = prepared_[ticket];
  Pending& pending = pending_[ticket];
  const RecordReader before =
      installed.record ? RecordReader(installed.record, installed.bytes) : RecordReader{};
  RecordReader record;
  if (kind == OperationKind::Delete) {
    change.compiled = Compiled{};
    pending.clear_keys();
    compiler_.keys(before, direct_teid(before, session), pending.obsolete);
  } else {
    record = RecordReader(words, bytes);
    if (!record.valid()) return {PrepareStatus::Malformed, 0};
    if (const auto error = reserve_keys(record, session, pending);
        error.status != PrepareStatus::Ok) {
      return error;
    }
    const RecordReader from = (flags & kOperationAfresh) != 0 ? RecordReader{} : before;
    const auto error =
        compiler_.compile(record, from, direct_teid(record, session), change.compiled);
    if (error.status != PrepareStatus::Ok) {
      for (const TableKey& key : pending.inserted) erase_key(key);
      return error;
    }
    fill_port_mask(keys_, change.compiled);
    if (change.compiled.account != 0)
      arena_.at<Account>(change.compiled.account)->session = session;
  }
  for (unsigned d = 0; d < kDirections; ++d) pending.old_rules[d] = flows_[d][session].rules;
  change.flags = flags;
  change.session = session;
  if (!prepare_tunnels(before, record, change, pending)) {
    compiler_.release(change.compiled.flows);
    compiler_.release_account(change.compiled.account);
    for (const TableKey& key : pending.inserted) erase_key(key);
    return {PrepareStatus::Resources, 0};
  }
  pending.old_account = kind == OperationKind::Create ? 0 : flows_[0][session].state.account;
  pending.record = words;
  pending.record_bytes = bytes;
  free_prepared_ = change.next_free;
  change.kind = kind;
  change.query = query;
  // Terminations and the URRs linked to them; and again for what is asked for at once.
  // Each in two parts when a monitoring time lies in between.
  change.events_max =
      2 * ((before.valid() ? before.urrs() : 0u) + (query == 0 ? 0u : unsigned{kUrrsMax}));
  installed.busy = true;
  return {};
}

/// What tunnels end with the change, for Error Indications and End Markers.
/// @param record  of the new rules; invalid: the session goes.
bool Sessions::prepare_tunnels(const RecordReader& before, const RecordReader& record,
                               Prepared& change, Pending& pending) {
  FlowRules fresh[kDirections];
  for (unsigned d = 0; d < kDirections; ++d) fresh[d] = change.compiled.flows[d].rules;
  list_remote_tunnels(arena_, pending.old_rules, old_tunnels_);
  list_remote_tunnels(arena_, fresh, tunnels_);
  subtract_tunnels(old_tunnels_, tunnels_, pending.remotes_obsolete);
  subtract_tunnels(tunnels_, old_tunnels_, pending.remotes_inserted);
  keep_other_places(pending.remotes_obsolete, tunnels_);
  keep_other_places(pending.remotes_inserted, old_tunnels_);
  if (!list_remotes(change.session, pending)) return false;
  change.end_markers = 0;
  if ((change.flags & kOperationEndMarkers) == 0) return true;
  if (prepare_end_markers(before, record, change, pending)) return true;
  erase_remotes(change.session, pending.remotes_inserted);
  return false;
}

/// A path ends once: when packets have another, not when they wait for one.
bool Sessions::prepare_end_markers(const RecordReader& before, const RecordReader& record,
                                   Prepared& change, Pending& pending) {
  if (before.valid()) add_idle_tunnels(before, pending, old_tunnels_);
  if (record.valid()) add_idle_tunnels(record, pending, tunnels_);
  subtract_tunnels(old_tunnels_, tunnels_, ended_);
  if (ended_.empty()) {
    compiler_.release_fars(pending.idle_fars);
    return true;
  }
  change.end_markers = arena_.allocate(RemoteTunnelList::size(ended_.size()));
  if (change.end_markers == 0) {
    compiler_.release_fars(pending.idle_fars);
    return false;
  }
  auto* list = arena_.at<RemoteTunnelList>(change.end_markers);
  *list = {static_cast<std::uint32_t>(ended_.size()), 0};
  std::copy(ended_.begin(), ended_.end(), list->tunnels());
  return true;
}

void Sessions::add_idle_tunnels(const RecordReader& record, Pending& pending,
                                std::vector<RemoteTunnel>& tunnels) {
  const std::size_t first = pending.idle_fars.size();
  compiler_.idle_tunnels(record, pending.idle_fars);
  for (std::size_t i = first; i < pending.idle_fars.size(); ++i) {
    const RemoteTunnel tunnel{pending.idle_fars[i].teid, pending.idle_fars[i].peer};
    if (std::find(tunnels.begin(), tunnels.end(), tunnel) == tunnels.end())
      tunnels.push_back(tunnel);
  }
}

/// Error Indications name an address and a TEID: tunnels to two UDP ports of a peer are in one
/// place of the table. Leaves those that are in none of `others`.
void Sessions::keep_other_places(std::vector<RemoteTunnel>& tunnels,
                                 const std::vector<RemoteTunnel>& others) const {
  std::erase_if(tunnels, [&](const RemoteTunnel& tunnel) {
    return std::any_of(others.begin(), others.end(), [&](const RemoteTunnel& other) {
      return other.teid == tunnel.teid &&
             RemoteAddress::of(peers_[other.peer]) == RemoteAddress::of(peers_[tunnel.peer]);
    });
  });
}

bool Sessions::list_remotes(SessionIndex session, Pending& pending) {
  std::vector<RemoteTunnel>& tunnels = pending.remotes_inserted;
  for (std::size_t i = 0; i < tunnels.size(); ++i) {
    const auto peer = RemoteAddress::of(peers_[tunnels[i].peer]);
    if (remotes_.insert(peer, tunnels[i].teid, session)) continue;
    tunnels.resize(i);
    erase_remotes(session, tunnels);
    return false;
  }
  return true;
}

void Sessions::erase_remotes(SessionIndex session, const std::vector<RemoteTunnel>& tunnels) {
  for (const RemoteTunnel& t : tunnels) {
    remotes_.erase(RemoteAddress::of(peers_[t.peer]), t.teid, session);
  }
}

void Sessions::free_end_markers(Prepared& change, Pending& pending) {
  compiler_.release_fars(pending.idle_fars);
  if (change.end_markers == 0) return;
  const auto* list = arena_.at<RemoteTunnelList>(change.end_markers);
  arena_.free(change.end_markers, RemoteTunnelList::size(list->count));
  change.end_markers = 0;
}

void Sessions::abort(std::uint32_t ticket) {
  Prepared& change = prepared_[ticket];
  Pending& pending = pending_[ticket];
  free_end_markers(change, pending);
  erase_remotes(change.session, pending.remotes_inserted);
  if (change.kind != OperationKind::Delete) {
    compiler_.release(change.compiled.flows);
    compiler_.release_account(change.compiled.account);
    for (const TableKey& key : pending.inserted) erase_key(key);
  }
  installed_[change.session].busy = false;
  installed_[change.session].displacing = 0;
  change.next_free = free_prepared_;
  free_prepared_ = ticket;
}

void Sessions::retire(std::uint32_t ticket) {
  Prepared& change = prepared_[ticket];
  Pending& pending = pending_[ticket];
  free_end_markers(change, pending);
  Installed& installed = installed_[change.session];
  if (change.kind != OperationKind::Create) {
    erase_remotes(change.session, pending.remotes_obsolete);
    Flow old[kDirections];
    for (unsigned d = 0; d < kDirections; ++d) old[d].rules = pending.old_rules[d];
    compiler_.release(old);
    compiler_.release_account(pending.old_account);
    for (const TableKey& key : pending.obsolete) erase_key(key);
  }
  const bool gone = change.kind == OperationKind::Delete;
  if (gone) --live_;
  if (change.kind == OperationKind::Create) ++live_;
  installed = {gone ? nullptr : pending.record,
               gone ? 0 : static_cast<std::uint32_t>(pending.record_bytes), false};
  change.next_free = free_prepared_;
  free_prepared_ = ticket;
}

}  // namespace sluice
