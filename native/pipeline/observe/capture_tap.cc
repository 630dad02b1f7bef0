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
  record->incarnation = 0;
  record->length = packet.length;
  record->captured = static_cast<std::uint16_t>(captured);
  record->time = now;
  record->pdr = record->far = 0;
  record->verdict = DropReason::None;
  record->direction = Direction::Uplink;
  record->point = point;
  record->port = port;
  record->captures = captures;
  record->pending = 1;
  std::memcpy(record->data(), packet.data(), captured);
  return static_cast<std::uint32_t>(reinterpret_cast<std::byte*>(record) - ring_.get());
}

/// Copies of a port are taken before anybody reads or changes the packets. One that another
/// worker handed over has been copied there; one that was held or turned round was not received.
void CaptureTap::received(Burst& burst) noexcept {
  const std::uint8_t captures = by_port_[burst.port];
  for (unsigned i = 0; i < burst.count; ++i) {
    Packet& packet = *burst.packets[i];
    if (captures == 0 || (burst.flags[i] & (kResolved | kReleased)) ||
        (packet.flags & kPacketReentered)) {
      continue;
    }
    burst.capture[i] = copy(packet, captures, CapturePoint::Received, burst.port, burst.now);
    if (burst.capture[i] != kNone) burst.flags[i] |= kCaptured;
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
    if (burst.flags[i] & kCaptured) {
      at(burst.capture[i]).captures |= captures;
    } else if (captures != 0 && (burst.flags[i] & kReleased) == 0) {
      burst.capture[i] = copy(packet, captures, CapturePoint::Received, burst.port, burst.now);
      if (burst.capture[i] != kNone) burst.flags[i] |= kCaptured;
    }
    if (captures != 0 || of_ports_) {
      // One that comes a second time still belongs to the capture of its first.
      const bool again = (packet.flags & kPacketCaptured) != 0;
      packet.captures = again ? static_cast<std::uint16_t>(packet.captures | captures) : captures;
      packet.flags |= kPacketCaptured;
      packet.session = burst.session[i];
      packet.word = flow.rules.incarnation;
    }
    if ((burst.flags[i] & kCaptured) == 0) continue;
    CaptureRecord& record = at(burst.capture[i]);
    record.session = burst.session[i];
    record.incarnation = flow.rules.incarnation;
    record.direction = burst.direction[i];
  }
}

void CaptureTap::decided(Stage stage, const Burst& burst, unsigned i, const Hit& hit,
                         DropReason verdict) noexcept {
  if (stage != Stage::Match || verdict != DropReason::None) return;
  if ((burst.flags[i] & kCaptured) == 0) return;
  CaptureRecord& record = at(burst.capture[i]);
  record.pdr = hit.pdr->id;
  record.far = static_cast<std::uint16_t>(hit.far->id_low + 1);
}

void CaptureTap::finished(Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.count; ++i) {
    if ((burst.flags[i] & kCaptured) == 0) continue;
    CaptureRecord& record = at(burst.capture[i]);
    record.verdict = burst.verdict[i];
    record.pending = 0;
    const bool dropped = record.verdict != DropReason::None && record.verdict != kTakenAway;
    if (dropped) record.captures &= with_drops_;
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
    at(sending_[i]).session = packet.session;
    at(sending_[i]).incarnation = packet.word;
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
