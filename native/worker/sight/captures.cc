#include "worker/sight/captures.h"

#include <algorithm>
#include <optional>

#include "session/compile/record_reader.h"

namespace sluice {
namespace {

/// By CapturePoint.
constexpr const char* kPoints[] = {"received", "in again", "was held", "lost", "sent"};
PcapngBlocks::Way way_of(CapturePoint point) noexcept {
  if (point == CapturePoint::Sent) return PcapngBlocks::Way::Outbound;
  return point == CapturePoint::Lost ? PcapngBlocks::Way::Unknown : PcapngBlocks::Way::Inbound;
}
/// By Fate.
constexpr const char* kFates[] = {"handed over to another worker",
                                  "held",
                                  "waits for the other fragments",
                                  "sent in pieces",
                                  "turned round to another UE",
                                  "answered",
                                  "opened"};

void mark(Sessions& sessions, const Worker& worker, const CaptureTable* table, bool on) noexcept {
  if (table == nullptr) return;
  const PipelineConfig& config = worker.config().pipeline;
  for (const CaptureFilter& filter : table->filters) {
    if (!filter.active || filter.session == kNoSession) continue;
    if (config.bucket_owner[sessions.scheme().bucket(filter.session)] != worker.config().id) {
      continue;
    }
    for (const auto direction : {Direction::Uplink, Direction::Downlink}) {
      std::uint16_t& flags = sessions.flows(direction)[filter.session].state.flags;
      // A session that is gone has no flags, and gets none.
      if (on && (flags & kFlowLive)) flags |= kFlowCapture;
      if (!on) flags &= static_cast<std::uint16_t>(~kFlowCapture);
    }
  }
}

}  // namespace

void Captures::TableErrand::run(Worker& worker, Nanoseconds) noexcept {
  // What is inside was copied under the table before: it ends under it, too.
  worker.pipeline().flush();
  mark(*sessions, worker, before, false);
  if (tap != nullptr) {
    mark(*sessions, worker, table.get(), true);
    tap->use(*table);
  }
  worker.pipeline().observe(tap);
}

Captures::Captures(std::span<const std::unique_ptr<Worker>> workers, Sessions& sessions,
                   std::vector<std::string> port_names, bool threads,
                   std::function<Nanoseconds()> now)
    : sessions_(sessions),
      port_names_(std::move(port_names)),
      threads_(threads),
      now_(std::move(now)) {
  for (const auto& worker : workers) {
    lanes_.emplace_back();
    lanes_.back().worker = worker.get();
  }
}

Captures::~Captures() { workers_ended(); }

template <typename F>
void Captures::append(std::vector<std::byte>& to, std::size_t room, F&& write) {
  const std::size_t used = to.size();
  to.resize(used + room);
  PcapngBlocks blocks(to.data() + used);
  write(blocks);
  to.resize(used + blocks.bytes());
}

Result<unsigned> Captures::start(const CaptureRequest& request) {
  turn();
  unsigned id = next_;
  for (unsigned n = 0; n < kCapturesMax && captures_[id].used; ++n) id = (id + 1) % kCapturesMax;
  if (captures_[id].used || ended_) {
    return Error{std::to_string(kCapturesMax) + " captures run, which is the limit; end one first",
                 ""};
  }
  // The number of one that has just ended is taken last.
  next_ = (id + 1) % kCapturesMax;
  Capture& capture = captures_[id] = Capture{};
  capture.used = true;
  capture.request = request;
  if (capture.request.snap == 0) capture.request.snap = kChunkBytes;
  capture.started = now_() + Clock::machine().realtime_offset();
  if (request.session != kNoSession) {
    const RecordReader record = sessions_.record(request.session);
    if (record.valid()) capture.session_name = record.text(record.header(record::header::Name));
  }
  for (Lane& lane : lanes_) {
    if (lane.tap == nullptr) lane.tap = std::make_unique<CaptureTap>();
  }
  for (unsigned p = 0; p < kPortsMax; ++p) capture.lost_before[p] = lost_of(id, p);
  append(capture.waiting, PcapngBlocks::kSectionMax,
         [](PcapngBlocks& blocks) { blocks.section(); });
  for (const std::string& name : port_names_) {
    append(capture.waiting, PcapngBlocks::kInterfaceMax,
           [&](PcapngBlocks& blocks) { blocks.interface(name); });
  }
  ++used_;
  change();
  capture.version = version_;
  turn();
  return id;
}

CaptureRead Captures::read(unsigned id) {
  turn();
  CaptureRead read;
  if (id >= kCapturesMax || !captures_[id].used) {
    read.end = CaptureEnd::Stopped;
    return read;
  }
  Capture& capture = captures_[id];
  read.in_force = in_force(capture.version);
  read.pcapng = std::move(capture.waiting);
  capture.waiting = {};
  read.packets = capture.packets;
  for (unsigned p = 0; p < kPortsMax; ++p) read.lost += lost_by(id, p);
  std::vector<std::byte> trailer = trailer_of(id);
  // One that ends is at its end only when no worker can add to it any more.
  if (capture.end == CaptureEnd::Running || !read.in_force) {
    read.trailer = std::move(trailer);
    return read;
  }
  read.pcapng.insert(read.pcapng.end(), trailer.begin(), trailer.end());
  read.end = capture.end;
  capture.used = false;
  --used_;
  return read;
}

/// What an interface brought and what of it was lost, for each.
std::vector<std::byte> Captures::trailer_of(unsigned id) const {
  const Capture& capture = captures_[id];
  std::vector<std::byte> trailer;
  const Nanoseconds now = now_() + Clock::machine().realtime_offset();
  for (unsigned p = 0; p < port_names_.size(); ++p) {
    append(trailer, PcapngBlocks::kStatisticsMax, [&](PcapngBlocks& blocks) {
      blocks.statistics({.interface = p,
                         .start = capture.started,
                         .end = now,
                         .received = capture.received[p],
                         .dropped = lost_by(id, p)});
    });
  }
  return trailer;
}

void Captures::stop(unsigned id) {
  turn();
  if (id < kCapturesMax && captures_[id].used) finish(captures_[id], CaptureEnd::Stopped);
  turn();
}

void Captures::session_gone(SessionIndex session) {
  for (Capture& capture : captures_) {
    if (capture.used && capture.request.session == session) {
      // Its last packets were copied before the deletion was complete.
      drain();
      finish(capture, CaptureEnd::SessionGone);
    }
  }
}

void Captures::finish(Capture& capture, CaptureEnd end) {
  if (capture.end != CaptureEnd::Running) return;
  const auto id = static_cast<unsigned>(&capture - captures_);
  for (unsigned p = 0; p < kPortsMax; ++p) {
    capture.lost[p] += lost_of(id, p) - capture.lost_before[p];
    ended_totals_.lost += capture.lost[p];
  }
  ended_totals_.packets += capture.packets;
  capture.end = end;
  change();
  capture.version = version_;
}

/// From now on another table is wanted; turn() brings it to the workers.
void Captures::change() {
  ++version_;
  lanes_idle_ = false;
}

bool Captures::in_force(std::uint64_t version) const {
  return ended_ || std::all_of(lanes_.begin(), lanes_.end(),
                               [&](const Lane& lane) { return lane.version >= version; });
}

void Captures::turn() {
  if (ended_ || (lanes_idle_ && used_ == 0)) return;
  for (Lane& lane : lanes_) {
    if (lane.errand == nullptr || !lane.posted || !lane.errand->done()) continue;
    lane.table = std::move(lane.errand->table);
    lane.version = lane.errand->version;
    lane.errand.reset();
    lane.posted = false;
  }
  drain();
  bool idle = true;
  for (Lane& lane : lanes_) {
    if (lane.version != version_ || lane.errand != nullptr) post(lane);
    idle = idle && lane.version == version_ && lane.errand == nullptr;
  }
  lanes_idle_ = idle;
  if (!idle || std::any_of(std::begin(captures_), std::end(captures_), [](const Capture& c) {
        return c.used && c.end == CaptureEnd::Running;
      })) {
    return;
  }
  // No worker looks at them any more, and what they held was delivered.
  for (Lane& lane : lanes_) lane.tap.reset();
}

void Captures::post(Lane& lane) {
  if (lane.posted) return;
  if (lane.errand == nullptr || lane.errand->version != version_) {
    lane.errand = std::make_unique<TableErrand>();
    lane.errand->sessions = &sessions_;
    lane.errand->before = lane.table.get();
    lane.errand->version = version_;
    auto table = std::make_unique<CaptureTable>();
    bool any = false;
    for (unsigned c = 0; c < kCapturesMax; ++c) {
      const Capture& capture = captures_[c];
      if (!capture.used || capture.end != CaptureEnd::Running) continue;
      const CaptureRequest& r = capture.request;
      table->filters[c] = {r.session, r.ports, r.drops, true};
      table->snap = std::max(table->snap, r.snap);
      any = true;
    }
    if (any && lane.tap == nullptr) lane.tap = std::make_unique<CaptureTap>();
    lane.errand->tap = any ? lane.tap.get() : nullptr;
    lane.errand->table = std::move(table);
  }
  lane.posted = lane.worker->post(*lane.errand);
  if (!lane.posted || threads_) return;
  lane.worker->run_errand(now_());
  lane.table = std::move(lane.errand->table);
  lane.version = lane.errand->version;
  lane.errand.reset();
  lane.posted = false;
}

/// Oldest first, whichever worker copied it.
void Captures::drain() {
  for (;;) {
    const CaptureRecord* oldest = nullptr;
    CaptureTap* from = nullptr;
    for (Lane& lane : lanes_) {
      if (lane.tap == nullptr) continue;
      const CaptureRecord* record = lane.tap->front();
      if (record == nullptr || (oldest != nullptr && oldest->time <= record->time)) continue;
      oldest = record;
      from = lane.tap.get();
    }
    if (oldest == nullptr) return;
    deliver(*oldest);
    from->release(*oldest);
  }
}

void Captures::deliver(const CaptureRecord& record) {
  std::string text;
  for (unsigned c = 0; c < kCapturesMax; ++c) {
    Capture& capture = captures_[c];
    if ((record.captures >> c & 1) == 0 || !capture.used || capture.end != CaptureEnd::Running) {
      continue;
    }
    if (capture.waiting.size() > kWaitingMax) {
      // Counted with what the rings lost: nobody reads fast enough.
      ++capture.lost[record.port];
      continue;
    }
    if (text.empty()) text = comment(record);
    const std::size_t captured = std::min(record.captured, capture.request.snap);
    const PcapngBlocks::PacketInfo info{.interface = record.port,
                                        .time = record.time + Clock::machine().realtime_offset(),
                                        .length = record.length,
                                        .way = way_of(record.point),
                                        .comment = text};
    append(capture.waiting, PcapngBlocks::kPacketMax + captured,
           [&](PcapngBlocks& blocks) { blocks.packet(info, {record.data(), captured}); });
    ++capture.received[record.port];
    if (++capture.packets == capture.request.packets_max) finish(capture, CaptureEnd::Count);
  }
}

CaptureTotals Captures::totals() const noexcept {
  CaptureTotals totals = ended_totals_;
  for (unsigned id = 0; id < kCapturesMax; ++id) {
    const Capture& capture = captures_[id];
    if (!capture.used || capture.end != CaptureEnd::Running) continue;
    ++totals.running;
    totals.packets += capture.packets;
    for (unsigned p = 0; p < kPortsMax; ++p) totals.lost += lost_by(id, p);
  }
  return totals;
}

std::uint64_t Captures::lost_by(unsigned id, unsigned port) const noexcept {
  const Capture& capture = captures_[id];
  if (capture.end != CaptureEnd::Running) return capture.lost[port];
  return capture.lost[port] + lost_of(id, port) - capture.lost_before[port];
}

std::uint64_t Captures::lost_of(unsigned capture, unsigned port) const noexcept {
  std::uint64_t lost = 0;
  for (const Lane& lane : lanes_) {
    if (lane.tap != nullptr) lost += lane.tap->lost(capture, port);
  }
  return lost;
}

/// Where it was seen; session, direction and rules; what became of it.
std::string Captures::comment(const CaptureRecord& record) const {
  const bool enters = record.point < CapturePoint::Lost;
  std::string text = kPoints[static_cast<unsigned>(record.point)];
  if (record.session == kNoSession) {
    if (enters) text += "; no session";
  } else {
    const RecordReader session = sessions_.record(record.session);
    const bool same = session.valid() &&
                      (record.incarnation == 0 ||
                       static_cast<std::uint16_t>(session.header(record::header::Incarnation)) ==
                           record.incarnation);
    text += "; session ";
    text += same ? session.text(session.header(record::header::Name)) : "that is gone";
    if (enters) text += record.direction == Direction::Uplink ? ", uplink" : ", downlink";
    if (record.pdr != 0) text += ", PDR " + std::to_string(record.pdr);
    const auto far =
        record.pdr != 0 && same ? session.far_id(record.pdr, record.far) : std::nullopt;
    if (far) text += ", FAR " + std::to_string(*far);
  }
  if (record.verdict == kTakenAway) return text + ": " + kFates[static_cast<unsigned>(record.fate)];
  if (record.verdict == DropReason::None) return enters ? text + ": forwarded" : text;
  return text + ": dropped: " + drop_reason_label(record.verdict);
}

void Captures::workers_ended() {
  if (ended_) return;
  drain();
  for (Lane& lane : lanes_) {
    lane.worker->pipeline().observe(nullptr);
    lane.errand.reset();
  }
  for (Capture& capture : captures_) {
    if (capture.used) finish(capture, CaptureEnd::Stopped);
  }
  ended_ = true;
  for (Lane& lane : lanes_) lane.tap.reset();
}

}  // namespace sluice
