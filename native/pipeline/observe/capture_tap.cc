#include "pipeline/observe/capture_tap.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace sluice {
namespace {

constexpr std::align_val_t kRingAlignment{64};

}  // namespace

void CaptureTap::Free::operator()(std::byte* memory) const noexcept {
  ::operator delete(memory, kRingAlignment);
}

CaptureTap::CaptureTap()
    : ring_(static_cast<std::byte*>(::operator new(kCaptureRingBytes, kRingAlignment))) {
  // Every page is there before the worker writes to it.
  std::memset(ring_.get(), 0, kCaptureRingBytes);
}

void CaptureTap::use(const CaptureTable& table) noexcept {
  table_ = &table;
  by_port_ = {};
  with_drops_ = 0;
  of_ports_ = false;
  for (unsigned c = 0; c < kCapturesMax; ++c) {
    const CaptureFilter& filter = table.filters[c];
    if (!filter.active) continue;
    const auto bit = static_cast<std::uint8_t>(1u << c);
    if (filter.drops) with_drops_ |= bit;
    of_ports_ |= filter.ports != 0;
    for (unsigned port = 0; port < by_port_.size(); ++port) {
      if (filter.ports >> port & 1) by_port_[port] |= bit;
    }
  }
}

void CaptureTap::after(Stage stage, Burst& burst) noexcept {
  switch (stage) {
    case Stage::Receive:
      return received(burst);
    case Stage::Lookup:
      return looked_up(burst);
    case Stage::Finish:
      return finished(burst);
    default:
      return;
  }
}

/// Room for a record, in one piece: the rest of the ring is skipped where it would wrap.
CaptureRecord* CaptureTap::reserve(std::uint32_t bytes) noexcept {
  const auto rest = static_cast<std::uint32_t>(kCaptureRingBytes - write_ % kCaptureRingBytes);
  const std::uint32_t skip = bytes > rest ? rest : 0;
  // Acquire: pairs with release(), which has read what it gives back.
  const std::uint64_t used = write_ - head_.load(std::memory_order_acquire);
  if (used + skip + bytes > kCaptureRingBytes) return nullptr;
  if (skip != 0) {
    // Every record is a multiple of its alignment, so that its first words always fit.
    CaptureRecord& gap = at(write_);
    gap.bytes = skip;
    gap.captures = gap.pending = 0;
    write_ += skip;
  }
  CaptureRecord& record = at(write_);
  record.bytes = bytes;
  write_ += bytes;
  return &record;
}

std::uint32_t CaptureTap::copy(const Packet& packet, std::uint8_t captures, CapturePoint point,
                               std::uint8_t port, Nanoseconds now) noexcept {
  const std::uint32_t captured = std::min<std::uint32_t>(packet.length, table_->snap);
  const std::uint32_t bytes = (sizeof(CaptureRecord) + captured + 63) & ~63u;
  CaptureRecord* record = reserve(bytes);
  if (record == nullptr) {
    for (unsigned m = captures; m != 0; m &= m - 1) ++lost_[std::countr_zero(m)][port];
    return kNone;
  }
  record->session = kNoSession;
  record->incarnation = record->pdr = 0;
  record->length = packet.length;
  record->captured = static_cast<std::uint16_t>(captured);
  record->time = now;
  record->far = 0;
  record->verdict = DropReason::None;
  record->direction = Direction::Uplink;
  record->point = point;
  record->port = port;
  record->fate = Fate::Held;
  record->captures = captures;
  record->only_drops = 0;
  record->pending = 1;
  std::memcpy(record->data(), packet.data(), captured);
  return static_cast<std::uint32_t>(reinterpret_cast<std::byte*>(record) - ring_.get());
}

CapturePoint CaptureTap::point_of(const Burst& burst, unsigned i) noexcept {
  if (burst.flags[i] & kReleased) return CapturePoint::Released;
  const bool again = (burst.packets[i]->flags & kPacketReentered) != 0;
  return again ? CapturePoint::Again : CapturePoint::Received;
}

