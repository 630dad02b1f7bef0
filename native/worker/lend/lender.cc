#include "worker/lend/lender.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/clock.h"

namespace sluice {
namespace {

constexpr Nanoseconds kSweepInterval = 100'000'000;
constexpr unsigned kIdleSweeps = 10;      // then a flow gives up its place
constexpr std::uint32_t kMet = 1u << 31;  // in LentFlow::idle: packets came here meanwhile
constexpr Nanoseconds kRefusedFor = 10'000'000'000;
constexpr int kPacketsALook = 16;  // of which one's flow is looked at
constexpr std::int64_t kNoEnd = std::int64_t{1} << 62;

std::uint64_t kernel_time() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

/// From a worker's time to the kernel's.
std::uint64_t kernel_offset() noexcept { return kernel_time() - Clock::machine().now(); }

std::uint32_t handed(LentFlow& entry) noexcept {
  return static_cast<std::uint32_t>(entry.shared_word().load(std::memory_order_acquire) >>
                                    LentFlow::kHandedShift);
}

/// The link header lies right before a packet as it was received, the tag before that.
bool is_last_handed(const Packet& packet, LentFlow& entry, const LentTable& table) noexcept {
  constexpr std::size_t kBefore = ETH_HLEN + sizeof(HandedTag);
  if (packet.offset < sizeof(Packet) + kBefore) return false;
  HandedTag tag;
  std::memcpy(&tag, packet.data() - kBefore, sizeof tag);
  return tag.mark == (entry.key ^ table.secret) && tag.count == handed(entry);
}

}  // namespace

std::unique_ptr<Lender> Lender::create(Sessions& sessions, const NetworkMap& network,
                                       std::span<const std::unique_ptr<Port>> ports,
                                       std::span<const PipelinePort> rows, unsigned worker) {
  std::vector<Door> doors;
  bool any = false;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const LentTable* const table = ports[i]->lent_flows();
    any |= table != nullptr;
    doors.push_back({table, &ports[i]->queue(worker), &rows[i], nullptr});
  }
  if (!any) return nullptr;
  return std::unique_ptr<Lender>(new Lender(sessions, network, std::move(doors)));
}

Lender::Lender(Sessions& sessions, const NetworkMap& network, std::vector<Door> doors)
    : sessions_(sessions), network_(network), doors_(std::move(doors)) {
  places_.reserve(kPlacesMax);
  due_.reserve(kPlacesMax);
  refused_.resize(kRefused);
  renew_looks();
}

LentFlow* Lender::find(const Flow& flow, SessionIndex session, Direction direction) noexcept {
  const std::uint32_t key = lent_key(flow.state, direction);
  for (const Door& door : doors_) {
    if (door.table == nullptr || door.row->is_access != (direction == Direction::Uplink)) continue;
    LentFlow& entry = door.table->at(key);
    if (std::atomic_ref(entry.holder).load(std::memory_order_relaxed) == session + 1 &&
        entry.key == key) {
      return &entry;
    }
  }
  return nullptr;
}

Flow& Lender::flow_of(const LentFlow& entry) noexcept {
  return sessions_.flows(static_cast<Direction>(entry.direction))[entry.holder - 1];
}

void Lender::meet(const Burst& burst, unsigned i) noexcept {
  Flow& flow = *burst.flow[i];
  LentFlow* const entry = find(flow, burst.session[i], burst.direction[i]);
  if (entry == nullptr) return;
  take_back(*entry, flow.state);
  entry->idle |= kMet;
  if (entry->is_due != 0) return;
  if (!is_last_handed(*burst.packets[i], *entry, *doors_[entry->in_port].table)) return;
  entry->is_due = 1;
  due_.push_back({entry, handed(*entry)});
}

void Lender::consider(const Burst& burst) noexcept {
  until_look_ -= static_cast<int>(burst.count);
  if (until_look_ > 0 || burst.count == 0) return;
  until_look_ = kPacketsALook;
  const unsigned i = turn_++ % burst.count;
  if (may_lend_ && places_.size() < kPlacesMax && may_be_lent(burst, i)) give_place(burst, i);
}

void Lender::take_back(LentFlow& entry, FlowState& state) noexcept {
  if (entry.is_out == 0) return;
  entry.end_lending();
  tell(entry);
  if (entry.counts != 0) {
    state.usage_left = entry.usage_left();
    state.usage_packets = entry.usage_packets();
  }
  if (entry.polices != 0) {
    std::copy_n(entry.tokens, kHotBuckets, state.tokens);
    state.refilled_at = entry.refilled_at - kernel_offset();
  }
  // Release: whoever sees this after the process's end sees the line as it is now.
  std::atomic_ref(entry.is_out).store(0, std::memory_order_release);
}

void Lender::take_back(SessionIndex session) noexcept {
  for (const Direction direction : {Direction::Uplink, Direction::Downlink}) {
    Flow& flow = sessions_.flows(direction)[session];
    if ((flow.state.flags & kFlowLent) == 0) continue;
    if (LentFlow* entry = find(flow, session, direction)) take_back(*entry, flow.state);
  }
}

Nanoseconds Lender::forget(SessionIndex session, Nanoseconds now) noexcept {
  for (const Direction direction : {Direction::Uplink, Direction::Downlink}) {
    Flow& flow = sessions_.flows(direction)[session];
    if ((flow.state.flags & kFlowLent) == 0) continue;
    if (LentFlow* entry = find(flow, session, direction)) forget(*entry);
    now = std::max(now, flow.state.refilled_at);
  }
  return now;
}

