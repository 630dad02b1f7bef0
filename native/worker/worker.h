// The loop of one worker: commands, receive, pipeline, timers, transmit. Owner: the thread
// that run() is called on (or the control thread, for a worker that has no thread). The
// control thread reaches it only through the rings and atomics below.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/timer_wheel.h"
#include "base/topology.h"
#include "memory/ring.h"
#include "pipeline/pipeline.h"
#include "port/port.h"
#include "session/survival/usage_directory.h"
#include "worker/lend/lender.h"

namespace sluice {

inline constexpr unsigned kRxBurst = 32;
inline constexpr std::uint32_t kCommandRing = 8192;
inline constexpr std::uint32_t kEventRing = 8192;
inline constexpr std::uint32_t kHandoffRing = 2048;

class Worker;

/// Wakes the control thread, once per arming however many workers have something to say.
class Bell {
 public:
  explicit Bell(std::function<void()> ring) : ring_(std::move(ring)) {}
  void arm() noexcept { armed_.store(true, std::memory_order_seq_cst); }
  void ring() noexcept {
    // Pairs with arm(): whoever arms looks at the rings after it, so that nothing is missed.
    if (armed_.load(std::memory_order_relaxed) && armed_.exchange(false)) ring_();
  }

 private:
  std::atomic<bool> armed_{false};
  std::function<void()> ring_;
};

/// Written by the worker, read by anyone (relaxed).
struct alignas(kCacheLine) WorkerCounters {
  Counter packets;
  Counter bursts;
  Counter busy_cycles;
  Counter loops;
  Counter longest_stall_ns;
  Counter events_full;
  // Of the last whole window of about a second:
  Figure<double> cycles_per_packet;
  Figure<double> burst_fill;
  Figure<double> busy;
};

/// Work that the control thread has a worker do between two bursts, such as a look at what
/// only the worker may touch. Everything that it needs is allocated before.
class Errand {
 public:
  virtual ~Errand() = default;
  /// Thread: the worker's, once.
  virtual void run(Worker& worker, Nanoseconds now) noexcept = 0;
  /// Acquire: pairs with finish(); what run() wrote is visible once this is true.
  bool done() const noexcept { return done_.load(std::memory_order_acquire); }

 private:
  friend class Worker;
  void finish() noexcept { done_.store(true, std::memory_order_release); }
  std::atomic<bool> done_{false};
};

class Worker final : public EventSink {
 public:
  struct Config {
    unsigned id = 0;
    unsigned workers = 1;
    WorkerPlace place;
    std::vector<std::uint8_t> ports;  ///< indices of queues
    std::vector<PortQueue*> queues;
    PipelineConfig pipeline;
    Lender* lender = nullptr;  ///< null: nothing forwards beside the worker
    Region* region = nullptr;
    Bell* bell = nullptr;
    /// Not 0: time is given, counts from 1970, and this is where it starts; for turn() only.
    Nanoseconds given_time = 0;
  };
  /// Error: the region has no room for its rings.
  static Result<std::unique_ptr<Worker>> create(const Config& config);
  ~Worker() override;

  /// Rings that carry packets from this worker to another (set before run()).
  void connect(Worker& other);

  // ---- its own thread ----
  void run() noexcept;
  /// One turn of the loop; returns packets and commands handled.
  unsigned loop() noexcept;
  /// The same at a given time.
  unsigned turn(Nanoseconds now) noexcept;
  /// Fires what was due before `now` too, each at its own time (a worker without a thread).
  void catch_up(Nanoseconds now) noexcept;
  /// Time since 1970 minus monotonic time from here on, whatever the clock says (replay).
  void fix_realtime_offset(std::uint64_t offset) noexcept {
    realtime_offset_ = offset;
    wheel_.cancel(timers_[1]);
  }
  /// A limit left timers over that are due.
  bool timers_left(Nanoseconds now) const noexcept { return now >= next_expiry_; }
  /// One packet of one queue at a given time, through to transmit (replay). False: none there.
  bool replay_one(unsigned queue, Nanoseconds now) noexcept;
  /// Applies waiting commands; for the control thread only while run() does not run.
  unsigned drain_commands(Nanoseconds now) noexcept;
  /// Runs the errand that waits, if one does; the same.
  bool run_errand(Nanoseconds now) noexcept;
  // At a standstill (balance/standstill.h), receiving nothing:
  /// Applies what commands wait and takes packets to the end of their way, or to hand_over().
  /// @return commands and packets.
  unsigned settle(Nanoseconds now) noexcept;
  void hand_over() noexcept;

