// The packet path as the control thread sees it: region, pool, sessions, ports and workers
// put together. Everything here is the control thread's, but for what says otherwise.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "session/survival/salvage.h"
#include "worker/protect/crypto_lanes.h"
#include "worker/protect/protections.h"
#include "worker/sight/captures.h"
#include "worker/sight/traces.h"
#include "worker/worker.h"

namespace sluice {

/// How usage outlives the process.
struct SurvivalConfig {
  std::string name;      ///< of the region's file, the data folder's own; empty: nothing survives
  std::string snapshot;  ///< path in the data folder for usage between two runs
};

struct DatapathConfig {
  std::uint32_t packets_max = 16384;
  std::uint32_t held_packets_max = 65536;  ///< of all workers, beside packets_max
  Nanoseconds held_max = 60'000'000'000;   ///< then a held packet expires
  unsigned answers_per_second = 100;       ///< Error Indications and the like, of all workers
  Nanoseconds answers_quiet = 0;           ///< none is sent for this long after the start
  EchoConfig echo;
  PagePolicy hugepages = PagePolicy::Auto;
  unsigned workers = 1;  ///< 0: none has a thread; step() drives one
  /// With workers 0: how many there are. The caller runs the loop of each, from one thread.
  unsigned stepped_workers = 1;
  std::vector<unsigned> cores;
  PollMode poll = PollMode::Auto;
  unsigned lanes = 0;  ///< crypto lanes, at most kLanesMax; 0: workers do SM4 themselves
  SessionsConfig sessions;
  std::vector<PortConfig> ports;
  SurvivalConfig survival;
  IpPolicy policy;
  ReassemblyLimits reassembly;
  std::vector<IpAddress> own_addresses;  ///< of the UPF, beside those of access ports
  /// Without threads: where time starts, in nanoseconds since 1970; it is what it is said to be
  /// then, with run_at(). 0: the machine's.
  Nanoseconds given_time = 0;
  /// Called on a worker's thread when poll() has something and was armed.
  std::function<void()> wake = [] {};
};

/// One entry of the operations array; words of OperationWord in src/datapath/datapath.ts.
struct Operation {
  std::uint32_t kind;
  SessionIndex session;
  std::uint32_t chunk;
  std::uint32_t offset;
  std::uint32_t flags;
  std::uint32_t status;
  std::uint32_t detail;
  std::uint32_t ticket;
};

/// Bytes of the one region that such a packet path takes; of the configuration only the
/// number of workers, packets and slots counts.
std::size_t packet_memory_bytes(const DatapathConfig& config) noexcept;

/// Beside the workers' own places.
struct Placement {
  std::vector<unsigned> control_cores;  ///< empty: wherever the system likes
  PageKind pages;
  std::size_t memory_bytes;                   ///< of the one region
  std::map<unsigned, unsigned> packet_pages;  ///< pages of packets by NUMA node, of a sample
};

class Standstill;

/// NoRoom: as many packets are held as may be. Busy: at another moment it may be done.
enum class BucketMove : std::uint8_t { Done, Busy, NoRoom, NoWorker };

struct DatapathStatistics {
  struct PortRow {
    std::string name;
    PortCounters counters;
  };
  struct WorkerRow {
    unsigned id;
    WorkerCounters counters;
    unsigned buckets;             ///< that it owns
    std::uint64_t buckets_taken;  ///< from other workers, ever
    // Objects in its rings:
    std::uint32_t commands_waiting, events_waiting, packets_waiting;
  };
  std::vector<PortRow> ports;
  std::vector<WorkerRow> workers;
  std::array<std::uint64_t, kDropReasons> dropped{};
  GtpuCounters gtpu;
  CaptureTotals captures;
  std::uint64_t created = 0;
  std::uint64_t held = 0;
  LanesStatistics lanes;
  // Beside the workers, in the driver:
  std::uint64_t lent_flows = 0;  ///< with a place there now
  std::uint64_t forwarded_in_driver = 0;
};

/// A tunnel peer that rules send to.
struct PathRow {
  std::string address;
  std::uint16_t udp_port;
  std::string port;
  PathState state;
  std::uint32_t round_trip_us;
  std::uint32_t transitions;
};

struct PathChange {
  PathRow peer;
  PathState before;
};

class Datapath {
 public:
  static Result<std::unique_ptr<Datapath>> create(DatapathConfig config);
  ~Datapath();