void Lender::forget(LentFlow& entry) noexcept {
  Flow& flow = flow_of(entry);
  take_back(entry, flow.state);
  flow.state.flags &= static_cast<std::uint16_t>(~kFlowLent);
  if (entry.is_due != 0) {
    std::erase_if(due_, [&](const Due& due) { return due.entry == &entry; });
  }
  entry.is_due = 0;
  places_.back()->position = entry.position;
  places_[entry.position] = places_.back();
  places_.pop_back();
  counters_.places = static_cast<std::uint32_t>(places_.size());
  std::atomic_ref(entry.key).store(0, std::memory_order_relaxed);
  // Release: pairs with give_place(), by whichever worker.
  std::atomic_ref(entry.holder).store(0, std::memory_order_release);
}

/// Once what is before its packets has left: from the next one on they are the program's, unless
/// it has handed over more meanwhile.
void Lender::lend(const Due& due) noexcept {
  LentFlow& entry = *due.entry;
  const FlowState& state = flow_of(entry).state;
  if (entry.counts != 0 && state.usage_left < static_cast<std::int64_t>(entry.bytes_max)) return;
  std::copy_n(state.tokens, kHotBuckets, entry.tokens);
  entry.refilled_at = state.refilled_at + kernel_offset();
  entry.credit = entry.counts != 0 ? state.usage_left : kNoEnd;
  entry.packets = entry.bytes = entry.dropped = 0;
  entry.told_bytes = entry.told_packets = entry.told_dropped = 0;
  entry.line_left = state.usage_left;
  entry.line_packets = state.usage_packets;
  auto word = entry.shared_word();
  std::uint64_t seen = word.load(std::memory_order_relaxed);
  if ((seen & (LentFlow::kLent | LentFlow::kClaimed)) != 0 || handed(entry) != due.count) return;
  std::atomic_ref(entry.is_out).store(1, std::memory_order_release);
  // Release: pairs with the program's claim.
  if (!word.compare_exchange_strong(seen, seen | LentFlow::kLent, std::memory_order_release)) {
    std::atomic_ref(entry.is_out).store(0, std::memory_order_release);
    return;
  }
  ++counters_.lent;
}

/// What the program did is the ports' own traffic.
void Lender::tell(LentFlow& entry) noexcept {
  const auto more_of = []<class T>(std::uint64_t& value, T& told) {
    const auto now = static_cast<T>(std::atomic_ref(value).load(std::memory_order_relaxed));
    return static_cast<std::uint64_t>(static_cast<T>(now - std::exchange(told, now)));
  };
  const std::uint64_t packets = more_of(entry.packets, entry.told_packets);
  const std::uint64_t bytes = more_of(entry.bytes, entry.told_bytes);
  const std::uint64_t dropped = more_of(entry.dropped, entry.told_dropped);
  if ((packets | bytes | dropped) == 0) return;
  entry.idle = 0;
  const bool uplink = entry.direction == static_cast<unsigned>(Direction::Uplink);
  const std::uint64_t outer = packets * kPlainOuterBytes;
  doors_[entry.in_port].queue->count_received(packets + dropped, bytes + (uplink ? outer : 0));
  doors_[entry.out_port].queue->count_sent(packets, bytes + (uplink ? 0 : outer));
  counters_.forwarded += packets;
  counters_.dropped += dropped;
}

void Lender::turn(Nanoseconds now, bool may_lend) noexcept {
  may_lend_ = may_lend;
  if (!may_lend && !places_.empty()) return end();
  for (std::size_t port = 0; port < doors_.size(); ++port) {
    Door& door = doors_[port];
    const void* const ways = door.queue->ways();
    if (std::exchange(door.ways, ways) == ways) continue;
    for (std::size_t k = places_.size(); k-- > 0;) {
      if (places_[k]->out_port == port) forget(*places_[k]);
    }
  }
  std::erase_if(due_, [&](const Due& due) {
    if (!doors_[due.entry->out_port].queue->has_sent()) return false;
    due.entry->is_due = 0;
    lend(due);
    return true;
  });
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepInterval;
  sweep(now);
}

void Lender::sweep(Nanoseconds now) noexcept {
  renew_looks();
  for (std::size_t k = places_.size(); k-- > 0;) {
    LentFlow& entry = *places_[k];
    if ((++entry.idle & ~kMet) > kIdleSweeps) {
      // With a place, a flow has none of the plain way either.
      if ((entry.idle & kMet) != 0) refused_[entry.key % kRefused] = {entry.key, now + kRefusedFor};
      forget(entry);
      continue;
    }
    if (entry.is_out == 0) continue;
    tell(entry);
    std::uint32_t destination;
    std::memcpy(&destination, entry.header + ETH_HLEN + 16, sizeof destination);
    LinkWay way;
    // The neighbour is in use, which nobody else sees.
    if (!doors_[entry.out_port].queue->way_to(destination, way)) forget(entry);
  }
}

void Lender::end() noexcept {
  may_lend_ = false;
  while (!places_.empty()) forget(*places_.back());
}

void Lender::renew_looks() noexcept {
  const AddressSieve& sieve = sessions_.sieve();
  for (unsigned octet = 0; octet < LentTable::kLooks; ++octet) {
    std::uint8_t bits = 0;
    for (unsigned direction = 0; direction < kDirections; ++direction) {
      bits |=
          static_cast<std::uint8_t>(sieve.wants_look(octet << 8, 0, false, direction) << direction);
    }
    for (const Door& door : doors_) {
      if (door.table == nullptr) continue;
      std::atomic_ref(door.table->looks()[octet]).store(bits, std::memory_order_relaxed);
    }
  }
}

}  // namespace sluice
