// What an earlier run had counted and not reported: read out of its region, kept in a file of
// the data folder until a restart has taken it over, and handed to the sessions as they come
// back. One way for a crash and for an orderly stop. Thread: control, while no worker runs.
//
// Start at read(), then carry_on().
#pragma once
#include <array>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "memory/lent_flow.h"
#include "memory/region.h"
#include "session/survival/carried_urr.h"
#include "session/survival/usage_directory.h"

namespace sluice {

class Salvage {
 public:
  /// Takes what the region of a run that ended says. Errors: another layout, or it makes no
  /// sense; then nothing is taken.
  /// @param realtime_offset  what makes the run's times those since 1970.
  /// @param lent  of flows whose lines lack it; of this run.
  Status read(Region& region, std::uint64_t realtime_offset, std::span<const LentUsage> lent = {});
  /// Which run a region is of; 0: none that read() would take.
  static std::uint32_t run_of(Region& region) noexcept;

  /// Writes all to a file, which is replaced as a whole. Error: the system refuses.
  /// @param flush  it is on disk when this returns.
  Status save(const std::string& path, bool flush) const;
  /// Takes what save() wrote. Error: it is torn, or of a version that can't be read.
  Status load(const std::string& path);

  /// An event that the store has already, with an index of this run: it is not sent again.
  void written(const Event& event);
  /// Events that waited in the earlier run, with indices of this one, into `sink`.
  void send_events(std::uint32_t slots_per_bucket, EventSink& sink);
  /// Lets a session that was just installed go on where it was. URRs that it has not any more,
  /// because the store had a change that the packet path had not, are reported to the end.
  void carry_on(SessionView& session, std::uint32_t slots_per_bucket, Nanoseconds now,
                EventSink& sink);

  /// When the run that was read began, ns since 1970; 0: none was.
  std::uint64_t started() const noexcept { return started_; }
  std::size_t sessions() const noexcept { return sessions_.size(); }
  /// Of these, how many have come back.
  std::size_t carried() const noexcept { return carried_; }
  std::size_t events() const noexcept { return events_.size(); }
  /// Sessions, events and rings of events whose memory made no sense.
  std::size_t unreadable() const noexcept { return unreadable_; }

 private:
  struct Entry {
    std::uint32_t place;  ///< bucket << 16 | slot
    std::uint32_t incarnation;
    std::uint32_t first;  ///< in urrs_
    std::uint32_t count;
  };
  struct FileHeader;
  struct Source;
  void take_session(const Source& source, SessionIndex index);
  void take_events(const Source& source, unsigned worker);
  const Entry* find(std::uint32_t place, std::uint32_t incarnation) const noexcept;
  void index();
  bool is_written(const Event& event) const;
  /// Sends what a URR, by its place in urrs_, has counted.
  void report(const SessionView& session, std::size_t urr, std::uint32_t triggers, Nanoseconds now,
              EventSink& sink) const;
  Event event_of(const SessionView& session, std::size_t urr) const;
  std::uint32_t report_before(const SessionView& session, std::size_t urr, EventSink& sink) const;

  std::uint32_t run_ = 0;
  std::uint64_t started_ = 0;
  std::vector<Entry> sessions_;
  std::vector<CarriedUrr> urrs_;
  std::vector<Event> events_;            ///< Event::session is a place
  std::vector<std::uint32_t> by_place_;  ///< position in sessions_ + 1, by bucket and slot
  std::uint32_t slots_ = 0;              ///< per bucket, in by_place_
  /// Of the store's events: which they are, how far each ring was written, by {run, worker},
  /// and the next sequence by {session, incarnation, URR}.
  std::set<std::array<std::uint64_t, 3>> written_;
  std::map<std::array<std::uint32_t, 2>, std::uint64_t> ring_next_;
  std::map<std::array<std::uint32_t, 3>, std::uint32_t> sequences_;
  std::size_t carried_ = 0;
  std::size_t unreadable_ = 0;
};

}  // namespace sluice