  void register_chunk(const std::byte* chunk, std::size_t bytes) {
    chunks_.push_back({chunk, bytes});
  }
  /// @param queries  pairs {operation position, URR position in the rules before}, ended by ~0.
  void prepare(Operation* operations, unsigned count, const std::uint32_t* queries);
  /// @return the number that completed() reaches when all of these are in force.
  std::uint64_t apply(const std::uint32_t* tickets, unsigned count);
  void abort(const std::uint32_t* tickets, unsigned count);
  /// See Sessions::holder(); the record lies in the slab.
  SessionIndex holder(SessionIndex session, std::uint32_t chunk, std::uint32_t offset, bool teids,
                      std::span<const SessionIndex> but_for) const;
  /// Copies up to `max` events; fewer than `max` means that there are no more. They stay where
  /// a restart finds them until release().
  unsigned poll(Event* out, unsigned max);
  /// The next `count` events, in the order of poll(), are kept elsewhere now.
  void release(unsigned count);
  /// Events of earlier runs that the store has. Before any session is restored.
  void already_written(const Event* events, unsigned count);
  /// All sessions are back and all that poll() gave is in the store: what the earlier run left
  /// is given up. Once, before start().
  Status end_restore();
  std::uint64_t completed() const noexcept { return completed_; }
  /// Asks for one wake() call when there is something to poll.
  void arm() noexcept;

  /// Opens the ports and starts the workers' threads.
  Status start();
  /// Ends the threads, frees what is held, closes the ports. Idempotent.
  void stop();
  bool running() const noexcept { return running_; }
  /// Running, and moved by step() and run_at() alone.
  bool stepped() const noexcept { return running_ && threads_.empty(); }
  /// One loop without threads; with capture ports, one packet in the order of their times.
  /// False: every port is exhausted (capture ports only).
  bool step();
  /// Without threads: turns of the loop at a given time until there is nothing left to do.
  void run_at(Nanoseconds now);

  /// Has a worker own these buckets from here on: what is on its way is finished before, nothing is
  /// lost or overtaken. Also has ports bring their packets to it, where they can. Waits for the
  /// workers, microseconds. Control thread.
  BucketMove move_buckets(std::span<const std::uint8_t> buckets, unsigned to);
  const std::array<std::uint8_t, kBuckets>& bucket_owners() const noexcept { return bucket_owner_; }
  /// Has workers note one packet of each burst, or no more (traffic_sampler.h).
  void set_sampling(bool on);
  /// Moves up to `max` notes out; fewer than `max` means that there were no more.
  unsigned take_samples(TrafficSample* out, unsigned max);

  /// Stays at its last value when the packet path has stopped.
  DatapathStatistics statistics() const;
  /// At most `max` peers that are in use, in no order; `all` is how many there are.
  std::vector<PathRow> paths(std::size_t max, std::size_t& all) const;
  /// Peers in use whose state is another than was told before. Control thread.
  std::vector<PathChange> take_path_changes();
  /// Those of the start, and what ports lack now.
  std::vector<std::string> warnings() const;
  /// Bytes of memory that sessions, tables and rings take; the packet pool is not in it.
  std::size_t region_used() const noexcept;
  std::span<const std::unique_ptr<Port>> ports() const noexcept { return ports_; }
  std::span<const std::unique_ptr<Worker>> workers() const noexcept { return workers_; }
  Sessions& sessions() noexcept { return *sessions_; }
  /// Also before start(), so that sessions that refer to them can be restored.
  Protections& protections() noexcept { return *protections_; }
  /// Null: there are none. Who has a share may serve also while the packet path ends.
  const std::shared_ptr<CryptoLanes>& crypto_lanes() const noexcept { return crypto_lanes_; }
  /// Captures of what passes, and traces of single packets: from start() on.
  Captures& captures() noexcept { return *captures_; }
  Traces& traces() noexcept { return *traces_; }
  PacketPool& pool() noexcept { return *pool_; }
  const std::string& plan_text() const noexcept { return plan_text_; }
  /// Asks the kernel.
  Placement placement() const;

 private:
  explicit Datapath(DatapathConfig config);
  Status plan();
  Status make_network();
  Status make_memory();
  Status read_leftover(const std::string& path, bool wanted);
  Status take_over_usage();
  Result<std::unique_ptr<Region>> make_region(RegionOptions options);
  Status make_usage_directory();
  void enter_worker(unsigned worker);
  void send_salvaged_events();
  void carry_on(SessionIndex session, Nanoseconds now);
  void keep_usage();
  Status open_ports();
  void share_buckets() noexcept;
  void take_memory_near(unsigned worker) noexcept;
  unsigned node_rank(unsigned worker) const noexcept;
  void bind_memory();
  void connect_workers();
  BucketMove move_from(unsigned from, unsigned to, const std::array<bool, kBuckets>& leaving);
  void steer(unsigned to);
  Status make_workers();
  /// Null: no port has a use for one.
  Lender* make_lender(unsigned worker);
  void add_beside_workers(DatapathStatistics& to) const;
  Status make_lanes();
  void end_lanes();
  /// In a packet path without threads, nobody else does. False: there was nothing.
  bool serve_lanes() noexcept {
    return crypto_lanes_ != nullptr && crypto_lanes_->serve_here() != 0;
  }
  DatapathStatistics collect_statistics() const;
  void start_timers();
  std::uint32_t held_share() const noexcept {
    return config_.held_packets_max / static_cast<std::uint32_t>(places_.size());
  }
  bool find_record(std::uint32_t chunk, std::uint32_t offset, const std::uint32_t*& words,
                   std::size_t& bytes) const;
  void submit(unsigned worker);
  void drain_inline(unsigned worker);
  void retire(std::uint32_t ticket);
  bool step_captures();
  Nanoseconds now() const noexcept {
    return given_time_ != 0 ? given_time_ : Clock::machine().now();
  }

