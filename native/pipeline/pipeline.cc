// Reads top to bottom as the life of a packet. A burst is parsed when it arrives; its
// session lines are on their way while the burst before it goes through the rest. Core
// bursts wait one turn more, because a hash line has to come before the session line.
#include "pipeline/pipeline.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "pipeline/account.h"
#include "pipeline/forward.h"
#include "pipeline/match.h"
#include "pipeline/plain.h"
#include "pipeline/police.h"

namespace sluice {

Pipeline::Pipeline(const PipelineConfig& config)
    : sessions_(*config.sessions),
      rules_base_(config.sessions->rule<std::byte>(0)),
      peers_(config.sessions->peers()),
      uplink_(config.sessions->flows(Direction::Uplink)),
      downlink_(config.sessions->flows(Direction::Downlink)),
      pool_(*config.pool),
      events_(*config.events),
      holds_(*config.holds),
      protections_(*config.protections),
      lender_(config.lender),
      prober_(config.prober),
      sampler_(*config.sampler),
      bucket_owner_(config.bucket_owner),
      worker_(config.worker),
      port_count_(std::ssize(config.ports)),
      workers_(config.workers),
      sieve_(config.sessions->sieve()),
      network_(*config.network),
      policy_(config.policy),
      reassembler_(config.reassembly),
      bursts_(std::make_unique<Burst[]>(3)),
      answers_(config.answers_per_second, config.answers_from),
      sealed_(new CryptoJob[kSealedMax]),
      lanes_(config.lanes),
      handoffs_(new PacketList[config.workers]) {
  for (std::size_t i = 0; i < config.ports.size(); ++i) {
    ports_[i] = ports_[kProtectedPort + i] = config.ports[i];
    ports_[i].output = &outputs_[i];
    ports_[kProtectedPort + i].output = &outputs_[kProtectedPort + i];
    // No packet leaves there by the plain way.
    ports_[kProtectedPort + i].plain_bytes = 0;
    ports_[kProtectedPort + i].fills_udp_checksum = false;
  }
  for (std::uint8_t port = 0; port < kPortsMax; ++port) {
    hairpins_[port].action = FarAction::ToUe;
    hairpins_[port].port = port;
  }
  for (const LocalAddress& local : network_.locals) {
    local_ipv4_[local_count_++] = local.is_v6 ? 0 : local.words[0];
  }
  for (unsigned port = 0; port < kPortsMax; ++port) {
    access_headers_.emplace_back(ports_[port].udp_port, ports_[port].local_mask, network_.locals);
  }
}

void Pipeline::observe(BurstObserver* observer) noexcept {
  observer_ = observer;
  is_followed_ = observer != nullptr && observer->follows_packets();
}

void Pipeline::receive(std::uint8_t port, Packet* const* packets, unsigned count,
                       Nanoseconds now) noexcept {
  now_ = now;
  Burst& burst = take_burst();
  burst.count = count;
  burst.port = port;
  burst.is_access = ports_[port].is_access;
  burst.now = now;
  for (unsigned i = 0; i < count; ++i) {
    if (i < kNearAtOnce) {
      fetch_near_pair(packets[i]);
    } else {
      fetch_far_pair(packets[i]);
    }
    burst.packets[i] = packets[i];
  }
  std::fill_n(burst.verdict, kBurstMax, DropReason::None);
  std::memset(burst.flags, 0, sizeof(burst.flags));
  inside_ += count;
  enter(burst);
}

void Pipeline::take_over(Packet** packets, unsigned count, Nanoseconds now) noexcept {
  now_ = now;
  counters_.taken_over += count;
  if (!protections_.empty()) count = admit_handed_over(packets, count);
  inside_ += count;
  enter_sorted(packets, count, kResolved, now);
}

/// A burst is of one port: packets of several are sorted into one for each.
void Pipeline::enter_sorted(Packet* const* packets, unsigned count, std::uint8_t flags,
                            Nanoseconds now) noexcept {
  unsigned arrived = 0;
  for (unsigned i = 0; i < count; ++i) arrived |= 1u << packets[i]->port;
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
      burst.flags[at] = flags;
    }
    enter(burst);
  }
}

