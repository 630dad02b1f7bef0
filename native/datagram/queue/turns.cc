#include "datagram/queue/turns.h"

#include <algorithm>
#include <utility>

namespace sluice::datagram {
namespace {

/// In the order of turns, for all strangers; no source has this number there.
constexpr std::uint32_t kStrangersTurn = 0;

}  // namespace

void Turns::Order::push(std::uint32_t source) noexcept {
  std::size_t at = first_ + count_++;
  if (at >= slots_.size()) at -= slots_.size();
  slots_[at] = source;
}

void Turns::Order::pop() noexcept {
  if (++first_ == slots_.size()) first_ = 0;
  --count_;
}

Turns::Turns(std::uint32_t chunks, HalfSipHash<> hash, const std::shared_ptr<ShedCounts>& strangers)
    : room_(chunks),
      hash_{hash},
      peers_(0, hash_),
      sources_(kStrangers),
      turns_(kPeersMax + 1),
      strangers_(kStrangers) {
  for (Source& source : sources_) source.shed = strangers;
}

std::uint32_t Turns::source_of(const Address& address) const noexcept {
  const auto found = peers_.find(address);
  return found != peers_.end() ? found->second
                               : static_cast<std::uint32_t>(hash_(address) % kStrangers);
}

void Turns::leave_to_strangers(const Address& address, Source& source) noexcept {
  Source& shared = sources_[hash_(address) % kStrangers];
  for (unsigned i = 0; i < kClasses; ++i) room_.move_all(source.queues[i], shared.queues[i]);
}

void Turns::set_peers(const std::vector<Peer>& peers) {
  std::unordered_map<Address, std::uint32_t, AddressHash> next(0, hash_);
  std::vector<Source> sources(sources_.begin(), sources_.begin() + kStrangers);
  for (const Peer& peer : peers) {
    if (sources.size() == kStrangers + kPeersMax) break;
    if (!next.emplace(peer.address, sources.size()).second) continue;
    const auto before = peers_.find(peer.address);
    sources.push_back(before == peers_.end() ? Source{} : sources_[before->second]);
    sources.back().shed = peer.shed;
  }
  std::swap(sources_, sources);
  std::swap(peers_, next);
  for (const auto& [address, source] : next) {
    if (!peers_.contains(address)) leave_to_strangers(address, sources[source]);
  }
  turns_.clear();
  strangers_.clear();
  for (std::uint32_t i = 0; i < sources_.size(); ++i) {
    sources_[i].in_turn = false;
    if (!sources_[i].empty()) enter(i);
  }
}

void Turns::enter(std::uint32_t source) noexcept {
  if (std::exchange(sources_[source].in_turn, true)) return;
  if (source >= kStrangers) {
    turns_.push(source);
    return;
  }
  if (strangers_.empty()) turns_.push(kStrangersTurn);
  strangers_.push(source);
}

bool Turns::add(const Header& header, const std::byte* bytes, Nanoseconds now) noexcept {
  const std::uint32_t number = source_of(header.source());
  Source& source = sources_[number];
  Queue& queue = source.queues[header.datagram_class];
  if (!room_.admits(queue, static_cast<Class>(header.datagram_class), header.length)) {
    ++(*source.shed)[header.datagram_class];
    return false;
  }
  room_.append(queue, header, bytes, now);
  enter(number);
  return true;
}

bool Turns::serve_one(Order& order, DatagramRing& ring, Nanoseconds now) noexcept {
  const std::uint32_t number = order.front();
  Source& source = sources_[number];
  Queue& queue = *std::find_if(source.queues.begin(), source.queues.end(),
                               [](const Queue& each) { return each.chunks != 0; });
  const Header& front = room_.front(queue);
  Header* const to = ring.reserve(front.length);
  if (to == nullptr) return false;
  const std::uint32_t offset = to->offset;
  *to = front;
  to->offset = offset;
  const Nanoseconds since = room_.front_since(queue);
  const std::uint64_t waited_us = now > since ? (now - since) / 1000 : 0;
  to->waited_us = static_cast<std::uint32_t>(std::min<std::uint64_t>(waited_us, ~std::uint32_t{0}));
  room_.take(queue, DatagramRing::payload(to));
  ring.commit();
  order.pop();
  if (source.empty()) {
    source.in_turn = false;
  } else {
    order.push(number);
  }
  return true;
}

unsigned Turns::serve(DatagramRing& ring, Nanoseconds now) noexcept {
  unsigned served = 0;
  for (; !turns_.empty(); ++served) {
    if (turns_.front() != kStrangersTurn) {
      if (!serve_one(turns_, ring, now)) break;
      continue;
    }
    if (!serve_one(strangers_, ring, now)) break;
    turns_.pop();
    if (!strangers_.empty()) turns_.push(kStrangersTurn);
  }
  return served;
}

}  // namespace sluice::datagram
