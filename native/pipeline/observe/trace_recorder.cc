#include "pipeline/observe/trace_recorder.h"

#include <algorithm>
#include <cstring>

namespace sluice {

TraceRecorder::TraceRecorder() : notes_(kTraceNotesMax) {
  for (TracedSession& session : sessions_kept_) {
    session.account_before = std::make_unique<std::byte[]>(kTraceAccountMax);
    session.account_after = std::make_unique<std::byte[]>(kTraceAccountMax);
  }
}

const TracedSession* TraceRecorder::session(SessionIndex index) const noexcept {
  for (const TracedSession& kept : sessions_kept_) {
    if (kept.session == index) return &kept;
  }
  return nullptr;
}

/// False: it has no room for more, and the packet must not go on.
bool TraceRecorder::keep(SessionIndex index) noexcept {
  if (session(index) != nullptr) return true;
  for (TracedSession& kept : sessions_kept_) {
    if (kept.session != kNoSession) continue;
    const SessionView view = sessions_->view(index);
    if (view.account != nullptr && view.account->bytes > kTraceAccountMax) return false;
    kept.session = index;
    for (unsigned d = 0; d < kDirections; ++d) kept.before[d] = *view.flows[d];
    kept.has_account = view.account != nullptr;
    if (kept.has_account) {
      std::memcpy(kept.account_before.get(), view.account, view.account->bytes);
    }
    return true;
  }
  return false;
}

void TraceRecorder::after(Stage stage, Burst& burst) noexcept {
  if (stage == Stage::Finish) return;
  if (stage == Stage::Receive) {
    if (begun_) ++pass_;
    begun_ = true;
    std::copy_n(burst.verdict, burst.count, before_);
  }
  for (unsigned i = 0; i < burst.count; ++i) {
    if (before_[i] != DropReason::None) continue;
    if (stage == Stage::Lookup && burst.verdict[i] == DropReason::None && !keep(burst.session[i])) {
      burst.verdict[i] = DropReason::NoBuffer;
    }
    note(stage, burst, i, burst.verdict[i]);
  }
  std::copy_n(burst.verdict, burst.count, before_);
}

void TraceRecorder::decided(Stage stage, const Burst& burst, unsigned i, const Hit& hit,
                            DropReason verdict) noexcept {
  TraceNote* n = note(stage, burst, i, verdict);
  if (n == nullptr || (stage == Stage::Match && verdict != DropReason::None)) return;
  n->pdr = *hit.pdr;
  n->far = *hit.far;
}

TraceNote* TraceRecorder::note(Stage stage, const Burst& burst, unsigned i,
                               DropReason verdict) noexcept {
  if (count_ == kTraceNotesMax) return nullptr;
  TraceNote& n = notes_[count_++];
  n = TraceNote{};
  n.stage = stage;
  n.is_access = burst.is_access;
  n.port = burst.port;
  n.pass = pass_;
  n.flags = burst.flags[i];
  n.verdict = verdict;
  n.fate = burst.fate[i];
  const Packet& packet = *burst.packets[i];
  // A packet that was taken away may be free by now, but one that lookup hands over is not yet.
  const bool is_here = verdict != kTakenAway || stage == Stage::Lookup;
  if (is_here) n.length = packet.length;
  n.session = kNoSession;
  if (stage == Stage::Receive) return &n;
  n.local = burst.local[i];
  n.key = burst.key[i];
  if (verdict == kTakenAway && stage == Stage::Lookup) n.session = packet.session;
  if (verdict == DropReason::None || stage > Stage::Parse) {
    n.qfi = burst.qfi[i];
    n.inner_length = burst.inner_length[i];
    n.operand = burst.operand[i];
    const unsigned at = is_here ? packet.offset + burst.inner_offset[i] : kChunkBytes;
    // Behind forward, the packet starts elsewhere.
    if (stage != Stage::Forward && at < kChunkBytes) {
      std::memcpy(n.inner, reinterpret_cast<const std::byte*>(&packet) + at,
                  std::min<std::size_t>(sizeof(n.inner), kChunkBytes - at));
    }
  }
  if (stage < Stage::Lookup || (stage == Stage::Lookup && verdict != DropReason::None)) return &n;
  n.session = burst.session[i];
  n.direction = burst.direction[i];
  n.state = burst.flow[i]->state;
  n.rules = burst.flow[i]->rules;
  n.filter_set = burst.is_access ? burst.filter_set[i] : burst.flow[i]->rules.filter_set;
  return &n;
}

void TraceRecorder::at_association(const AssociationNote& association) noexcept {
  if (count_ == kTraceNotesMax) return;
  // What was inside is not what came first.
  begun_ = true;
  TraceNote& n = notes_[count_++];
  n = TraceNote{};
  n.stage = association.stage;
  n.pass = pass_;
  n.verdict = association.verdict;
  n.fate = association.fate;
  n.session = kNoSession;
  n.association = association;
}

void TraceRecorder::restore() noexcept {
  for (TracedSession& kept : sessions_kept_) {
    if (kept.session == kNoSession) continue;
    const SessionView view = sessions_->view(kept.session);
    for (unsigned d = 0; d < kDirections; ++d) {
      kept.after[d] = *view.flows[d];
      restore_mutable(view.flows[d]->state, kept.before[d].state);
    }
    if (!kept.has_account) continue;
    std::memcpy(kept.account_after.get(), view.account, view.account->bytes);
    std::memcpy(static_cast<void*>(view.account), kept.account_before.get(), view.account->bytes);
  }
}

}  // namespace sluice