  bool push(const Event& event) noexcept override {
    if (events_->enqueue_burst(&event, 1) == 0) {
      ++counters_.events_full;
      return false;
    }
    news_ = true;
    return true;
  }
  void remember(SessionView& session) noexcept override;
  std::uint64_t realtime_offset() const noexcept override { return realtime_offset_; }
  void schedule(TimerNode& timer, Nanoseconds deadline) noexcept override {
    wheel_.schedule(timer, deadline);
    next_expiry_ = std::min(next_expiry_, deadline);
  }
  void cancel(TimerNode& timer) noexcept override { wheel_.cancel(timer); }
  void begin_step(const SessionView& session) noexcept override {
    if (step_depth_++ != 0) return;
    // Whatever looks at usage, or changes it, finds all of it.
    if (config_.lender != nullptr) config_.lender->take_back(session.index);
    journal_->open(session, events_->produced());
  }
  void end_step() noexcept override {
    if (--step_depth_ == 0) journal_->close();
  }

  // ---- control thread ----
  /// How many of the tickets were taken; the rest has to be offered again.
  unsigned submit(const std::uint32_t* tickets, unsigned count) noexcept;
  /// Commands applied since the start. Acquire: pairs with the release in drain_commands().
  std::uint64_t completed() const noexcept { return completed_.load(std::memory_order_acquire); }
  /// Copies events after those already taken; they stay in the ring until they are released.
  unsigned take_events(Event* out, unsigned max) noexcept {
    const std::uint64_t end = visible_events();
    unsigned n = 0;
    for (; n < max && events_taken_ != end; ++n, ++events_taken_) {
      out[n] = events_->at(events_taken_);
      out[n].worker = config_.id;
      out[n].position = events_taken_;
    }
    return n;
  }
  void release_events(unsigned count) noexcept {
    // A change or a report may wait for this room in a worker that sleeps.
    const bool crowded = events_->size() > kEventRing / 2;
    events_->release(events_->consumed() + count);
    if (crowded) wake();
  }
  /// What waits in its rings: a moment's view.
  std::uint32_t commands_waiting() const noexcept { return commands_->size(); }
  std::uint32_t events_waiting() const noexcept { return events_->size(); }
  bool has_events() const noexcept { return visible_events() != events_taken_; }
  /// For the region's directory.
  const SpscRing<Event>* events() const noexcept { return events_; }
  const UsageJournal* journal() const noexcept { return journal_; }
  /// Gives the worker an errand, which has to stay until it is done(); the bell rings then.
  /// False: it has one already.
  bool post(Errand& errand) noexcept;
  TrafficSampler& sampler() noexcept { return sampler_; }
  /// Ends a sleep, if it sleeps. Threads: any.
  void wake() noexcept;
  void stop() noexcept;
  /// Goes on with what crypto lanes have done. Control thread, after run(). @return packets.
  unsigned settle_lanes(Nanoseconds now) noexcept;
  /// Sends what is inside, and frees what waits for a worker, under reason Stopping. Control
  /// thread, after run().
  void discard() noexcept;

  // While both stand still:
  /// Receives nothing until the other has taken what is in its queues now.
  void wait_for(Worker& other) noexcept;
  /// Somebody waits for it, or it for somebody.
  bool is_in_line() const noexcept { return waits_ || leads_; }
  bool has_room_to_hold(unsigned packets) const noexcept;
  unsigned held_by(SessionIndex session) noexcept;
  /// Another worker has this session's timer from here on, and the packets that it holds.
  void give(SessionIndex session, Worker& to) noexcept;
  /// Likewise reports of sessions of some buckets that found no room yet.
  void give_reports(const std::array<bool, kBuckets>& buckets, Worker& to) noexcept;

