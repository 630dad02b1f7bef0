// hold: between match and police. What a FAR buffers stays here until new rules let it go:
// then each packet enters again, in order, is matched anew, policed, accounted and forwarded,
// and what arrives meanwhile queues behind. Only flows with kFlowHold come here.
#include <algorithm>

#include "pipeline/forward.h"
#include "pipeline/pipeline.h"

namespace sluice {
namespace {

constexpr Nanoseconds kMillisecond = 1'000'000;
constexpr Nanoseconds kNotPending = ~Nanoseconds{0};
constexpr unsigned kExpiriesPerTimer = kBurstMax;

}  // namespace

/// None: the packet goes on.
DropReason Pipeline::hold(Burst& burst, unsigned i, Hit hit) noexcept {
  const FarEntry& far = *hit.far;
  const bool buffers = far.action == FarAction::Buffer;
  if ((burst.flow[i]->state.flags & kFlowHold) == 0) return DropReason::None;
  // A closed gate drops, whatever the FAR says: police does it.
  if (hit.pdr->flags & kPdrGateClosed) return DropReason::None;
  Packet* const packet = burst.packets[i];
  Hold* hold = holds_.find(burst.session[i], burst.direction[i]);
  if (burst.flags[i] & kReleased) {
    if (!buffers || hold == nullptr) return DropReason::None;
    holds_.keep(*hold, packet);
    want_notification(*hold, burst, i, hit);
    return burst.take_away(i, Fate::Held);
  }
  const bool drains = hold != nullptr && hold->draining;
  if (!buffers && !drains) return DropReason::None;
  // While a flow drains, what arrives has to wait, so the flow's own limit doesn't count.
  const unsigned most = far.packet_limit() == 0 ? kHeldPacketsDefault : far.packet_limit();
  if (holds_.is_full() || (hold != nullptr && !drains && hold->count >= most)) {
    return DropReason::FarBuffer;
  }
  if (traced_) return give_back(burst, i);
  if (hold == nullptr) hold = holds_.open(burst.session[i], burst.direction[i], burst.now);
  if (hold == nullptr) return DropReason::FarBuffer;
  const bool first = hold->count == 0;
  holds_.append(*hold, packet, burst.now);
  holds_.settle(pool_);
  if (buffers) want_notification(*hold, burst, i, hit);
  if (first) set_hold_timer(*hold, burst.now);
  return burst.take_away(i, Fate::Held);
}

/// The first packet that a notifying FAR holds says what is reported, and starts the delay.
void Pipeline::want_notification(Hold& hold, const Burst& burst, unsigned i,
                                 const Hit& hit) noexcept {
  if (hold.wants_notification || (hit.far->flags & kFarNotify) == 0) return;
  hold.wants_notification = true;
  hold.pdr = hit.pdr->id;
  hold.qfi = stage::qfi_of(*hit.pdr, burst.qfi[i]);
  if (hold.started_at == 0) hold.started_at = burst.now;
  hold.notify_at = hold.started_at + hit.far->notification_delay();
  set_hold_timer(hold, burst.now);
}

/// Sends the notification when it is due, and sets the timer to what is next.
void Pipeline::set_hold_timer(Hold& hold, Nanoseconds now) noexcept {
  Nanoseconds next = kNotPending;
  // New rules may let go what would be reported.
  if (hold.wants_notification && !hold.notified && !hold.draining) {
    if (hold.notify_at <= now) {
      Event event{};
      event.kind = EventKind::DownlinkData;
      event.session = hold.session;
      event.incarnation = flow_of(hold.session, hold.direction).rules.incarnation;
      event.id = hold.pdr;
      event.qfi = hold.qfi;
      hold.notified = events_.push(event);
      hold.told_of = hold.count;
      // A full ring loses nothing: the report is offered again.
      if (!hold.notified) hold.notify_at = now + kMillisecond;
    }
    if (!hold.notified) next = hold.notify_at;
  }
  // Nothing expires while it drains, and end_drain() comes here again.
  if (hold.waiting.head != 0 && !hold.draining) {
    next = std::min(next, now + holds_.until_expiry(hold, now));
  }
  if (next != kNotPending) events_.schedule(hold.timer, next);
}

void Pipeline::expire_timer(TimerNode& node, Nanoseconds now) noexcept {
  if (!holds_.owns(node)) return expire_path_timer(node, now);
  // The timer is a Hold's first member.
  expire_hold(reinterpret_cast<Hold&>(node), now);
}

void Pipeline::expire_hold(Hold& hold, Nanoseconds now) noexcept {
  Packet* dead[kExpiriesPerTimer];
  unsigned count = 0;
  while (!hold.draining && count < kExpiriesPerTimer && hold.waiting.head != 0 &&
         holds_.until_expiry(hold, now) == 0) {
    dead[count++] = holds_.pop(hold);
  }
  if (count != 0) drop(dead, count, DropReason::HoldExpired);
  holds_.settle(pool_);
  if (hold.count == 0) return end_episode(hold);
  hold.told_of -= std::min(hold.told_of, count);
  if (hold.notified && hold.told_of == 0) {
    // Nothing that was told of is left, and nobody came for it: what comes next is told of anew.
    hold.notified = hold.wants_notification = false;
    hold.started_at = 0;
  }
  set_hold_timer(hold, now);
}

void Pipeline::before_change(const Prepared& change) noexcept {
  const bool gone = change.kind == OperationKind::Delete;
  if (!gone && (change.flags & kOperationDropBuffered) == 0) return;
  for (const Direction direction : {Direction::Uplink, Direction::Downlink}) {
    if ((flow_of(change.session, direction).state.flags & kFlowHold) == 0) continue;
    Hold* hold = holds_.find(change.session, direction);
    if (hold == nullptr) continue;
    // Freed burst by burst: it may be long.
    holds_.doom(*hold);
    end_episode(*hold);
  }
}

void Pipeline::after_change(const Prepared& change) noexcept {
  for (const Direction direction : {Direction::Uplink, Direction::Downlink}) {
    Flow& flow = flow_of(change.session, direction);
    if ((flow.state.flags & kFlowHold) == 0) continue;
    if (Hold* hold = holds_.find(change.session, direction); hold != nullptr) {
      holds_.drain(*hold);
    } else if ((flow.rules.flags & kRulesBuffer) == 0) {
      flow.state.flags &= static_cast<std::uint16_t>(~kFlowHold);
    }
  }
}

unsigned Pipeline::drain_held(Nanoseconds now) noexcept {
  Packet* burst[kBurstMax];
  unsigned count = 0;
  while (count < kBurstMax && (burst[count] = holds_.pop_doomed()) != nullptr) ++count;
  if (count != 0) {
    drop(burst, count, DropReason::HoldDropped);
    holds_.settle(pool_);
    return count;
  }
  if (!holds_.draining()) {
    // The pool may have had nothing to give back before.
    holds_.settle(pool_);
    return 0;
  }
  // What is between the stages arrived before this, and queues behind what is held.
  flush();
  Hold* hold = holds_.next_draining();
  if (hold == nullptr) return 0;
  // A burst is of one port.
  const std::uint8_t port = hold->waiting.head != 0 ? holds_.oldest(*hold)->port : 0;
  while (count < kBurstMax && hold->waiting.head != 0 && holds_.oldest(*hold)->port == port) {
    Packet* packet = burst[count++] = holds_.pop(*hold);
    packet->session = hold->session;
  }
  if (count != 0) {
    inside_ += count;
    now_ = now;
    enter_sorted(burst, count, kResolved | kReleased, now);
    flush();
  }
  if (hold->waiting.head == 0) end_drain(*hold, now);
  holds_.settle(pool_);
  return std::max(count, 1u);
}

/// All was looked at: what the new rules hold is held, or the episode is over.
void Pipeline::end_drain(Hold& hold, Nanoseconds now) noexcept {
  if (hold.count == 0) return end_episode(hold);
  holds_.finish_drain(hold);
  set_hold_timer(hold, now);
}

void Pipeline::end_episode(Hold& hold) noexcept {
  Flow& flow = flow_of(hold.session, hold.direction);
  events_.cancel(hold.timer);
  holds_.close(hold);
  if ((flow.rules.flags & kRulesBuffer) == 0) {
    flow.state.flags &= static_cast<std::uint16_t>(~kFlowHold);
  }
}

void Pipeline::discard_held() noexcept {
  holds_.for_each([&](Hold& hold) {
    events_.cancel(hold.timer);
    for (Packet* packet; (packet = holds_.pop(hold)) != nullptr;) {
      drop(&packet, 1, DropReason::Stopping);
    }
    holds_.close(hold);
  });
  for (Packet* packet; (packet = holds_.pop_doomed()) != nullptr;) {
    drop(&packet, 1, DropReason::HoldDropped);
  }
  holds_.settle(pool_);
}

}  // namespace sluice