/// Copies of a port are taken before anybody reads or changes the packets. What was held or
/// turned round was not received now: it is of interest if it ends here.
void CaptureTap::received(Burst& burst) noexcept {
  const std::uint8_t captures = by_port_[burst.port];
  if (captures == 0) return;
  for (unsigned i = 0; i < burst.count; ++i) {
    const CapturePoint point = point_of(burst, i);
    burst.capture[i] = copy(*burst.packets[i], captures, point, burst.port, burst.now);
    if (burst.capture[i] == kNone) continue;
    burst.flags[i] |= kCaptured;
    if (point != CapturePoint::Received) at(burst.capture[i]).only_drops = captures;
  }
}

std::uint8_t CaptureTap::captures_of(SessionIndex session) const noexcept {
  std::uint8_t captures = 0;
  for (unsigned c = 0; c < kCapturesMax; ++c) {
    const CaptureFilter& filter = table_->filters[c];
    if (filter.active && filter.session == session) {
      captures = static_cast<std::uint8_t>(captures | 1u << c);
    }
  }
  return captures;
}

/// Copies of a session: its lines are here, and nothing of the packet has changed yet. The
/// packet is marked, so that it is known again on its way out.
void CaptureTap::looked_up(Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.count; ++i) {
    if (burst.verdict[i] != DropReason::None) continue;
    const Flow& flow = *burst.flow[i];
    Packet& packet = *burst.packets[i];
    const std::uint8_t captures =
        (flow.state.flags & kFlowCapture) != 0 ? captures_of(burst.session[i]) : std::uint8_t{0};
    const CapturePoint point = point_of(burst, i);
    // One that comes a second time still belongs to the capture of its first; but captures may
    // have ended while a packet was held.
    const bool again = point == CapturePoint::Again && (packet.flags & kPacketCaptured);
    const std::uint8_t before = again ? packet.captures : std::uint8_t{0};
    const auto all = static_cast<std::uint8_t>(captures | before);
    const auto incarnation = static_cast<std::uint16_t>(flow.rules.incarnation);
    packet.flags &= static_cast<std::uint8_t>(~kPacketCaptured);
    if (all != 0 || of_ports_) {
      packet.flags |= kPacketCaptured;
      packet.captures = all;
      packet.session = burst.session[i];
      packet.word = incarnation;
    }
    if ((burst.flags[i] & kCaptured) == 0 && all != 0) {
      burst.capture[i] = copy(packet, all, point, burst.port, burst.now);
      if (burst.capture[i] != kNone) burst.flags[i] |= kCaptured;
    }
    if ((burst.flags[i] & kCaptured) == 0) continue;
    CaptureRecord& record = at(burst.capture[i]);
    // Its session has it as received, unless it was held: then it has that already.
    record.captures |= all;
    record.only_drops |= point == CapturePoint::Released ? all : before;
    if (point != CapturePoint::Released) record.only_drops &= static_cast<std::uint8_t>(~captures);
    record.session = burst.session[i];
    record.incarnation = incarnation;
    record.direction = burst.direction[i];
  }
}

void CaptureTap::decided(Stage stage, const Burst& burst, unsigned i, const Hit& hit,
                         DropReason verdict) noexcept {
  // Accounting is behind it: a quota that is used up may have put another FAR in place.
  if ((stage != Stage::Match && stage != Stage::Account) || verdict != DropReason::None) return;
  // The FAR of a packet that turns round is the pipeline's own, and has no ID.
  const bool turns_round = hit.far->action == FarAction::ToUe;
  Packet& packet = *burst.packets[i];
  if (packet.flags & kPacketCaptured) {
    packet.word = std::uint32_t{hit.pdr->id} << 16 | (packet.word & 0xffff);
    if (!turns_round) packet.far = hit.far->id_low;
  }
  if ((burst.flags[i] & kCaptured) == 0) return;
  CaptureRecord& record = at(burst.capture[i]);
  record.pdr = hit.pdr->id;
  if (!turns_round) record.far = hit.far->id_low;
}

