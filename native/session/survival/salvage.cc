#include "session/survival/salvage.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/clock.h"

namespace sluice {
namespace {

/// "Worker" of the reports that carry_on() makes; their position is the URR's.
constexpr std::uint32_t kCarriedWorker = 0xffff;

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

/// The watch of a URR, null when it has none inside its account.
const UrrWatch* watch_of(Account& account, const UrrState& urr, std::uint32_t bytes) {
  const std::size_t end = account.size() + (urr.watch - 1u) * std::size_t{8} + sizeof(UrrWatch);
  return urr.watch == 0 || end > bytes ? nullptr : account.watch(urr);
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
  /// By session and direction.
  std::map<std::array<std::uint32_t, 2>, LentUsage> lent;
};

std::uint32_t Salvage::run_of(Region& region) noexcept {
  const auto section = region.find(RegionSection::Usage);
  if (section.size() < sizeof(UsageDirectory)) return 0;
  const auto& directory = *reinterpret_cast<const UsageDirectory*>(section.data());
  return directory.layout == usage_layout() ? directory.run : 0;
}

Status Salvage::read(Region& region, std::uint64_t realtime_offset,
                     std::span<const LentUsage> lent) {
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
  Source source{region, directory, realtime_offset, {}, {}};
  for (const LentUsage& usage : lent) source.lent[{usage.session, usage.direction}] = usage;
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
    const auto lent = source.lent.find({session, d});
    if (lent == source.lent.end()) continue;
    flows[d].state.usage_left = lent->second.usage_left;
    flows[d].state.usage_packets = lent->second.usage_packets;
  }
  const std::byte* account = nullptr;
  std::uint32_t bytes = 0;
  const UsageJournal* step = nullptr;
  for (const UsageJournal* open : source.open) {
    if (open->session == session) step = open;
  }
  if (step != nullptr) {
    account = step->account;
    bytes = std::min<std::uint32_t>(step->account_bytes, kAccountBytesMax);
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
      head->urr_count > kUrrsMax || bytes > kAccountBytesMax || head->size() > bytes) {
    ++unreadable_;
    return;
  }
  alignas(Account) std::byte copy[kAccountBytesMax];
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
    const UrrWatch* watch = watch_of(*view.account, urr, bytes);
    urrs_.push_back(keep_urr(urr, clock, watch, source.realtime_offset));
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

Event Salvage::event_of(const SessionView& session, std::size_t urr) const {
  Event event{};
  event.kind = EventKind::Usage;
  event.session = session.index;
  event.incarnation = session.flows[0]->rules.incarnation;
  event.id = urrs_[urr].id;
  event.sequence = urrs_[urr].sequence;
  event.run = run_;
  event.worker = kCarriedWorker;
  event.position = urr;
  return event;
}

/// What came before a monitoring time. @return the number of the report behind it.
std::uint32_t Salvage::report_before(const SessionView& session, std::size_t urr,
                                     EventSink& sink) const {
  const CarriedUrr& c = urrs_[urr];
  if (split_of(c) != UrrWatch::kBefore) return c.sequence;
  Event event = event_of(session, urr);
  event.triggers = kTriggerMonitoringTime;
  event.part = kUsageBeforeMonitoringTime;
  for (unsigned d = 0; d < kDirections && (c.flags & kUrrVolume); ++d) {
    event.bytes[d] = c.before_bytes[d];
    event.packets[d] = c.before_packets[d];
  }
  event.start_time = c.before_since_time;
  event.end_time = std::max(c.before_until_time, c.before_since_time);
  event.duration_ns =
      c.flags & kUrrDuration ? c.before_measured : event.end_time - event.start_time;
  event.position |= std::uint64_t{1} << 32;
  if (!is_written(event)) sink.push(event);
  return c.sequence + 1;
}

void Salvage::report(const SessionView& session, std::size_t urr, std::uint32_t triggers,
                     Nanoseconds now, EventSink& sink) const {
  const CarriedUrr& c = urrs_[urr];
  const std::uint32_t sequence = report_before(session, urr, sink);
  Event event = event_of(session, urr);
  event.sequence = sequence;
  if (split_of(c) != UrrWatch::kWhole) event.part = kUsageAfterMonitoringTime;
  event.triggers = triggers | (c.pending & ~kPendingInactivity);
  for (unsigned d = 0; d < kDirections && (c.flags & kUrrVolume); ++d) {
    event.bytes[d] = c.bytes[d];
    event.packets[d] = c.packets[d];
  }
  event.start_time = c.since_time;
  event.end_time = std::max(now + sink.realtime_offset(), c.since_time);
  event.duration_ns = c.flags & kUrrDuration ? c.measured : event.end_time - event.start_time;
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
      UrrWatch* watch = session.account->watch(state);
      restore_urr(state, clock, watch, *from, offset, now);
      if (state.pending != 0) {
        report(session, static_cast<std::size_t>(from - urrs_.data()), 0, now, sink);
        state.bytes[0] = state.bytes[1] = state.packets[0] = state.packets[1] = 0;
        state.pending = 0;
        state.since = now;
        state.sequence = from->sequence + (split_of(*from) == UrrWatch::kBefore ? 2 : 1);
        if (clock != nullptr) clock->measured = clock->seen = 0;
        if (watch != nullptr) usage_start_window(state, clock, *watch);
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