  struct Chunk {
    const std::byte* bytes;
    std::size_t size;
  };
  /// Takes the reports of changes that are applied while no worker runs (restore, shutdown).
  struct QuietSink final : EventSink {
    bool push(const Event& event) noexcept override {
      events.push_back(event);
      return true;
    }
    void remember(SessionView&) noexcept override {}
    std::uint64_t realtime_offset() const noexcept override {
      return time_is_given ? 0 : Clock::machine().realtime_offset();
    }
    // There is no wheel yet: the workers take these up when they start.
    void schedule(TimerNode& timer, Nanoseconds deadline) noexcept override {
      timer.deadline = deadline;
      timers.push_back(reinterpret_cast<Account&>(timer).session);
    }
    void cancel(TimerNode& timer) noexcept override { timer.deadline = 0; }
    std::deque<Event> events;
    std::vector<SessionIndex> timers;
    bool time_is_given = false;
  };
  /// Tickets on their way to a worker, in order.
  struct Lane {
    std::deque<std::uint32_t> waiting;    ///< the worker's ring was full
    std::deque<std::uint32_t> submitted;  ///< not retired yet
    std::uint64_t issued = 0;             ///< ever
    std::uint64_t retired = 0;
  };
  struct Batch {
    std::uint64_t number;
    std::vector<std::uint64_t> issued;  ///< by lane: done when retired reaches it
  };

  DatapathConfig config_;
  NetworkMap network_;
  std::vector<std::string> warnings_;
  std::string plan_text_;
  std::vector<WorkerPlace> places_;
  std::vector<unsigned> control_cores_;
  std::vector<unsigned> lane_cores_;
  std::vector<unsigned> nodes_;  ///< NUMA nodes that workers are on
  std::array<std::uint8_t, kBuckets> bucket_owner_{};
  std::array<std::uint8_t, kBuckets> steered_{};  ///< as the ports know it
  std::array<std::uint64_t, kWorkersMax> buckets_taken_{};
  std::unique_ptr<Region> region_;
  std::size_t sessions_start_ = 0;  ///< offset in the region, behind the pool
  std::size_t pool_resident_ = 0;   ///< bytes that were there before sessions took any
  std::unique_ptr<PacketPool> pool_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<Protections> protections_;
  std::shared_ptr<CryptoLanes> crypto_lanes_;
  std::vector<std::unique_ptr<HoldTable>> holds_;  ///< by worker
  std::vector<std::unique_ptr<Lender>> lenders_;   ///< likewise; null: none
  std::unique_ptr<PathProber> prober_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<PipelinePort> pipeline_ports_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Captures> captures_;
  std::unique_ptr<Traces> traces_;
  std::vector<std::thread> threads_;
  std::vector<Chunk> chunks_;
  std::vector<Lane> lanes_;
  std::deque<Batch> batches_;
  std::uint64_t next_batch_ = 0;
  std::uint64_t completed_ = 0;
  unsigned poll_turn_ = 0;
  unsigned sample_turn_ = 0;
  std::vector<std::uint64_t> reached_;
  QuietSink quiet_sink_;
  /// Events that were polled and not released, in order; kQuiet: of the quiet sink.
  struct Polled {
    unsigned worker;
    unsigned count;
  };
  static constexpr unsigned kQuiet = ~0u;
  unsigned poll_events(Event* out, unsigned max);
  void note_polled(unsigned worker, unsigned count);
  std::deque<Polled> polled_;
  std::unique_ptr<Salvage> salvage_;  ///< until end_restore()
  bool salvage_sent_ = false;
  UsageDirectory* directory_ = nullptr;
  std::string region_path_;        ///< empty: a memfd
  bool survives_ = false;          ///< the region's usage is the truth
  Nanoseconds given_time_ = 0;     ///< by captures or the owner; 0: the machine's
  Nanoseconds capture_time_ = 0;   ///< of the last packet replayed, since 1970
  Nanoseconds capture_start_ = 0;  ///< given_time_ at the first one, minus its capture_time_
  std::uint32_t transitions_seen_ = 0;
  std::unordered_map<std::string, PathState> paths_seen_;  ///< of peers that are not unknown
  Bell bell_;
  DatapathStatistics final_statistics_;  ///< once stopped
  bool opened_ = false;
  bool running_ = false;
  bool stopped_ = false;
};

}  // namespace sluice
