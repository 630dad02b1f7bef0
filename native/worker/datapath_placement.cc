// Where the packet path runs and where its memory is. What one worker uses alone is in the memory
// of its own NUMA node: packets, rings, held packets, and its sessions' hot lines, since each node
// has a run of the buckets. Tables and rules are all workers', and in the first one's node.
#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "memory/page_nodes.h"
#include "worker/datapath.h"

namespace sluice {
namespace {
constexpr std::size_t kRegionSlack = std::size_t{16} << 20;
/// Of each node with workers the last page of two kinds of memory may be begun and not full.
constexpr std::size_t kNodeSlack = std::size_t{4} << 20;
constexpr std::size_t kDivisiblePage = std::size_t{2} << 20;
}  // namespace

std::size_t packet_memory_bytes(const DatapathConfig& config) noexcept {
  const unsigned workers = config.workers != 0 ? config.workers : config.stepped_workers;
  const std::size_t rings =
      workers *
      (SpscRing<Event>::bytes(kEventRing) + SpscRing<std::uint32_t>::bytes(kCommandRing) +
       TrafficSampler::Ring::bytes(kSampleRing) + workers * SpscRing<Packet*>::bytes(kHandoffRing));
  return Sessions::bytes(config.sessions) +
         PacketPool::bytes(config.packets_max, workers + 1, config.held_packets_max) +
         workers * HoldTable::bytes(config.held_packets_max / workers) +
         CryptoLanes::bytes(config.lanes, workers) + rings + kRegionSlack +
         (workers - 1) * kNodeSlack;
}

Status Datapath::make_memory() {
  const auto caches =
      static_cast<unsigned>(places_.size()) + 1;  // the last is the control thread's
  RegionOptions options;
  options.bytes = packet_memory_bytes(config_);
  options.pages = config_.hugepages;
  options.numa_node = config_.workers == 0 ? -1 : static_cast<int>(places_[0].numa_node);
  options.several_nodes = nodes_.size() > 1;
  auto region = make_region(options);
  if (!region) return region.error();
  region_ = std::move(region).value();
  if (!region_->warning().empty()) warnings_.push_back(region_->warning());
  std::vector<unsigned> node_of_cache;
  for (const WorkerPlace& place : places_) node_of_cache.push_back(place.numa_node);
  node_of_cache.push_back(places_[0].numa_node);
  auto pool = PacketPool::create(*region_, config_.packets_max, caches, config_.held_packets_max,
                                 node_of_cache);
  if (!pool) return pool.error();
  pool_ = std::move(pool).value();
  // The pool is small and always in use: in large pages now, where the machine has them. Its
  // spares behind it are touched when packets are held.
  region_->populate(pool_->chunks(), std::size_t{config_.packets_max} * kChunkBytes);
  sessions_start_ = region_->used();
  pool_resident_ = std::min(region_->resident(), sessions_start_);
  std::random_device random;
  config_.sessions.hash_secret = {std::uint64_t{random()} << 32 | random(),
                                  (std::uint64_t{random()} << 32 | random()) | 1};
  auto sessions = Sessions::create(*region_, config_.sessions, network_);
  if (!sessions) return sessions.error();
  sessions_ = std::move(sessions).value();
  bind_memory();
  protections_ = std::make_unique<Protections>(static_cast<unsigned>(places_.size()),
                                               sessions_->protection_uses());
  if (Status made = make_lanes(); !made) return made;
  sessions_->sieve().look_for_ues(config_.policy.hairpin);
  for (const LocalAddress& own : network_.owns) {
    sessions_->sieve().add_own(own.words[0], own.is_v6);
  }
  return Ok{};
}

/// Has the region give memory near a worker, where they are on several nodes.
void Datapath::take_memory_near(unsigned worker) noexcept {
  if (nodes_.size() > 1) region_->take_from(static_cast<int>(places_[worker].numa_node));
}

/// A ring between two is near the one that reads it.
void Datapath::connect_workers() {
  for (unsigned to = 0; to < workers_.size(); ++to) {
    take_memory_near(to);
    for (const auto& from : workers_) {
      if (from != workers_[to]) from->connect(*workers_[to]);
    }
  }
  region_->take_from(Region::kAnyNode);
}

/// Position of a worker's node among those that workers are on.
unsigned Datapath::node_rank(unsigned worker) const noexcept {
  const auto found = std::find(nodes_.begin(), nodes_.end(), places_[worker].numa_node);
  return found == nodes_.end() ? 0 : static_cast<unsigned>(found - nodes_.begin());
}

/// Hot lines to the nodes of their workers, as they are at the start: a bucket that moves leaves
/// its lines behind.
void Datapath::bind_memory() {
  if (nodes_.size() < 2) return;
  std::string failed = pool_->warning();
  const std::size_t slots = sessions_->scheme().sessions() / kBuckets;
  for (unsigned from = 0, to = 0; from < kBuckets; from = to) {
    const unsigned node = places_[bucket_owner_[from]].numa_node;
    while (to < kBuckets && places_[bucket_owner_[to]].numa_node == node) ++to;
    for (const Direction direction : {Direction::Uplink, Direction::Downlink}) {
      const Status bound =
          region_->bind(sessions_->flows(direction) + from * slots,
                        (to - from) * slots * sizeof(Flow), static_cast<int>(node));
      if (!bound) failed = bound.error().message;
    }
  }
  if (!failed.empty()) {
    warnings_.push_back(failed + "; workers of that node reach over to another one's");
  } else if (region_->page_bytes() > kDivisiblePage) {
    warnings_.push_back(
        "packet memory is on 1 GB pages, which cannot be divided among the nodes of the workers; "
        "let "
        "workers.hugepages be 2M");
  }
}

Placement Datapath::placement() const {
  constexpr unsigned kSamples = 256;
  // Of the pool alone: it is in use from the start, sessions' memory comes with sessions.
  const std::size_t bytes = std::size_t{config_.packets_max} * kChunkBytes;
  return {control_cores_, region_->pages(), region_->size(),
          nodes_of_pages(pool_->chunks(), bytes, kSamples)};
}

std::size_t Datapath::region_used() const noexcept {
  // The kernel counts the pages of the region's file. With huge pages all of them are there
  // from the start, also those that nothing was allocated from.
  const std::size_t resident = region_->resident();
  return std::min(region_->used() - sessions_start_, resident - std::min(resident, pool_resident_));
}

/// A run of buckets to each node, by the number of its workers, and of a run to these in turn.
void Datapath::share_buckets() noexcept {
  std::vector<unsigned> workers(places_.size());
  std::iota(workers.begin(), workers.end(), 0u);
  const auto rank = [this](unsigned worker) { return node_rank(worker); };
  std::ranges::sort(workers, {}, [&](unsigned w) { return std::pair(rank(w), w); });
  for (std::size_t from = 0, to = 0; from < workers.size(); from = to) {
    while (to < workers.size() && rank(workers[to]) == rank(workers[from])) ++to;
    const std::size_t first = from * kBuckets / workers.size();
    for (std::size_t b = first; b < to * kBuckets / workers.size(); ++b) {
      bucket_owner_[b] = static_cast<std::uint8_t>(workers[from + (b - first) % (to - from)]);
    }
  }
  steered_ = bucket_owner_;
}

}  // namespace sluice
