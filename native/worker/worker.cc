#include "worker/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

constexpr unsigned kCommandsPerLoop = 64;

}  // namespace

Result<std::unique_ptr<Worker>> Worker::create(const Config& config) {
  Region& region = *config.region;
  void* samples = region.allocate(TrafficSampler::Ring::bytes(kSampleRing));
  void* commands = region.allocate(SpscRing<std::uint32_t>::bytes(kCommandRing));
  void* events = region.allocate(SpscRing<Event>::bytes(kEventRing));
  void* journal = region.allocate(sizeof(UsageJournal));
  if (samples == nullptr || commands == nullptr || events == nullptr || journal == nullptr) {
    return Error{"the memory region has no room for worker rings", "limits"};
  }
  std::unique_ptr<Worker> worker(new Worker(config, samples));
  worker->commands_ = SpscRing<std::uint32_t>::create(commands, kCommandRing);
  worker->events_ = SpscRing<Event>::create(events, kEventRing);
  worker->journal_ = new (journal) UsageJournal;
  worker->wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  worker->epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (worker->wake_fd_ < 0 || worker->epoll_fd_ < 0) {
    return Error{"no file descriptor left for a worker: raise the limit of open files",
                 "workers.count"};
  }
  epoll_event interest{};
  interest.events = EPOLLIN;
  epoll_ctl(worker->epoll_fd_, EPOLL_CTL_ADD, worker->wake_fd_, &interest);
  for (PortQueue* queue : config.queues) {
    const int fd = queue->wait_fd();
    if (fd < 0 || epoll_ctl(worker->epoll_fd_, EPOLL_CTL_ADD, fd, &interest) != 0) {
      worker->must_poll_ = true;
    }
  }
  return worker;
}

Nanoseconds Worker::start_of(const Config& config) noexcept {
  return config.given_time != 0 ? config.given_time : Clock::machine().now();
}

/// Time that is given counts from 1970 already.
std::uint64_t Worker::read_realtime_offset() const noexcept {
  return config_.given_time != 0 ? 0 : Clock::machine().realtime_offset();
}

Worker::Worker(const Config& config, void* sample_ring)
    : config_(config),
      sampler_(TrafficSampler::Ring::create(sample_ring, kSampleRing)),
      pipeline_([&] {
        PipelineConfig c = config.pipeline;
        c.events = this;
        c.sampler = &sampler_;
        c.lender = config.lender;
        c.worker = config.id;
        c.workers = config.workers;
        return c;
      }()),
      outgoing_(config.workers, nullptr),
      others_(config.workers, nullptr),
      timers_(config.region->allocate_array<TimerNode>(2)),
      wheel_(config.region->base(), start_of(config)),
      realtime_offset_(read_realtime_offset()),
      window_start_(tsc()) {
  wheel_.schedule(timers_[1], start_of(config) + kSecond);
  pipeline_.start_probing(start_of(config));
}