DropReason Pipeline::reenter(std::uint8_t port, Packet* packet) noexcept {
  if (packet->flags & kPacketReentered) return DropReason::NoRoute;
  if (reentries_.count == PacketList::kMax) return DropReason::TxFull;
  packet->port = port;
  // Whatever it came under, it does not come from there any more.
  packet->flags = static_cast<std::uint8_t>((packet->flags | kPacketReentered) & ~kPacketProtected);
  reentries_.packets[reentries_.count++] = packet;
  ++inside_;
  return DropReason::None;
}

void Pipeline::reenter_waiting(Nanoseconds now) noexcept {
  now_ = now;
  if (__builtin_expect(sealed_count_ != 0, 0)) open_sealed(now);
  if (__builtin_expect(now >= reassembler_.next_expiry(), 0)) {
    expire_fragments(now, DropReason::ReassemblyTimeout);
  }
  // What these put aside again has no second turn, so the list only empties.
  for (unsigned done = 0; done < reentries_.count;) {
    const unsigned n = std::min(reentries_.count - done, kBurstMax);
    Packet* burst[kBurstMax];
    std::copy_n(reentries_.packets + done, n, burst);
    done += n;
    if (done == reentries_.count) done = reentries_.count = 0;
    enter_sorted(burst, n, 0, now);
    if (done == 0) break;
  }
}

Packet* Pipeline::create(std::uint8_t port) noexcept {
  Packet* packet = nullptr;
  if (pool_.allocate(&packet, 1) == 0) return nullptr;
  start_created(packet, port);
  return packet;
}

void Pipeline::start_created(Packet* packet, std::uint8_t port) noexcept {
  packet->offset = kCoreDataOffset;
  packet->length = 0;
  packet->port = port;
  packet->flags = kPacketOuterChecksumGood;
  ++counters_.created;
}

/// The first that is free, so that the one used last, whose lines are near, is used again.
Burst& Pipeline::take_burst() noexcept {
  Burst* burst = bursts_.get();
  while (burst == parsed_ || burst == looked_up_) ++burst;
  return *burst;
}

void Pipeline::enter(Burst& burst) noexcept {
  note(Stage::Receive, burst);
  if (burst.is_access) {
    parse_access(burst);
  } else {
    parse_core(burst);
  }
  note(Stage::Parse, burst);
  if (looked_up_ != nullptr) finish(*looked_up_);
  looked_up_ = nullptr;
  if (parsed_ != nullptr) advance(*parsed_);
  parsed_ = &burst;
}

void Pipeline::advance(Burst& burst) noexcept {
  if (burst.is_access) {
    lookup_access(burst);
    note(Stage::Lookup, burst);
    finish(burst);
  } else {
    lookup_core(burst);
    note(Stage::Lookup, burst);
    looked_up_ = &burst;
  }
}

