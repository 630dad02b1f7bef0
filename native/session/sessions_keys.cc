// Under which addresses packets reach sessions, and who has them. Control thread.
#include <algorithm>

#include "session/sessions.h"

namespace sluice {
using namespace record;

std::uint32_t Sessions::direct_teid(const RecordReader& record,
                                    SessionIndex session) const noexcept {
  for (unsigned i = 0; i < record.pdrs(); ++i) {
    const std::uint32_t* p = record.pdr(i);
    Direction d;
    if ((p[pdr::FTeid] & pdr::kFTeidPresent) && direction_of(p, d) && d == Direction::Uplink &&
        scheme_.candidate(Teid{p[pdr::Teid]}) == session) {
      return p[pdr::Teid];
    }
  }
  return 0;
}

namespace {
/// A UE address or framed route as a prefix, for the sieve.
Route prefix_of(const TableKey& key) noexcept {
  switch (key.kind) {
    case TableKey::Kind::Ipv4:
      return {{static_cast<std::uint32_t>(key.key), 0, 0, 0}, 32, false, 0};
    case TableKey::Kind::Ipv6:
      return {
          {static_cast<std::uint32_t>(key.key >> 32), static_cast<std::uint32_t>(key.key), 0, 0},
          64,
          true,
          0};
    default:
      return key.route;
  }
}
}  // namespace

bool Sessions::insert_key(const TableKey& key, SessionIndex session) {
  bool inserted = false;
  switch (key.kind) {
    case TableKey::Kind::Teid:
      return teids_.insert(key.key, key.qualifier, session);
    case TableKey::Kind::Ipv4:
      inserted = ipv4_.insert(key.key, key.qualifier, session);
      break;
    case TableKey::Kind::Ipv6:
      inserted = ipv6_.insert(key.key, key.qualifier, session);
      break;
    case TableKey::Kind::Route:
      inserted = routes_.insert(key.route, key.qualifier, session);
      break;
  }
  if (inserted) sieve_.add_ue(prefix_of(key));
  return inserted;
}

bool Sessions::find_key(const TableKey& key, SessionIndex asking, SessionIndex& session) const {
  switch (key.kind) {
    case TableKey::Kind::Teid: {
      // A direct TEID is in no table: its flow says who has it. Not that of who asks: of two
      // TEIDs that lead to its place the first in the order of its PDRs is the direct one.
      const auto teid = static_cast<std::uint32_t>(key.key);
      const SessionIndex there = scheme_.candidate(Teid{teid});
      if (there != kNoSession && there != asking && installed_[there].record != nullptr) {
        const RecordReader record(installed_[there].record, installed_[there].bytes);
        if (direct_teid(record, there) == teid) {
          session = there;
          return true;
        }
      }
      return teids_.size() != 0 && teids_.find(key.key, key.qualifier, session);
    }
    case TableKey::Kind::Ipv4:
      return ipv4_.find(key.key, key.qualifier, session);
    case TableKey::Kind::Ipv6:
      return ipv6_.find(key.key, key.qualifier, session);
    case TableKey::Kind::Route:
      return routes_.find_exact(key.route, key.qualifier, session);
  }
  return false;
}

void Sessions::erase_key(const TableKey& key) {
  if (key.kind != TableKey::Kind::Teid) sieve_.remove_ue(prefix_of(key));
  switch (key.kind) {
    case TableKey::Kind::Teid:
      teids_.erase(key.key, key.qualifier);
      break;
    case TableKey::Kind::Ipv4:
      ipv4_.erase(key.key, key.qualifier);
      break;
    case TableKey::Kind::Ipv6:
      ipv6_.erase(key.key, key.qualifier);
      break;
    case TableKey::Kind::Route:
      routes_.erase(key.route, key.qualifier);
      break;
  }
}

PrepareError Sessions::reserve_keys(const RecordReader& record, SessionIndex session,
                                    Pending& pending) {
  pending.clear_keys();
  const std::uint32_t direct = direct_teid(record, session);
  if (direct != 0) {
    // It is in no table itself, but somebody else's choice may be.
    compiler_.keys(record, 0, keys_);
    for (const TableKey& key : keys_) {
      SessionIndex other = session;
      if (key.kind == TableKey::Kind::Teid && static_cast<std::uint32_t>(key.key) == direct &&
          teids_.size() != 0 && teids_.find(key.key, key.qualifier, other) && other != session &&
          !is_displaced_by(other, session)) {
        return {PrepareStatus::TeidTaken, key.pdr};
      }
    }
  }
  if (const auto error = compiler_.keys(record, direct, keys_); error.status != PrepareStatus::Ok) {
    return error;
  }
  old_keys_.clear();
  const Installed& installed = installed_[session];
  if (installed.record != nullptr) {
    const RecordReader old(installed.record, installed.bytes);
    compiler_.keys(old, direct_teid(old, session), old_keys_);
  }
  const auto contains = [](const std::vector<TableKey>& list, const TableKey& key) {
    return std::any_of(list.begin(), list.end(), [&](const auto& k) { return k.same_place(key); });
  };
  for (const TableKey& key : keys_) {
    if (contains(old_keys_, key)) continue;
    PrepareError error;
    SessionIndex other = kNoSession;
    const bool found = find_key(key, session, other);
    if (found && !is_displaced_by(other, session)) {
      error = {key.kind == TableKey::Kind::Teid ? PrepareStatus::TeidTaken
                                                : PrepareStatus::UeAddressTaken,
               key.pdr};
    } else if (found && is_tabled(key)) {
      pending.taken.push_back(key);
      continue;
    } else if (!insert_key(key, session)) {
      error = {PrepareStatus::Resources, key.pdr};
    }
    if (error.status != PrepareStatus::Ok) {
      for (const TableKey& done : pending.inserted) erase_key(done);
      pending.inserted.clear();
      return error;
    }
    pending.inserted.push_back(key);
  }
  for (const TableKey& key : old_keys_) {
    if (!contains(keys_, key)) pending.obsolete.push_back(key);
  }
  return {};
}

SessionIndex Sessions::holder(SessionIndex session, const RecordReader& record, bool teids,
                              std::span<const SessionIndex> but_for) const {
  if (!record.valid()) return kNoSession;
  std::vector<TableKey> keys;
  compiler_.keys(record, 0, keys);
  for (const TableKey& key : keys) {
    SessionIndex other = kNoSession;
    if ((key.kind == TableKey::Kind::Teid) != teids) continue;
    if (!find_key(key, session, other) || other == session) continue;
    if (std::find(but_for.begin(), but_for.end(), other) == but_for.end()) return other;
  }
  return kNoSession;
}

void Sessions::displace(std::uint32_t ticket, SessionIndex successor) {
  pending_[ticket].successor = successor;
  installed_[prepared_[ticket].session].displacing = ticket + 1;
}

void Sessions::hand_over(std::uint32_t ticket) {
  const SessionIndex session = prepared_[ticket].session;
  for (const TableKey& key : pending_[ticket].taken) {
    SessionIndex other = kNoSession;
    if (!find_key(key, session, other) || !is_displaced_by(other, session)) continue;
    std::vector<TableKey>& obsolete = pending_[installed_[other].displacing - 1].obsolete;
    std::erase_if(obsolete, [&](const TableKey& o) { return o.same_place(key); });
    erase_key(key);
    insert_key(key, session);  // Into the place that has just become free.
  }
}

}  // namespace sluice