Worker::~Worker() {
  if (wake_fd_ >= 0) close(wake_fd_);
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

void Worker::connect(Worker& other) {
  void* memory = config_.region->allocate(PacketRing::bytes(kHandoffRing));
  if (memory == nullptr) return;
  PacketRing* ring = PacketRing::create(memory, kHandoffRing);
  outgoing_[other.config_.id] = ring;
  others_[other.config_.id] = &other;
  other.incoming_.push_back(ring);
}

unsigned Worker::loop() noexcept {
  // One look at the counter a loop: the end of one loop is the start of the next.
  const std::uint64_t start = tsc();
  measure(start);
  return turn(Clock::machine().to_nanoseconds(start));
}

unsigned Worker::turn(Nanoseconds now) noexcept {
  unsigned commands = drain_commands(now);
  // Relaxed: run_errand() reads it again, as the pair of post().
  if (__builtin_expect(errand_.load(std::memory_order_relaxed) != nullptr, 0)) {
    commands += run_errand(now);
    // It may have stood still, while another worker took sessions further that are its own now.
    if (config_.given_time == 0) now = Clock::machine().now();
  }
  saturated_ = false;
  if (!incoming_.empty()) met_ = meet(0);
  unsigned packets = receive(now);
  if (!incoming_.empty()) packets += take_over(now);
  if (__builtin_expect(!config_.pipeline.lanes.empty(), 0)) packets += pipeline_.take_back(now);
  pipeline_.reenter_waiting(now);
  if (!saturated_) pipeline_.flush();
  transmit();
  if (pipeline_.has_held_work()) packets += drain_held(now);
  if (config_.workers > 1) hand_over();
  if (__builtin_expect(leads_, 0)) let_followers_go();
  if (now >= next_expiry_) {
    expire_timers(now);
    transmit();
  }
  if (config_.lender != nullptr) {
    config_.lender->turn(now, pipeline_.observer() == nullptr && !sampler_.wanted());
  }
  if (pending_head_ != 0) retry_reports(now);
  if (news_) {
    news_ = false;
    config_.bell->ring();
  }
  loop_packets_ = packets;
  return packets + commands;
}

unsigned Worker::receive(Nanoseconds now) noexcept {
  unsigned total = 0;
  if (__builtin_expect(waits_, 0) && !has_waited(now)) return 0;
  for (std::size_t i = 0; i < config_.queues.size(); ++i) {
    const unsigned n = config_.queues[i]->rx(rx_, kRxBurst);
    if (__builtin_expect(leads_, 0)) note_backlog(i, n);
    if (n == 0) continue;
    saturated_ |= n == kRxBurst;
    ++window_bursts_;
    ++counters_.bursts;
    total += n;
    pipeline_.receive(config_.ports[i], rx_, n, now);
  }
  return total;
}

/// Packets that another worker hands over, whose lines come from its core while those before them
/// are worked on.
unsigned Worker::meet(std::size_t ring) noexcept {
  Packet** const packets = handed_[ring % 2];
  const unsigned n = incoming_[ring]->dequeue_burst(packets, kRxBurst);
  for (unsigned i = 0; i < n; ++i) fetch_far_pair(packets[i]);
  return n;
}

unsigned Worker::take_over(Nanoseconds now) noexcept {
  unsigned total = 0;
  unsigned n = 0;
  for (std::size_t i = 0; i < incoming_.size(); ++i) {
    // Those that were met before come before what has come since.
    if (i == 0) n = met_ != 0 ? std::exchange(met_, 0) : meet(0);
    const unsigned next = i + 1 < incoming_.size() ? meet(i + 1) : 0;
    if (n != 0) pipeline_.take_over(handed_[i % 2], n, now);
    total += std::exchange(n, next);
  }
  return total;
}

bool Worker::replay_one(unsigned queue, Nanoseconds now) noexcept {
  drain_commands(now);
  catch_up(now);
  const unsigned n = config_.queues[queue]->rx(rx_, 1);
  if (n != 0) pipeline_.receive(config_.ports[queue], rx_, n, now);
  pipeline_.flush();
  transmit();
  counters_.packets += n;
  return n != 0;
}

unsigned Worker::drain_commands(Nanoseconds now) noexcept {
  Sessions& sessions = *config_.pipeline.sessions;
  Lender* const lender = config_.lender;
  if (taken_next_ == taken_count_) {
    taken_next_ = 0;
    taken_count_ = commands_->dequeue_burst(taken_, kCommandsPerLoop);
  }
  unsigned applied = 0;
  while (taken_next_ < taken_count_) {
    const std::uint32_t ticket = taken_[taken_next_];
    // A report that a change asks for must find room: better the change waits than a byte.
    if (kEventRing - events_->size() < sessions.events_needed(ticket)) break;
    const Prepared& change = sessions.change(ticket);
    if (change.end_markers != 0) {
      // Behind the last packet of the old path, which has left, and before any of the new.
      if (!pipeline_.end_paths(*sessions.rule<RemoteTunnelList>(change.end_markers))) break;
      transmit();
    }
    pipeline_.before_change(change);
    if (lender != nullptr) now = lender->forget(change.session, now);
    sessions.apply(ticket, now, *this);
    pipeline_.after_change(change);
    ++taken_next_;
    ++applied;
  }
  if (applied != 0) {
    if (lender != nullptr) lender->renew_looks();
    // Release: pairs with completed(); events pushed before are visible with the count.
    completed_.store(completed_.load(std::memory_order_relaxed) + applied,
                     std::memory_order_release);
    news_ = true;
  }
  return applied;
}

bool Worker::post(Errand& errand) noexcept {
  Errand* none = nullptr;
  // Release: pairs with the acquire in run_errand(), which sees the errand whole.
  if (!errand_.compare_exchange_strong(none, &errand, std::memory_order_release)) return false;
  wake();
  return true;
}

bool Worker::run_errand(Nanoseconds now) noexcept {
  // Acquire: pairs with post().
  Errand* errand = errand_.load(std::memory_order_acquire);
  if (errand == nullptr) return false;
  errand->run(*this, now);
  // The place is free before the poster may see the end and give up the errand's memory.
  errand_.store(nullptr, std::memory_order_relaxed);
  errand->finish();
  news_ = true;
  return true;
}

unsigned Worker::submit(const std::uint32_t* tickets, unsigned count) noexcept {
  return commands_->enqueue_burst(tickets, count);
}

/// Accounts the loop that ends now. The time asleep is none of it: sleep() forgets the start.
void Worker::measure(std::uint64_t now) noexcept {
  const std::uint64_t spent = now - std::exchange(last_loop_, now);
  const unsigned packets = std::exchange(loop_packets_, 0);
  ++counters_.loops;
  if (spent > longest_stall_cycles_ && spent != now) {
    longest_stall_cycles_ = spent;
    counters_.longest_stall_ns = Clock::machine().cycles_to_ns(spent);
  }
  if (packets != 0) {
    counters_.packets += packets;
    counters_.busy_cycles += spent;
    window_busy_ += spent;
    window_packets_ += packets;
  }
  const std::uint64_t window = now - window_start_;
  if (window < Clock::machine().tsc_hz()) return;
  counters_.busy = static_cast<double>(window_busy_) / static_cast<double>(window);
  if (window_packets_ != 0) {
    counters_.cycles_per_packet =
        static_cast<double>(window_busy_) / static_cast<double>(window_packets_);
    counters_.burst_fill = static_cast<double>(window_packets_) /
                           static_cast<double>(std::max<std::uint64_t>(window_bursts_, 1));
  }
  window_start_ = now;
  window_busy_ = window_packets_ = window_bursts_ = 0;
}

unsigned Worker::incoming() const noexcept {
  unsigned total = 0;
  for (const PacketRing* ring : incoming_) total += static_cast<unsigned>(ring->size());
  return total;
}

unsigned Worker::settle_lanes(Nanoseconds now) noexcept {
  const unsigned packets = pipeline_.take_back(now);
  pipeline_.flush();
  transmit();
  return packets;
}

void Worker::discard() noexcept {
  if (config_.lender != nullptr) config_.lender->end();
  // A worker without a thread may have stopped between two bursts.
  pipeline_.flush();
  transmit();
  pipeline_.discard_held();
  pipeline_.expire_fragments(kNever, DropReason::Stopping);
  for (PacketRing* ring : incoming_) {
    for (unsigned n; (n = ring->dequeue_burst(rx_, kRxBurst)) != 0;) {
      pipeline_.drop(rx_, n, DropReason::Stopping);
    }
  }
  for (unsigned w = 0; w < config_.workers; ++w) {
    PacketList& list = pipeline_.handoff(w);
    pipeline_.drop(list.packets, list.count, DropReason::Stopping);
    list.count = 0;
  }
}

}  // namespace sluice
