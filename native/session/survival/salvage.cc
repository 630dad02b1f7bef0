#include "session/survival/salvage.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/clock.h"

namespace sluice {
namespace {

/// "Worker" of the reports that carry_on() makes; their position is the URR's.
constexpr std::uint32_t kCarriedWorker = 0xffff;

/// A monotonic time as one since 1970, and back; never is 0 there. A machine that was started
/// anew has a younger monotonic clock: what lies before its start is its start.
std::uint64_t to_realtime(Nanoseconds time, std::uint64_t offset) {
  return time == kNever ? 0 : time + offset;
}
Nanoseconds to_monotonic(std::uint64_t time, std::uint64_t offset) {
  if (time == 0) return kNever;
  return time > offset ? time - offset : 0;
}

/// What is carried of a URR, there and back.
CarriedUrr keep(const UrrState& u, const UrrClock* clock, std::uint64_t realtime_offset) {
  CarriedUrr c{};
  c.id = u.id;
  c.definition = u.definition;
  c.sequence = u.sequence;
  c.flags = u.flags;
  c.pending = u.pending;
  std::copy(std::begin(u.bytes), std::end(u.bytes), c.bytes);
  std::copy(std::begin(u.packets), std::end(u.packets), c.packets);
  std::copy(std::begin(u.quota_left), std::end(u.quota_left), c.quota_left);
  c.since_time = u.since + realtime_offset;
  if (clock == nullptr) return c;
  c.time_quota_left = clock->quota_left;
  c.measured = clock->measured;
  c.running_time = to_realtime(clock->running_since, realtime_offset);
  c.period_time = to_realtime(clock->next_period, realtime_offset);
  c.active_time = to_realtime(clock->active_at, realtime_offset);
  c.seen = clock->seen;
  return c;
}

/// Time went on while nobody ran: durations, periods and inactivity as if packets had ceased.
void restore_to(UrrClock& clock, const CarriedUrr& c, std::uint64_t offset, Nanoseconds now) {
  if (c.active_time == 0) return;  // of a version that had no clocks
  clock.quota_left = c.time_quota_left;
  clock.measured = c.measured;
  clock.running_since = to_monotonic(c.running_time, offset);
  if (clock.runs()) clock.running_since = std::min(clock.running_since, now);
  if (clock.period != kNever && c.period_time != 0) {
    clock.next_period = to_monotonic(c.period_time, offset);
  }
  clock.active_at = std::min(to_monotonic(c.active_time, offset), now);
  clock.seen = c.seen;
}

void restore_to(UrrState& u, const CarriedUrr& c, std::uint64_t realtime_offset, Nanoseconds now) {
  u.sequence = c.sequence;
  // What was asked for is the session's own: of the same definition.
  u.flags = static_cast<std::uint8_t>((u.flags & kUrrRules) | (c.flags & ~kUrrRules));
  u.pending = c.pending & ~kPendingInactivity;
  // One that was not told is found out once more.
  if (c.pending & kPendingInactivity) u.flags &= static_cast<std::uint8_t>(~kUrrQuiet);
  std::copy(std::begin(c.bytes), std::end(c.bytes), u.bytes);
  std::copy(std::begin(c.packets), std::end(c.packets), u.packets);
  std::copy(std::begin(c.quota_left), std::end(c.quota_left), u.quota_left);
  // A machine that was started anew has a younger monotonic clock: then the start is its own.
  u.since = c.since_time > realtime_offset ? std::min(c.since_time - realtime_offset, now) : 0;
}

bool inside(const Region& region, std::uint64_t offset, std::uint64_t bytes,
            std::size_t alignment = 8) {
  return offset != 0 && offset % alignment == 0 && offset <= region.size() &&
         bytes <= region.size() - offset;
}

/// Whether usage_fold() can make something of it: no credit was spent that was not granted, and
/// sets name URRs that are there.
bool can_be_folded(SessionView& session) {
  Account& account = *session.account;
  for (unsigned d = 0; d < kDirections; ++d) {
    const UsageSet* sets = account.sets(static_cast<Direction>(d));
    for (unsigned s = 0; s < account.set_count[d]; ++s) {
      const std::int64_t left = s == 0 ? session.flows[d]->state.usage_left : sets[s].left;
      const std::int64_t used = sets[s].granted - left;
      if (sets[s].granted < 0 || used < 0 || used > std::numeric_limits<std::int32_t>::max() ||
          (account.urr_count < kUrrsMax && sets[s].urrs >> account.urr_count != 0)) {
        return false;
      }
    }
  }
  return true;
}

std::uint32_t place_of(SessionIndex session, std::uint32_t slots_per_bucket) {
  return session / slots_per_bucket << 16 | session % slots_per_bucket;
}

}  // namespace

struct Salvage::Source {
  Region& region;
  const UsageDirectory& directory;
  std::uint64_t realtime_offset;
  /// The journals of workers that ended inside a step, by worker.
  std::vector<const UsageJournal*> open;
};

Status Salvage::read(Region& region) {
  const auto section = region.find(RegionSection::Usage);
  if (section.size() < sizeof(UsageDirectory)) return Error{"it names no usage", ""};
  const auto& directory = *reinterpret_cast<const UsageDirectory*>(section.data());
  if (directory.layout != usage_layout()) {
    return Error{"another version of the program wrote it", ""};
  }
  const std::uint64_t sessions = std::uint64_t{directory.slots_per_bucket} * kBuckets;
  bool whole =
      sessions != 0 && sessions <= kSessionIndexMax + 1ull && directory.workers <= kUsageWorkersMax;
  for (const std::uint64_t flows : directory.flows) {
    whole = whole && inside(region, flows, sessions * sizeof(Flow));
  }
  for (unsigned w = 0; whole && w < directory.workers; ++w) {
    whole = inside(region, directory.worker[w].events, sizeof(SpscRing<Event>), kCacheLine) &&
            inside(region, directory.worker[w].journal, sizeof(UsageJournal), kCacheLine);
  }
  if (!whole) return Error{"it is damaged", ""};
  *this = {};
  run_ = directory.run;
  started_ = directory.started;
  Source source{region, directory, Clock::machine().realtime_offset(), {}};
  for (unsigned w = 0; w < directory.workers; ++w) {
    const auto& journal =
        *reinterpret_cast<const UsageJournal*>(region.at(directory.worker[w].journal));
    if (journal.open_from.load(std::memory_order_acquire) != UsageJournal::kClosed) {
      source.open.push_back(&journal);
    }
    take_events(source, w);
  }
  for (SessionIndex index = 0; index < sessions; ++index) take_session(source, index);
  index();
  return Ok{};
}

void Salvage::take_events(const Source& source, unsigned worker) {
  const UsageDirectory::Worker& at = source.directory.worker[worker];
  const auto& ring = *reinterpret_cast<const SpscRing<Event>*>(source.region.at(at.events));
  const auto& journal = *reinterpret_cast<const UsageJournal*>(source.region.at(at.journal));
  const std::uint64_t end = journal.visible(ring.produced());
  std::uint64_t position = ring.consumed();
  if (!ring.is_sound() || end < position || end - position > ring.capacity() ||
      !inside(source.region, at.events, SpscRing<Event>::bytes(ring.capacity()))) {
    ++unreadable_;
    return;
  }
  for (; position < end; ++position) {
    Event event = ring.at(position);
    if (event.session >= source.directory.slots_per_bucket * kBuckets ||
        event.kind < EventKind::Usage || event.kind > EventKind::Inactivity) {
      ++unreadable_;
      continue;
    }
    event.session = place_of(event.session, source.directory.slots_per_bucket);
    event.ticket = 0;  // nobody waits for it any more
    event.run = run_;
    event.worker = worker;
    event.position = position;
    events_.push_back(event);
  }
}

void Salvage::take_session(const Source& source, SessionIndex session) {
  Flow flows[kDirections];
  for (unsigned d = 0; d < kDirections; ++d) {
    const std::byte* at = source.region.at(source.directory.flows[d]) + session * sizeof(Flow);
    std::memcpy(static_cast<void*>(&flows[d]), at, sizeof(Flow));
  }
  const std::byte* account = nullptr;
  std::uint32_t bytes = 0;
  const UsageJournal* step = nullptr;
  for (const UsageJournal* open : source.open) {
    if (open->session == session) step = open;
  }
  if (step != nullptr) {
    account = step->account;
    bytes = std::min<std::uint32_t>(step->account_bytes, UsageJournal::kAccountBytesMax);
    for (unsigned d = 0; d < kDirections; ++d) {
      flows[d].rules.incarnation = step->incarnation;
      flows[d].state.usage_left = step->usage_left[d];
      flows[d].state.usage_packets = step->usage_packets[d];
    }
    if (bytes == 0) return;  // it was on its way in
  } else {
    if ((flows[0].state.flags & kFlowLive) == 0 || flows[0].state.account == 0) return;
    const std::uint64_t offset = std::uint64_t{flows[0].state.account} * 8;
    if (inside(source.region, offset, sizeof(Account))) {
      account = source.region.at(offset);
      bytes = reinterpret_cast<const Account*>(account)->bytes;
      if (!inside(source.region, offset, bytes)) account = nullptr;
    }
  }
  const auto* head = reinterpret_cast<const Account*>(account);
  if (head == nullptr || bytes < sizeof(Account) || head->session != session ||
      head->urr_count > kUrrsMax || bytes > UsageJournal::kAccountBytesMax ||
      head->size() > bytes) {
    ++unreadable_;
    return;
  }
  alignas(Account) std::byte copy[UsageJournal::kAccountBytesMax];
  std::memcpy(copy, account, bytes);
  SessionView view{session, {&flows[0], &flows[1]}, reinterpret_cast<Account*>(copy)};
  if (!can_be_folded(view)) {
    ++unreadable_;
    return;
  }
  usage_fold(view);
  const Entry entry{place_of(session, source.directory.slots_per_bucket),
                    flows[0].rules.incarnation, static_cast<std::uint32_t>(urrs_.size()),
                    head->urr_count};
  for (unsigned i = 0; i < entry.count; ++i) {
    const UrrState& urr = view.account->urrs()[i];
    const UrrClock* clock = urr.clock <= head->clock_count ? view.account->clock(urr) : nullptr;
    urrs_.push_back(keep(urr, clock, source.realtime_offset));
  }
  if (entry.count != 0) sessions_.push_back(entry);
}

void Salvage::index() {
  slots_ = 1;
  for (const Entry& e : sessions_) slots_ = std::max(slots_, (e.place & 0xffff) + 1);
  by_place_.assign(std::size_t{slots_} * kBuckets, 0);
  for (std::uint32_t i = 0; i < sessions_.size(); ++i) {
    const std::uint32_t place = sessions_[i].place;
    by_place_[std::size_t{place >> 16 & 0xff} * slots_ + (place & 0xffff)] = i + 1;
  }
}

const Salvage::Entry* Salvage::find(std::uint32_t place, std::uint32_t incarnation) const noexcept {
  if ((place & 0xffff) >= slots_) return nullptr;
  const std::uint32_t at = by_place_[std::size_t{place >> 16} * slots_ + (place & 0xffff)];
  if (at == 0 || sessions_[at - 1].incarnation != incarnation) return nullptr;
  return &sessions_[at - 1];
}

void Salvage::written(const Event& event) {
  if (event.run == 0) return;
  written_.insert({event.run, event.worker, event.position});
  std::uint64_t& next = ring_next_[{event.run, event.worker}];
  next = std::max(next, event.position + 1);
  if (event.kind != EventKind::Usage) return;
  std::uint32_t& sequence = sequences_[{event.session, event.incarnation, event.id}];
  sequence = std::max(sequence, event.sequence + 1);
}

bool Salvage::is_written(const Event& event) const {
  if (event.worker == kCarriedWorker) {
    return written_.contains({event.run, event.worker, event.position});
  }
  // Events of a ring were written in their order.
  const auto next = ring_next_.find({event.run, event.worker});
  return next != ring_next_.end() && event.position < next->second;
}

void Salvage::send_events(std::uint32_t slots_per_bucket, EventSink& sink) {
  for (Event event : events_) {
    const std::uint32_t slot = event.session & 0xffff;
    if (slot >= slots_per_bucket) continue;
    event.session = (event.session >> 16) * slots_per_bucket + slot;
    if (is_written(event)) continue;
    sink.push(event);
    written(event);
  }
}

void Salvage::report(const SessionView& session, std::size_t urr, std::uint32_t triggers,
                     Nanoseconds now, EventSink& sink) const {
  const CarriedUrr& c = urrs_[urr];
  Event event{};
  event.kind = EventKind::Usage;
  event.session = session.index;
  event.incarnation = session.flows[0]->rules.incarnation;
  event.id = c.id;
  event.sequence = c.sequence;
  event.triggers = triggers | (c.pending & ~kPendingInactivity);
  for (unsigned d = 0; d < kDirections && (c.flags & kUrrVolume); ++d) {
    event.bytes[d] = c.bytes[d];
    event.packets[d] = c.packets[d];
  }
  event.start_time = c.since_time;
  event.end_time = std::max(now + sink.realtime_offset(), c.since_time);
  event.duration_ns = c.flags & kUrrDuration ? c.measured : event.end_time - event.start_time;
  event.run = run_;
  event.worker = kCarriedWorker;
  event.position = urr;
  if (!is_written(event)) sink.push(event);
}

void Salvage::carry_on(SessionView& session, std::uint32_t slots_per_bucket, Nanoseconds now,
                       EventSink& sink) {
  const std::uint32_t incarnation = session.flows[0]->rules.incarnation;
  const Entry* entry = find(place_of(session.index, slots_per_bucket), incarnation);
  const std::uint64_t offset = sink.realtime_offset();
  const unsigned count = session.account == nullptr ? 0 : session.account->urr_count;
  std::uint64_t taken = 0;
  for (unsigned i = 0; i < count; ++i) {
    UrrState& state = session.account->urrs()[i];
    const CarriedUrr* from = nullptr;
    for (std::uint32_t k = 0; entry != nullptr && k < entry->count; ++k) {
      const CarriedUrr& c = urrs_[entry->first + k];
      if (c.id != state.id || c.definition != state.definition) continue;
      from = &c;
      taken |= 1ull << k;
    }
    if (from != nullptr) {
      UrrClock* clock = session.account->clock(state);
      restore_to(state, *from, offset, now);
      if (clock != nullptr) restore_to(*clock, *from, offset, now);
      if (state.pending != 0) {
        report(session, static_cast<std::size_t>(from - urrs_.data()), 0, now, sink);
        state.bytes[0] = state.bytes[1] = state.packets[0] = state.packets[1] = 0;
        state.pending = 0;
        state.since = now;
        ++state.sequence;
        if (clock != nullptr) clock->measured = clock->seen = 0;
      }
    } else if (entry == nullptr) {
      // Its deletion was carried out and reported, and never stored.
      const auto reported = sequences_.find({session.index, incarnation, state.id});
      if (reported != sequences_.end()) state.sequence = reported->second;
    }
  }
  for (std::uint32_t k = 0; entry != nullptr && k < entry->count; ++k) {
    if ((taken >> k & 1) == 0) report(session, entry->first + k, kTriggerTermination, now, sink);
  }
  if (entry != nullptr) ++carried_;
  if (taken == 0) return;
  usage_grant(session);
  // What became due meanwhile is reported when the worker runs, which is nobody's twice.
  if (session.account->clock_count != 0) sink.schedule(session.account->timer, now);
}

}  // namespace sluice
