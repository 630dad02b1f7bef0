#include "session/table/peer_table.h"

#include <cstring>

#include "wire/bytes.h"
#include "wire/gtpu.h"

namespace sluice {
namespace {
void write_header(Peer& peer, const LocalAddress& source, const std::uint32_t (&destination)[4],
                  std::uint16_t udp_port) noexcept {
  auto* h = reinterpret_cast<std::byte*>(peer.header);
  if (peer.is_v6) {
    wire::store32(h, 0x60000000);
    wire::store32(h + 4, 0x00001140);  // length later; next header UDP, hop limit 64
    for (unsigned i = 0; i < 4; ++i) {
      wire::store32(h + 8 + 4 * i, source.words[i]);
      wire::store32(h + 24 + 4 * i, destination[i]);
    }
    wire::store32(h + 40, udp_port);
  } else {
    wire::store32(h, 0x45000000);
    wire::store32(h + 4, 0x00004000);  // identification 0, DF
    wire::store32(h + 8, 0x40110000);  // TTL 64, UDP
    wire::store32(h + 12, source.words[0]);
    wire::store32(h + 16, destination[0]);
    wire::store32(h + 20, udp_port);
    wire::PscFields container;
    wire::write_gpdu(h + 28, Teid{0}, 0, &container);
  }
}

std::uint32_t sum_words(const Peer& peer, unsigned from, unsigned to) noexcept {
  std::uint32_t sum = 0;
  for (unsigned i = from; i < to; i += 2) {
    sum += wire::load16(reinterpret_cast<const std::byte*>(peer.header) + i);
  }
  return sum;
}
}  // namespace

std::size_t PeerTable::Hash::operator()(const Key& key) const noexcept {
  std::uint64_t hash = key.port_and_udp | std::uint64_t{key.protection} << 32;
  for (const std::uint32_t word : key.destination) {
    hash = (hash ^ word) * 0xff51afd7ed558ccd;
    hash ^= hash >> 29;
  }
  return hash;
}

std::uint16_t PeerTable::acquire(const LocalAddress& source, const std::uint32_t (&destination)[4],
                                 std::uint16_t udp_port, std::uint16_t protection) {
  Key key{};
  std::memcpy(key.destination, destination, sizeof(key.destination));
  key.port_and_udp = udp_port | std::uint32_t{source.port} << 16 | (source.is_v6 ? 1u << 24 : 0);
  key.protection = protection;
  if (const auto it = by_key_.find(key); it != by_key_.end()) {
    ++it->second.references;
    return it->second.peer;
  }
  std::uint16_t index;
  collect_left();
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
    keys_[index] = key;
  } else {
    if (keys_.size() >= peers_.size()) return kNone;
    index = static_cast<std::uint16_t>(keys_.size());
    keys_.push_back(key);
    entries_ = static_cast<std::uint32_t>(keys_.size());
  }
  Peer& peer = peers_[index];
  peer = Peer{};
  peer.port = static_cast<std::uint8_t>(source.port + (protection != 0 ? kProtectedPort : 0));
  peer.protection = protection;
  peer.is_v6 = source.is_v6;
  write_header(peer, source, destination, udp_port);
  peer.checksum_seed = peer.is_v6 ? sum_words(peer, 8, 40) + 17 : sum_words(peer, 0, 20);
  // Release: pairs with the acquire in PathProber, which reads the line after it.
  paths_[index].use.store(Path::kUsed, std::memory_order_release);
  by_key_.emplace(key, Use{index, 1});
  return index;
}

void PeerTable::release(std::uint16_t peer) {
  const auto it = by_key_.find(keys_[peer]);
  if (it == by_key_.end() || --it->second.references != 0) return;
  by_key_.erase(it);
  if (watched_) {
    paths_[peer].use.store(Path::kLeft, std::memory_order_release);
    left_.push_back(peer);
  } else {
    paths_[peer].use.store(Path::kFree, std::memory_order_relaxed);
    free_.push_back(peer);
  }
}

void PeerTable::collect_left() {
  // Acquire: pairs with the release in PathProber.
  while (!left_.empty() &&
         paths_[left_.front()].use.load(std::memory_order_acquire) == Path::kFree) {
    free_.push_back(left_.front());
    left_.pop_front();
  }
}

}  // namespace sluice