/// The way of a packet that has its session. None: it is on its way out. The same code is there
/// a second time for when somebody looks on, so that nobody pays for it else.
template <bool kAccess, bool kObserved>
[[gnu::noinline]] DropReason Pipeline::match_to_forward(Burst& burst, unsigned i) noexcept {
  Hit hit;
  const auto decided = [&](Stage stage, DropReason verdict) {
    if constexpr (kObserved) observer_->decided(stage, burst, i, hit, verdict);
    return verdict;
  };
  DropReason verdict = decided(Stage::Match, match<kAccess>(burst, i, hit));
  if (__builtin_expect(verdict != DropReason::None, 0)) return verdict;
  const Direction direction = kAccess ? burst.direction[i] : Direction::Downlink;
  if (__builtin_expect(
          sieve_.wants_look(burst.operand[i].lanes[kRemoteHigh], burst.operand[i].lanes[kRemoteLow],
                            (burst.flags[i] & kInnerV6) != 0, static_cast<unsigned>(direction)),
          0)) {
    Hit looked_at = hit;  // a copy, as in match()
    verdict = decided(Stage::Look, look_closer(burst, i, looked_at));
    if (__builtin_expect(verdict != DropReason::None, 0)) return verdict;
    hit.far = looked_at.far;
  }
  if (__builtin_expect(hit.flow->state.flags & kFlowSlow, 0)) {
    if ((hit.flow->state.flags & kFlowLent) && lender_ != nullptr) lender_->meet(burst, i);
    verdict = decided(Stage::Hold, hold(burst, i, hit));
    if (verdict != DropReason::None) return verdict;
  }
  // What goes nowhere is charged to nobody.
  if (__builtin_expect(goes_nowhere(*hit.far), 0)) {
    return decided(Stage::Forward, forward_rarely(burst, i, hit));
  }
  if (__builtin_expect(!stage::leaves_anyway(hit, ports_.data()), 0) &&
      (hit.pdr->flags & kPdrGateClosed) == 0) {
    verdict = check_exit(burst, i, hit);
    if (__builtin_expect(verdict != DropReason::None, 0)) return decided(Stage::Forward, verdict);
  }
  verdict = decided(Stage::Police, police(burst, i, hit));
  if (__builtin_expect(verdict != DropReason::None, 0)) return verdict;
  verdict = decided(Stage::Account, account(burst, i, hit));
  if (__builtin_expect(verdict != DropReason::None, 0)) return verdict;
  return decided(Stage::Forward, forward(burst, i, hit));
}

DropReason Pipeline::forward_rarely(Burst& burst, unsigned i, Hit hit) noexcept {
  switch (hit.far->action) {
    case FarAction::WholeToCore:
    case FarAction::WholeToTunnel:
      return forward_whole(burst, i, hit);
    case FarAction::Duplicate:
      return forward_copies(burst, i, hit);
    case FarAction::ToSelf:
      if (const DropReason reason = to_tunnel(burst, i, hit); reason != DropReason::None) {
        return reason;
      }
      emit(hit.far->port, hit.packet);
      return DropReason::None;
    case FarAction::ToUe:
      return turn_round(burst, i, hit);
    case FarAction::Buffer:
      return DropReason::FarBuffer;
    case FarAction::NoTunnel:
      return DropReason::NoTunnel;
    default:
      return DropReason::FarDrop;
  }
}

/// What its rules did not let pass: URRs may count it. Matched again, so that the common way
/// keeps nothing for this.
void Pipeline::count_discarded(Burst& burst, unsigned i) noexcept {
  const Flow& flow = *burst.flow[i];
  if ((flow.rules.flags & kRulesCountDropped) == 0) return;
  Hit hit;
  const DropReason found =
      burst.is_access ? match<true>(burst, i, hit) : match<false>(burst, i, hit);
  if (found != DropReason::None) return;
  SessionView session = sessions_.view(burst.session[i]);
  usage_count_dropped(session, urrs_of(flow, burst.direction[i], hit.position), hit.length,
                      burst.now, events_);
}

/// As far as packets are plain. The lost ones have nobody to be told of.
template <bool kAccess, PlainWay kWay>
[[gnu::always_inline]] inline std::size_t Pipeline::go_plain(Burst& burst, std::size_t first,
                                                             const std::uint16_t* places,
                                                             unsigned& dead) noexcept {
  const auto [next, lost] = run_plain<kAccess, kWay>(burst, first, places);
  if (__builtin_expect(lost == 0, 1)) return next;
  counters_.dropped[static_cast<unsigned>(DropReason::MbrExceeded)] += lost;
  for (std::size_t i = first; i < next; ++i) {
    dead_.packets[dead] = burst.packets[i];
    dead += burst.verdict[i] != DropReason::None;
  }
  return next;
}