void CaptureTap::finished(Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.count; ++i) {
    if ((burst.flags[i] & kCaptured) == 0) continue;
    CaptureRecord& record = at(burst.capture[i]);
    record.verdict = burst.verdict[i];
    record.fate = burst.fate[i];
    record.pending = 0;
    const bool dropped = record.verdict != DropReason::None && record.verdict != kTakenAway;
    // Who it is handed to copies it, and knows its rules.
    const bool handed_over = record.verdict == kTakenAway && record.fate == Fate::HandedOver;
    if (handed_over) record.captures = 0;
    record.captures &= dropped ? with_drops_ : static_cast<std::uint8_t>(~record.only_drops);
  }
  publish();
}

void CaptureTap::sending(std::uint8_t port, Packet* const* packets, unsigned count,
                         Nanoseconds now) noexcept {
  sending_count_ = count;
  for (unsigned i = 0; i < count; ++i) {
    const Packet& packet = *packets[i];
    const bool marked = (packet.flags & kPacketCaptured) != 0;
    const auto captures =
        static_cast<std::uint8_t>(by_port_[port] | (marked ? packet.captures : 0));
    sending_[i] = captures == 0 ? kNone : copy(packet, captures, CapturePoint::Sent, port, now);
    if (sending_[i] == kNone || !marked) continue;
    CaptureRecord& record = at(sending_[i]);
    record.session = packet.session;
    record.incarnation = static_cast<std::uint16_t>(packet.word);
    record.pdr = static_cast<std::uint16_t>(packet.word >> 16);
    record.far = packet.far;
  }
}

void CaptureTap::sent(unsigned count) noexcept {
  for (unsigned i = 0; i < sending_count_; ++i) {
    if (sending_[i] == kNone) continue;
    CaptureRecord& record = at(sending_[i]);
    record.pending = 0;
    if (i < count) continue;
    record.verdict = DropReason::TxFull;
    record.captures &= with_drops_;
  }
  sending_count_ = 0;
  publish();
}

void CaptureTap::lost(Packet* const* packets, unsigned count, DropReason reason,
                      Nanoseconds now) noexcept {
  for (unsigned i = 0; i < count; ++i) {
    const Packet& packet = *packets[i];
    const bool marked = (packet.flags & kPacketCaptured) != 0;
    const auto captures = static_cast<std::uint8_t>(
        (by_port_[packet.port] | (marked ? packet.captures : 0)) & with_drops_);
    if (captures == 0) continue;
    const std::uint32_t position = copy(packet, captures, CapturePoint::Lost, packet.port, now);
    if (position == kNone) continue;
    CaptureRecord& record = at(position);
    record.verdict = reason;
    record.pending = 0;
    // Of the marks, those that waiting packets use for their list are gone.
    if (marked) record.session = packet.session;
  }
  publish();
}

/// Everything up to the first copy whose packet is still on its way.
void CaptureTap::publish() noexcept {
  std::uint64_t tail = tail_.load(std::memory_order_relaxed);  // its one writer is here
  while (tail != write_ && at(tail).pending == 0) tail += at(tail).bytes;
  // Release: pairs with front(), which sees the copies whole.
  tail_.store(tail, std::memory_order_release);
}

const CaptureRecord* CaptureTap::front() noexcept {
  std::uint64_t head = head_.load(std::memory_order_relaxed);  // its one writer is here
  // Acquire: pairs with publish().
  const std::uint64_t tail = tail_.load(std::memory_order_acquire);
  while (head != tail && at(head).captures == 0) head += at(head).bytes;
  // Release: pairs with reserve(), which may write there now.
  head_.store(head, std::memory_order_release);
  return head == tail ? nullptr : &at(head);
}

void CaptureTap::release(const CaptureRecord& record) noexcept {
  // Release: pairs with reserve().
  head_.store(head_.load(std::memory_order_relaxed) + record.bytes, std::memory_order_release);
}

}  // namespace sluice