  const WorkerCounters& counters() const noexcept { return counters_; }
  const Pipeline& pipeline() const noexcept { return pipeline_; }
  Pipeline& pipeline() noexcept { return pipeline_; }
  unsigned incoming() const noexcept;
  const Config& config() const noexcept { return config_; }

 private:
  static constexpr Nanoseconds kSecond = 1'000'000'000;
  using PacketRing = SpscRing<Packet*>;
  Worker(const Config& config, void* sample_ring);
  unsigned receive(Nanoseconds now) noexcept;
  unsigned meet(std::size_t ring) noexcept;
  unsigned take_over(Nanoseconds now) noexcept;
  bool has_waited(Nanoseconds now) noexcept;
  void note_backlog(std::size_t queue, unsigned received) noexcept;
  void let_followers_go() noexcept;
  void transmit() noexcept;
  void transmit_lists() noexcept;
  unsigned drain_held(Nanoseconds now) noexcept;
  void retry_reports(Nanoseconds now) noexcept;
  void measure(std::uint64_t now) noexcept;
  void expire_timers(Nanoseconds now) noexcept;
  static Nanoseconds start_of(const Config& config) noexcept;
  std::uint64_t read_realtime_offset() const noexcept;
  void sleep() noexcept;
  bool has_work() const noexcept;
  std::uint64_t visible_events() const noexcept { return journal_->visible(events_->produced()); }

  Config config_;
  TrafficSampler sampler_;
  Pipeline pipeline_;
  SpscRing<std::uint32_t>* commands_ = nullptr;
  SpscRing<Event>* events_ = nullptr;
  UsageJournal* journal_ = nullptr;
  unsigned step_depth_ = 0;
  std::vector<PacketRing*> incoming_;  ///< one per other worker
  std::vector<PacketRing*> outgoing_;  ///< by worker; null for itself
  std::vector<Worker*> others_;        ///< by worker
  TimerNode* timers_ = nullptr;        ///< node 0 unused, 1: the wall clock's offset
  TimerWheel wheel_;
  Packet* rx_[kRxBurst];
  Packet* handed_[2][kRxBurst];  ///< of one ring, and of the next
  unsigned met_ = 0;             ///< of the first ring, and not taken over yet
  std::uint32_t taken_[64];      ///< commands taken from the ring and not applied yet
  unsigned taken_count_ = 0;
  unsigned taken_next_ = 0;
  std::uint32_t pending_head_ = 0;  ///< session + 1, 0: none
  std::uint64_t realtime_offset_;
  bool saturated_ = false;
  bool waits_ = false;             ///< for others, before it receives again
  bool leads_ = false;             ///< others wait for it
  bool news_ = false;              ///< something for the control thread since the last bell
  unsigned empty_loops_ = 0;       ///< since the last packet or sleep
  Nanoseconds look_interval_ = 0;  ///< of the next sleep, when must_poll_
  std::uint64_t window_start_, window_busy_ = 0, window_packets_ = 0, window_bursts_ = 0;
  std::uint64_t last_loop_ = 0;
  std::uint64_t longest_stall_cycles_ = 0;
  unsigned loop_packets_ = 0;
  Nanoseconds next_expiry_ = 0;
  WorkerCounters counters_;
  int wake_fd_ = -1;
  int epoll_fd_ = -1;
  bool must_poll_ = false;                              ///< a queue cannot wake us
  alignas(kCacheLine) std::uint64_t events_taken_ = 0;  ///< the control thread's
  alignas(kCacheLine) std::atomic<std::uint64_t> completed_{0};
  alignas(kCacheLine) std::atomic<unsigned> sleeping_{0};
  std::atomic<unsigned> awaited_{0};  ///< workers that it waits for
  std::vector<Worker*> followers_;    ///< that wait for it
  unsigned backlog_ = 0;              ///< the most that it has to receive before they go on
  std::uint64_t emptied_ = 0;         ///< queues that were found empty since they wait
  std::atomic<bool> stop_{false};
  std::atomic<Errand*> errand_{nullptr};
};

}  // namespace sluice
