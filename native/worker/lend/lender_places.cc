// Which flows are given a place, and what the program is told of them: it does for their packets
// what the plain way would do (pipeline/plain.h).
#include <linux/if_ether.h>

#include <atomic>
#include <cstring>
#include <new>

#include "pipeline/plain.h"
#include "session/policer.h"
#include "worker/lend/lender.h"

namespace sluice {
namespace {

constexpr unsigned kNone = 0, kAll = 0xffff;

bool takes_all(const FilterPair& pair, Lane lane) noexcept {
  return pair.low[0][lane] == kNone && pair.high[0][lane] == kAll;
}
bool takes(const FilterPair& pair, Lane lane, unsigned value) noexcept {
  return pair.low[0][lane] <= value && value <= pair.high[0][lane];
}

}  // namespace

/// The PDR of all packets of IPv4, at least of those with one QFI; null: it depends.
const PdrEntry* Lender::whole_pdr(const Flow& flow, std::uint16_t& qfi) const noexcept {
  if ((flow.rules.flags & kRulesInLines4) == 0 || flow.rules.filter_set == 0) return nullptr;
  const auto& set = *sessions_.rule<FilterSet>(flow.rules.filter_set);
  const FilterPair& first = set.pairs()[0];
  if (set.compared4 == 0 || set.hits[0].flags != 0) return nullptr;
  for (const Lane lane : {kRemoteHigh, kRemoteLow, kProtocol, kRemotePort, kLocalPort}) {
    if (!takes_all(first, lane)) return nullptr;
  }
  if (!takes(first, kLocalHigh, flow.state.ue_ipv4 >> 16) ||
      !takes(first, kLocalLow, flow.state.ue_ipv4 & 0xffff)) {
    return nullptr;
  }
  const unsigned low = first.low[0][kQfi], high = first.high[0][kQfi];
  if (low != high && !(low == kNone && high >= kNoQfi)) return nullptr;
  qfi = low == high ? static_cast<std::uint16_t>(low) : LentFlow::kAnyQfi;
  return &flow.rules.pdrs[set.hits[0].pdr];
}

bool Lender::may_be_lent(const Burst& burst, unsigned i) const noexcept {
  if (doors_[burst.port].table == nullptr || burst.verdict[i] != DropReason::None) return false;
  const unsigned flags = burst.is_access ? kHasContainer : 0;
  if (burst.flags[i] != flags) return false;
  const Flow& flow = *burst.flow[i];
  const FlowState& state = flow.state;
  constexpr unsigned kOdd = kRulesBuffer | kRulesCountDropped | kRulesTellEndMarker;
  if ((state.flags & (kFlowLive | kFlowSlow)) != kFlowLive || (flow.rules.flags & kOdd) != 0) {
    return false;
  }
  if (!burst.is_access) return state.ue_ipv4 == burst.key[i];
  return burst.direction[i] == Direction::Uplink && (state.flags & kFlowCheckSource) != 0 &&
         state.key == burst.key[i] && state.ue_ipv4 != 0;
}

void Lender::give_place(const Burst& burst, unsigned i) noexcept {
  Flow& flow = *burst.flow[i];
  const Direction direction = burst.is_access ? Direction::Uplink : Direction::Downlink;
  const std::uint32_t key = lent_key(flow.state, direction);
  if (is_refused(key, burst.now)) return;
  LentFlow& entry = doors_[burst.port].table->at(key);
  std::uint32_t free = 0;
  // Acquire: pairs with the end of another's place.
  if (!std::atomic_ref(entry.holder)
           .compare_exchange_strong(free, burst.session[i] + 1, std::memory_order_acquire)) {
    return;
  }
  if (!fill(entry, burst, i)) {
    std::atomic_ref(entry.holder).store(0, std::memory_order_release);
    return;
  }
  entry.in_port = burst.port;
  entry.direction = static_cast<std::uint8_t>(direction);
  entry.idle = 0;
  entry.is_out = entry.is_due = 0;
  entry.position = static_cast<std::uint32_t>(places_.size());
  places_.push_back(&entry);
  counters_.places = static_cast<std::uint32_t>(places_.size());
  flow.state.flags |= kFlowLent;
  // Release: from here on the program counts its packets.
  std::atomic_ref(entry.key).store(key, std::memory_order_release);
}

bool Lender::fill(LentFlow& entry, const Burst& burst, unsigned i) noexcept {
  const Flow& flow = *burst.flow[i];
  std::uint16_t qfi = LentFlow::kAnyQfi;
  const PdrEntry* const pdr = whole_pdr(flow, qfi);
  if (pdr == nullptr || !stage::is_plain(*pdr)) return false;
  const FarEntry& far = flow.rules.fars[pdr->far];
  const FarAction action = burst.is_access ? FarAction::ToCore : FarAction::ToTunnel;
  if (far.action != action || far.port >= doors_.size()) return false;
  const unsigned room = doors_[far.port].row->plain_bytes;
  const unsigned outer = burst.is_access ? 0 : kPlainOuterBytes;
  if (room <= outer) return false;
  entry.bytes_max = room - outer;
  entry.qfi = qfi;
  entry.out_port = far.port;
  entry.counts = pdr->usage_set != 0;
  entry.polices = pdr->buckets != 0;
  for (unsigned b = 0; b < kHotBuckets; ++b) {
    entry.rate_kbps[b] = flow.state.rate_kbps[b];
    entry.depth[b] = bucket_depth(flow.state.rate_kbps[b]);
    entry.byte_cost[b] = (pdr->buckets >> b & 1) != 0 ? kMicrobitsPerByte : 0;
  }
  if (!burst.is_access) {
    return fill_header(entry, *pdr, far, 0);
  }
  const LocalAddress& local = network_.locals[burst.local[i]];
  if (local.is_v6) return false;
  entry.local = __builtin_bswap32(local.words[0]);
  entry.ue = __builtin_bswap32(flow.state.ue_ipv4);
  const auto& lanes = burst.operand[i].lanes;
  const std::uint32_t remote =
      static_cast<std::uint32_t>(lanes[kRemoteHigh]) << 16 | lanes[kRemoteLow];
  return fill_header(entry, *pdr, far, __builtin_bswap32(remote));
}

/// The destination stands where an outer header has its own, also where there is none: sweep()
/// asks for it.
bool Lender::fill_header(LentFlow& entry, const PdrEntry& pdr, const FarEntry& far,
                         std::uint32_t destination) noexcept {
  const Door& out = doors_[far.port];
  const bool tunnels = far.action == FarAction::ToTunnel;
  std::uint8_t* const outer = entry.header + ETH_HLEN;
  if (tunnels) {
    const Peer& peer = sessions_.peers()[far.peer];
    if (peer.is_v6 || pdr.qfi == 0) return false;
    alignas(Packet) std::byte chunk[sizeof(Packet) + kPlainOuterBytes];
    auto* const packet = new (chunk) Packet{};
    stage::write_plain_tunnel(packet, sizeof chunk, 0, far, peer, 0,
                              stage::container_of(far, pdr, pdr.qfi));
    std::memcpy(outer, packet->data(), kPlainOuterBytes);
    std::memcpy(&destination, outer + 16, sizeof destination);
    entry.checksum_seed = peer.checksum_seed + far.tos;
  }
  std::memcpy(outer + 16, &destination, sizeof destination);
  LinkWay way{};
  if (!out.queue->way_to(destination, way)) return false;
  entry.interface = way.interface;
  std::copy(way.header.begin(), way.header.end(), entry.header);
  if (!tunnels) {
    std::copy_n(way.reach, std::size(way.reach), entry.reach);
    return true;
  }
  for (unsigned flow = 0; flow < kSourcePorts; ++flow) {
    entry.source_ports[flow] = __builtin_bswap16(out.row->source_ports[flow]);
  }
  return true;
}

}  // namespace sluice