/// Returns how many died.
template <bool kAccess, bool kObserved>
unsigned Pipeline::finish_packets(Burst& burst) noexcept {
  unsigned dead = 0;
  const unsigned count = burst.count;
  std::uint16_t places[kBurstMax];
  if constexpr (!kObserved) {
    find_all_plain<kAccess>(burst, places);
    note(Stage::Match, burst);
  }
  for (std::size_t next = 0; next < count; ++next) {
    if constexpr (!kObserved) {
      next = go_plain<kAccess, PlainWay::Common>(burst, next, places, dead);
      if (__builtin_expect(next == count, 1)) break;
      if (places[next] < kInlinePdrs && burst.verdict[next] == DropReason::None) {
        next = go_plain<kAccess, PlainWay::OverIpv6>(burst, next, places, dead);
        if (next == count) break;
      }
      if (places[next] != kNoPlace && burst.verdict[next] == DropReason::None) {
        next = go_plain<kAccess, PlainWay::Any>(burst, next, places, dead);
        if (next == count) break;
      }
    }
    const auto i = static_cast<unsigned>(next);
    DropReason verdict = burst.verdict[i];
    if (verdict == DropReason::None) {
      verdict = match_to_forward<kAccess, kObserved>(burst, i);
      if (__builtin_expect(verdict == DropReason::None, 1)) continue;
      burst.verdict[i] = verdict;
    }
    if (verdict == kTakenAway) continue;
    burst.verdict[i] = verdict = conclude(burst, i);
    if (verdict == kTakenAway) continue;
    ++counters_.dropped[static_cast<unsigned>(verdict)];
    dead_.packets[dead++] = burst.packets[i];
  }
  return dead;
}

void Pipeline::finish(Burst& burst) noexcept {
  const unsigned sample = __builtin_expect(sampler_.wanted(), 0) ? sampler_.draw(burst) : kNoSample;
  unsigned dead;
  if (__builtin_expect(!is_followed_, 1)) {
    dead =
        burst.is_access ? finish_packets<true, false>(burst) : finish_packets<false, false>(burst);
  } else {
    dead = burst.is_access ? finish_packets<true, true>(burst) : finish_packets<false, true>(burst);
  }
  if (__builtin_expect(sample != kNoSample, 0)) sampler_.note(burst, sample);
  note(Stage::Finish, burst);
  if (__builtin_expect(lender_ != nullptr, 0)) lender_->consider(burst);
  if (dead != 0) pool_.free(dead_.packets, dead);
  inside_ -= burst.count;
  burst.count = 0;
}

void Pipeline::flush() noexcept {
  for (;;) {
    if (looked_up_ != nullptr) finish(*looked_up_);
    looked_up_ = nullptr;
    if (parsed_ != nullptr) {
      Burst& last = *parsed_;
      parsed_ = nullptr;
      advance(last);
      if (looked_up_ != nullptr) finish(*looked_up_);
      looked_up_ = nullptr;
    }
    if (reentries_.count == 0 && sealed_count_ == 0) return;
    reenter_waiting(now_);
  }
}

void Pipeline::drop(Packet* const* packets, unsigned count, DropReason reason) noexcept {
  counters_.dropped[static_cast<unsigned>(reason)] += count;
  if (__builtin_expect(observer_ != nullptr, 0) && reason != DropReason::TxFull) {
    observer_->lost(packets, count, reason, now_);
  }
  pool_.free(packets, count);
}

DropReason Pipeline::hand_over(Burst& burst, unsigned i, SessionIndex session) noexcept {
  const unsigned owner = bucket_owner_[sessions_.scheme().bucket(session)];
  return owner == worker_ ? DropReason::None : hand_to(burst, i, owner, session);
}

DropReason Pipeline::hand_to(Burst& burst, unsigned i, unsigned worker,
                             SessionIndex session) noexcept {
  Packet* packet = burst.packets[i];
  PacketList& list = handoffs_[worker];
  if (list.count == PacketList::kMax) return DropReason::HandoffFull;
  packet->session = session;
  list.packets[list.count++] = packet;
  ++counters_.handed_over;
  return burst.take_away(i, Fate::HandedOver);
}

}  // namespace sluice
