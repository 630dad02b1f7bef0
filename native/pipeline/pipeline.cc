// Reads top to bottom as the life of a packet. A burst is parsed when it arrives; its
// session lines are on their way while the burst before it goes through the rest. Core
// bursts wait one turn more, because a hash line has to come before the session line.
#include "pipeline/pipeline.h"

#include <bit>

namespace sluice {

Pipeline::Pipeline(const PipelineConfig& config)
    : sessions_(*config.sessions),
      uplink_(config.sessions->flows(Direction::Uplink)),
      downlink_(config.sessions->flows(Direction::Downlink)),
      pool_(*config.pool),
      events_(*config.events),
      bucket_owner_(config.bucket_owner),
      worker_(config.worker),
      workers_(config.workers),
      network_(*config.network),
      bursts_(new Burst[3]),
      handoffs_(new PacketList[config.workers]) {
  for (std::size_t i = 0; i < config.ports.size(); ++i) ports_[i] = config.ports[i];
  for (const LocalAddress& local : network_.locals) {
    local_ipv4_[local_count_++] = local.is_v6 ? 0 : local.words[0];
  }
}

void Pipeline::receive(std::uint8_t port, Packet* const* packets, unsigned count,
                       Nanoseconds now) noexcept {
  Burst& burst = take_burst();
  burst.count = count;
  burst.port = port;
  burst.is_access = ports_[port].is_access;
  burst.now = now;
  for (unsigned i = 0; i < count; ++i) {
    // The lines of metadata and headers: whatever is on its way while the loop runs is won.
    __builtin_prefetch(packets[i]);
    __builtin_prefetch(reinterpret_cast<std::byte*>(packets[i]) + kCacheLine);
    burst.packets[i] = packets[i];
    burst.verdict[i] = DropReason::None;
    burst.flags[i] = 0;
  }
  inside_ += count;
  enter(burst);
}

void Pipeline::take_over(Packet* const* packets, unsigned count, Nanoseconds now) noexcept {
  // A burst is of one port; the rings carry all, so they are sorted here.
  unsigned arrived = 0;
  for (unsigned i = 0; i < count; ++i) arrived |= 1u << packets[i]->port;
  counters_.taken_over += count;
  inside_ += count;
  for (; arrived != 0; arrived &= arrived - 1) {
    const auto port = static_cast<std::uint8_t>(std::countr_zero(arrived));
    Burst& burst = take_burst();
    burst.count = 0;
    burst.port = port;
    burst.is_access = ports_[port].is_access;
    burst.now = now;
    for (unsigned i = 0; i < count; ++i) {
      if (packets[i]->port != port) continue;
      const unsigned at = burst.count++;
      burst.packets[at] = packets[i];
      burst.verdict[at] = DropReason::None;
      burst.flags[at] = kResolved;
    }
    enter(burst);
  }
}

/// The first that is free, so that the one used last, whose lines are near, is used again.
Burst& Pipeline::take_burst() noexcept {
  Burst* burst = bursts_.get();
  while (burst == parsed_ || burst == looked_up_) ++burst;
  return *burst;
}

void Pipeline::enter(Burst& burst) noexcept {
  if (burst.is_access) {
    parse_access(burst);
  } else {
    parse_core(burst);
  }
  if (looked_up_ != nullptr) finish(*looked_up_);
  looked_up_ = nullptr;
  if (parsed_ != nullptr) advance(*parsed_);
  parsed_ = &burst;
}

void Pipeline::advance(Burst& burst) noexcept {
  if (burst.is_access) {
    lookup_access(burst);
    finish(burst);
  } else {
    lookup_core(burst);
    looked_up_ = &burst;
  }
}

void Pipeline::finish(Burst& burst) noexcept {
  match(burst);
  police(burst);
  account(burst);
  forward(burst);
  unsigned dead = 0;
  for (unsigned i = 0; i < burst.count; ++i) {
    const DropReason verdict = burst.verdict[i];
    if (__builtin_expect(verdict != DropReason::None && verdict != kTakenAway, 0)) {
      ++counters_.dropped[static_cast<unsigned>(verdict)];
      dead_.packets[dead++] = burst.packets[i];
    }
  }
  if (dead != 0) pool_.free(dead_.packets, dead);
  inside_ -= burst.count;
  burst.count = 0;
}

void Pipeline::flush() noexcept {
  if (looked_up_ != nullptr) finish(*looked_up_);
  looked_up_ = nullptr;
  if (parsed_ != nullptr) {
    Burst& last = *parsed_;
    parsed_ = nullptr;
    advance(last);
    if (looked_up_ != nullptr) finish(*looked_up_);
    looked_up_ = nullptr;
  }
}

void Pipeline::drop(Packet* const* packets, unsigned count, DropReason reason) noexcept {
  counters_.dropped[static_cast<unsigned>(reason)] += count;
  pool_.free(packets, count);
}

bool Pipeline::hand_over(Burst& burst, unsigned i, SessionIndex session) noexcept {
  const unsigned owner = bucket_owner_[sessions_.scheme().bucket(session)];
  if (owner == worker_) return false;
  Packet* packet = burst.packets[i];
  PacketList& list = handoffs_[owner];
  burst.verdict[i] = kTakenAway;
  packet->session = session;
  if (list.count == PacketList::kMax) {
    drop(&packet, 1, DropReason::HandoffFull);
  } else {
    list.packets[list.count++] = packet;
    ++counters_.handed_over;
  }
  return true;
}

}  // namespace sluice
