// Changes of sessions: prepared on the control thread, applied by workers in order,
// retired when their events have been taken.
#include <algorithm>

#include "worker/datapath.h"

namespace sluice {

void Datapath::prepare(Operation* operations, unsigned count, const std::uint32_t* queries) {
  for (unsigned i = 0; i < count; ++i) {
    Operation& op = operations[i];
    std::uint64_t query = 0;
    while (queries != nullptr && queries[0] == i) {
      if (queries[1] < kUrrsMax) query |= 1ull << queries[1];
      queries += 2;
    }
    const auto kind = static_cast<OperationKind>(op.kind);
    const std::uint32_t* words = nullptr;
    std::size_t bytes = 0;
    if (kind != OperationKind::Delete && !find_record(op.chunk, op.offset, words, bytes)) {
      op.status = static_cast<std::uint32_t>(PrepareStatus::Malformed);
      op.detail = 0;
      continue;
    }
    if ((op.flags & kOperationQuery) == 0) query = 0;
    const PrepareError error =
        sessions_->prepare(kind, op.session, words, bytes, op.flags, query, op.ticket);
    op.status = static_cast<std::uint32_t>(error.status);
    op.detail = error.detail;
    const bool displaced = kind == OperationKind::Delete && (op.flags & kOperationDisplaced) != 0;
    if (displaced && error.status == PrepareStatus::Ok) sessions_->displace(op.ticket, op.offset);
  }
}

bool Datapath::find_record(std::uint32_t chunk, std::uint32_t offset, const std::uint32_t*& words,
                           std::size_t& bytes) const {
  if (chunk >= chunks_.size() || offset % 8 != 0 || offset >= chunks_[chunk].size) return false;
  words = reinterpret_cast<const std::uint32_t*>(chunks_[chunk].bytes + offset);
  bytes = chunks_[chunk].size - offset;
  return true;
}

SessionIndex Datapath::holder(SessionIndex session, std::uint32_t chunk, std::uint32_t offset,
                              bool teids, std::span<const SessionIndex> but_for) const {
  const std::uint32_t* words = nullptr;
  std::size_t bytes = 0;
  if (!find_record(chunk, offset, words, bytes)) return kNoSession;
  return sessions_->holder(session, RecordReader(words, bytes), teids, but_for);
}

void Datapath::abort(const std::uint32_t* tickets, unsigned count) {
  for (unsigned i = 0; i < count; ++i) sessions_->abort(tickets[i]);
}

std::uint64_t Datapath::apply(const std::uint32_t* tickets, unsigned count) {
  const std::uint64_t number = ++next_batch_;
  for (unsigned i = 0; i < count; ++i) sessions_->hand_over(tickets[i]);
  if (!running_) {
    const Nanoseconds time = now();
    for (unsigned i = 0; i < count; ++i) {
      sessions_->apply(tickets[i], time, quiet_sink_);
      carry_on(sessions_->session_of(tickets[i]), time);
      sessions_->retire(tickets[i]);
    }
    if (quiet_sink_.events.empty()) completed_ = number;
    return number;
  }
  for (unsigned i = 0; i < count; ++i) {
    const unsigned bucket = sessions_->scheme().bucket(sessions_->session_of(tickets[i]));
    Lane& lane = lanes_[bucket_owner_[bucket]];
    lane.waiting.push_back(tickets[i]);
    ++lane.issued;
  }
  Batch batch{number, {}};
  for (const Lane& lane : lanes_) batch.issued.push_back(lane.issued);
  batches_.push_back(std::move(batch));
  for (unsigned w = 0; w < workers_.size(); ++w) {
    submit(w);
    if (threads_.empty()) drain_inline(w);
  }
  return number;
}

void Datapath::submit(unsigned w) {
  Lane& lane = lanes_[w];
  bool sent = false;
  while (!lane.waiting.empty()) {
    std::uint32_t burst[64];
    const auto n = static_cast<unsigned>(std::min<std::size_t>(lane.waiting.size(), 64));
    std::copy_n(lane.waiting.begin(), n, burst);
    const unsigned taken = workers_[w]->submit(burst, n);
    lane.submitted.insert(lane.submitted.end(), burst, burst + taken);
    lane.waiting.erase(lane.waiting.begin(), lane.waiting.begin() + taken);
    sent |= taken != 0;
    if (taken < n) break;
  }
  if (!sent) return;
  workers_[w]->wake();
}

void Datapath::drain_inline(unsigned w) {
  const Nanoseconds time = now();
  while (workers_[w]->drain_commands(time) != 0) submit(w);
}

unsigned Datapath::poll(Event* out, unsigned max) {
  const unsigned total = poll_events(out, max);
  // Where nothing survives, there is nothing to keep them for.
  if (config_.survival.name.empty()) release(total);
  return total;
}

unsigned Datapath::poll_events(Event* out, unsigned max) {
  unsigned total = 0;
  send_salvaged_events();
  while (total < max && !quiet_sink_.events.empty()) {
    out[total++] = quiet_sink_.events.front();
    quiet_sink_.events.pop_front();
  }
  note_polled(kQuiet, total);
  if (quiet_sink_.events.empty() && batches_.empty() && !running_) completed_ = next_batch_;
  if (workers_.empty()) return total;
  if (captures_ != nullptr && !captures_->idle()) captures_->turn();
  // Completions first, then the events that were pushed before them.
  std::vector<std::uint64_t>& reached = reached_;
  reached.clear();
  for (const auto& worker : workers_) reached.push_back(worker->completed());
  for (unsigned i = 0; i < workers_.size() && total < max; ++i) {
    poll_turn_ = (poll_turn_ + 1) % static_cast<unsigned>(workers_.size());
    for (unsigned n = 1; n != 0 && total < max; total += n) {
      n = workers_[poll_turn_]->take_events(out + total, max - total);
      for (unsigned e = 0; e < n; ++e) out[total + e].run = directory_->run;
      note_polled(poll_turn_, n);
    }
  }
  if (total == max) return total;
  for (unsigned w = 0; w < workers_.size(); ++w) {
    Lane& lane = lanes_[w];
    for (; lane.retired < reached[w]; ++lane.retired) {
      retire(lane.submitted.front());
      lane.submitted.pop_front();
    }
    submit(w);
  }
  while (!batches_.empty()) {
    const Batch& batch = batches_.front();
    for (unsigned w = 0; w < lanes_.size(); ++w) {
      if (lanes_[w].retired < batch.issued[w]) return total;
    }
    completed_ = batch.number;
    batches_.pop_front();
  }
  return total;
}

void Datapath::note_polled(unsigned worker, unsigned count) {
  if (count == 0) return;
  if (polled_.empty() || polled_.back().worker != worker) polled_.push_back({worker, 0});
  polled_.back().count += count;
}

void Datapath::release(unsigned count) {
  while (count != 0 && !polled_.empty()) {
    Polled& next = polled_.front();
    const unsigned n = std::min(count, next.count);
    if (next.worker != kQuiet) workers_[next.worker]->release_events(n);
    count -= n;
    next.count -= n;
    if (next.count == 0) polled_.pop_front();
  }
}

/// A change is in force: who looks at its session hears of it.
void Datapath::retire(std::uint32_t ticket) {
  const SessionIndex session = sessions_->session_of(ticket);
  if (captures_ != nullptr && sessions_->kind_of(ticket) == OperationKind::Delete) {
    captures_->session_gone(session);
  }
  if (traces_ != nullptr) traces_->session_changed(session);
  sessions_->retire(ticket);
}

void Datapath::arm() noexcept {
  bell_.arm();
  // Whatever came before the arming would ring for nobody.
  for (unsigned w = 0; w < workers_.size(); ++w) {
    if (lanes_[w].retired < workers_[w]->completed() || workers_[w]->has_events()) {
      bell_.ring();
      return;
    }
  }
}

}  // namespace sluice
