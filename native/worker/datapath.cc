// Putting the packet path together, and taking it apart. Changes of sessions are in
// datapath_commands.cc.
#include "worker/datapath.h"

#include <algorithm>
#include <cstring>

#include "port/pcap_port.h"
#include "worker/port_rules.h"

namespace sluice {
Datapath::Datapath(DatapathConfig config) : config_(std::move(config)), bell_(config_.wake) {
  given_time_ = config_.given_time;
  quiet_sink_.time_is_given = given_time_ != 0;
}

Datapath::~Datapath() { stop(); }

Result<std::unique_ptr<Datapath>> Datapath::create(DatapathConfig config) {
  std::unique_ptr<Datapath> datapath(new Datapath(std::move(config)));
  for (const auto step : {&Datapath::plan, &Datapath::make_network, &Datapath::take_over_usage,
                          &Datapath::make_memory, &Datapath::make_usage_directory}) {
    if (Status status = (datapath.get()->*step)(); !status) return status.error();
  }
  return datapath;
}

Status Datapath::plan() {
  if (config_.workers > kWorkersMax) {
    return Error{"at most " + std::to_string(kWorkersMax) + " workers", "workers.count"};
  }
  if (config_.workers == 0) {
    places_.resize(config_.stepped_workers);
    share_buckets();
    return Ok{};
  }
  auto topology = discover_topology();
  if (!topology) return topology.error();
  PlanRequest request;
  request.workers = config_.workers;
  request.cores = config_.cores;
  request.poll = config_.poll;
  request.lanes = config_.lanes;
  for (const PortConfig& port : config_.ports) {
    if (port.driver == "dpdk") {
      request.kernel_bypass = true;
      if (const int node = node_of_pci(port.device); node >= 0) {
        request.near.push_back(static_cast<unsigned>(node));
      }
      continue;
    }
    if (port.driver == "afxdp") {
      request.kernel_bypass = true;
      request.nics.push_back(port.device);
      continue;
    }
    for (const IpAddress& address : port.addresses) {
      if (std::string device = device_of(address); !device.empty()) request.nics.push_back(device);
    }
  }
  auto plan = plan_workers(topology.value(), request);
  if (!plan) return plan.error();
  places_ = plan.value().workers;
  control_cores_ = plan.value().control_cores;
  lane_cores_ = plan.value().lane_cores;
  nodes_ = plan.value().nodes;
  plan_text_ = describe(plan.value());
  for (const auto& warning : plan.value().warnings) warnings_.push_back(warning);
  share_buckets();
  return Ok{};
}

Status Datapath::make_network() {
  if (config_.ports.size() > kPortsMax) {
    return Error{"at most " + std::to_string(kPortsMax) + " ports", "ports"};
  }
  for (std::size_t i = 0; i < config_.ports.size(); ++i) {
    const PortConfig& port = config_.ports[i];
    const auto index = static_cast<std::uint8_t>(i);
    const bool access = port.role == PortRole::Access;
    network_.ports.push_back({index, access, port.udp_port, port.network_instances});
    if (!access) continue;
    for (std::size_t k = 0; k < port.addresses.size(); ++k) {
      if (network_.locals.size() == kLocalAddressesMax) {
        return Error{"at most " + std::to_string(kLocalAddressesMax) + " local addresses in all",
                     "ports[" + std::to_string(i) + "].addresses"};
      }
      const LocalAddress local = local_address(port.addresses[k], index);
      const bool same = k >= port.advertise.size();
      network_.add_local(local, same ? local : local_address(port.advertise[k], index));
    }
  }
  for (const IpAddress& address : config_.own_addresses) {
    network_.owns.push_back(local_address(address, kNoPort));
  }
  return Ok{};
}

Status Datapath::open_ports() {
  std::vector<PoolCache*> caches;
  for (unsigned w = 0; w < places_.size(); ++w) caches.push_back(&pool_->cache(w));
  for (std::size_t i = 0; i < config_.ports.size(); ++i) {
    const PortConfig& config = config_.ports[i];
    const std::string path = "ports[" + std::to_string(i) + "].";
    auto port = make_port(config, static_cast<std::uint8_t>(i));
    if (!port) return Error{port.error().message, path + port.error().field};
    ports_.push_back(std::move(port).value());
    ports_[i]->steer(bucket_owner_);
    if (Status status = ports_[i]->open(caches); !status) {
      return Error{status.error().message, path + status.error().field};
    }
    PipelinePort row;
    row.is_access = config.role == PortRole::Access;
    row.fills_udp_checksum = config.driver == "socket";
    set_ip_rules(ports_[i]->config(), row);
    row.udp_port = config.udp_port;
    const auto sources = ports_[i]->source_ports();
    for (unsigned s = 0; s < kSourcePorts; ++s) {
      row.source_ports[s] = sources.empty() ? config.udp_port : sources[s % sources.size()];
    }
    for (std::size_t l = 0; l < network_.locals.size(); ++l) {
      if (network_.locals[l].port == i)
        row.local_mask = static_cast<std::uint16_t>(row.local_mask | 1u << l);
    }
    pipeline_ports_.push_back(row);
  }
  // What one port has to look at passes another one too.
  bool looks = false;
  for (const PipelinePort& row : pipeline_ports_) {
    looks |= row.decrements_ttl || row.mss4 != 0;
  }
  for (PipelinePort& row : pipeline_ports_) row.plain_bytes = looks ? 0 : row.mtu;
  return Ok{};
}

Status Datapath::make_workers() {
  auto* tick = region_->allocate_array<TimerNode>(1);
  if (tick == nullptr) return Error{"the memory region has no room for timers", "limits"};
  prober_ = std::make_unique<PathProber>(sessions_->paths(), sessions_->peer_table(), config_.echo,
                                         *tick);
  sessions_->peer_table().watch(prober_->wanted());
  for (unsigned w = 0; w < places_.size(); ++w) {
    take_memory_near(w);
    Worker::Config config;
    config.id = w;
    config.workers = static_cast<unsigned>(places_.size());
    config.place = places_[w];
    config.region = region_.get();
    config.bell = &bell_;
    config.given_time = given_time_;
    for (const auto& port : ports_) {
      config.ports.push_back(port->index());
      config.queues.push_back(&port->queue(w));
    }
    config.pipeline.sessions = sessions_.get();
    config.pipeline.network = &network_;
    config.pipeline.ports = pipeline_ports_;
    config.pipeline.bucket_owner = bucket_owner_.data();
    config.pipeline.policy = config_.policy;
    config.pipeline.reassembly = config_.reassembly;
    config.pipeline.pool = &pool_->cache(w);
    auto holds =
        HoldTable::create(*region_, *pool_, {w * held_share(), held_share(), config_.held_max});
    if (!holds)
      return Error{"the memory region has no room for held packets", "limits.heldPackets"};
    config.pipeline.holds = holds.get();
    config.pipeline.protections = &protections_->table(w);
    if (crypto_lanes_ != nullptr) config.pipeline.lanes = crypto_lanes_->lanes(node_rank(w));
    if (w == kProbingWorker) config.pipeline.prober = prober_.get();
    config.lender = make_lender(w);
    config.pipeline.answers_per_second =
        (config_.answers_per_second + config.workers - 1) / config.workers;
    config.pipeline.answers_from = now() + config_.answers_quiet;
    holds_.push_back(std::move(holds));
    auto worker = Worker::create(config);
    if (!worker) return worker.error();
    workers_.push_back(std::move(worker).value());
    enter_worker(w);
  }
  connect_workers();
  lanes_.resize(workers_.size());
  std::vector<std::string> names;
  for (const PortConfig& port : config_.ports) names.push_back(port.name);
  const bool threads = config_.workers != 0;
  const auto time = [this] { return now(); };
  captures_ = std::make_unique<Captures>(workers_, *sessions_, names, threads, time);
  traces_ = std::make_unique<Traces>(workers_, *sessions_, network_, names, threads, time);
  return Ok{};
}

Status Datapath::start() {
  if (opened_) return Error{"the packet path runs already", ""};
  opened_ = true;
  Status status = open_ports();
  if (status) status = make_workers();
  if (!status) {
    stop();
    return status;
  }
  start_timers();
  running_ = true;
  if (config_.workers != 0) protections_->workers_run(workers_);
  // Whoever spins has its core alone: all that the process runs so far keeps off it.
  const auto is_busy = [](const auto& place) { return place.poll == PollMode::Busy; };
  const bool spins = std::any_of(places_.begin(), places_.end(), is_busy);
  if (spins && config_.workers != 0) confine_process(control_cores_);
  for (unsigned w = 0; w < config_.workers; ++w) {
    threads_.emplace_back([this, w] {
      if (Status pinned = pin_this_thread(places_[w].core); !pinned) {
        // Unpinned is slower, not wrong; the plan has checked that the core is ours.
        name_this_thread("sluice-unpinned");
      }
      workers_[w]->run();
    });
  }
  return Ok{};
}

/// Timers of sessions that were there before the workers.
void Datapath::start_timers() {
  for (const SessionIndex session : quiet_sink_.timers) {
    SessionView view = sessions_->view(session);
    if (view.account == nullptr || view.account->timer.waiting()) continue;
    const Nanoseconds deadline = view.account->timer.deadline;
    if (deadline == 0) continue;
    workers_[bucket_owner_[sessions_->scheme().bucket(session)]]->schedule(view.account->timer,
                                                                           deadline);
  }
  quiet_sink_.timers = {};
}

void Datapath::stop() {
  if (stopped_) return;
  stopped_ = true;
  for (const auto& worker : workers_) worker->stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  end_lanes();
  if (protections_ != nullptr) protections_->workers_ended();
  // What is in the command rings still counts: it is applied here.
  for (unsigned w = 0; running_ && w < workers_.size(); ++w) {
    submit(w);
    drain_inline(w);
    workers_[w]->discard();
  }
  if (captures_ != nullptr) captures_->workers_ended();
  if (traces_ != nullptr) traces_->workers_ended();
  running_ = false;
  keep_usage();
  // Queues end with their ports; what they counted is kept.
  final_statistics_ = collect_statistics();
  for (const auto& port : ports_) port->close();
}

bool Datapath::step() {
  if (!stepped()) return false;
  for (const auto& port : ports_) {
    if (port->config().driver == "pcap") return step_captures();
  }
  if (given_time_ != 0) {
    run_at(given_time_);
  } else {
    workers_[0]->loop();
    while (serve_lanes()) workers_[0]->loop();
  }
  return true;
}

void Datapath::run_at(Nanoseconds now) {
  if (!stepped()) return;
  given_time_ = std::max(given_time_, now);
  workers_[0]->catch_up(given_time_);
  while (workers_[0]->turn(given_time_) != 0 || workers_[0]->timers_left(given_time_) ||
         serve_lanes()) {
  }
}

bool Datapath::step_captures() {
  PcapPort* first = nullptr;
  for (const auto& port : ports_) {
    if (port->config().driver != "pcap") continue;
    auto* capture = static_cast<PcapPort*>(port.get());
    if (!capture->exhausted() && (first == nullptr || capture->next_time() < first->next_time())) {
      first = capture;
    }
  }
  if (first == nullptr) return false;
  capture_time_ = std::max(capture_time_, first->next_time());
  for (const auto& port : ports_) {
    if (port->config().driver == "pcap")
      static_cast<PcapPort*>(port.get())->set_time(capture_time_);
  }
  if (given_time_ == 0) {
    // The time of the sessions goes on from their creation, in the steps of the capture.
    given_time_ = Clock::machine().now();
    capture_start_ = given_time_ - capture_time_;
    workers_[0]->fix_realtime_offset(0 - capture_start_);
  }
  given_time_ = std::max(given_time_, capture_time_ + capture_start_);
  workers_[0]->replay_one(first->index(), given_time_);
  return true;
}

DatapathStatistics Datapath::statistics() const {
  return stopped_ ? final_statistics_ : collect_statistics();
}

DatapathStatistics Datapath::collect_statistics() const {
  DatapathStatistics s;
  for (const auto& port : ports_) {
    DatapathStatistics::PortRow row{port->config().name, {}};
    for (unsigned w = 0; w < workers_.size(); ++w) {
      const PortCounters& c = port->queue(w).counters();
      // Received and dropped, as far as anyone outside can tell.
      row.counters.rx_packets += c.rx_packets + c.rx_errors;
      s.dropped[static_cast<std::size_t>(DropReason::PortUnreadable)] += c.rx_errors;
      row.counters.rx_bytes += c.rx_bytes;
      row.counters.tx_packets += c.tx_packets;
      row.counters.tx_bytes += c.tx_bytes;
      row.counters.tx_full += c.tx_full;
      row.counters.rx_missed += c.rx_missed;
      row.counters.rx_ignored += c.rx_ignored;
      row.counters.rx_no_buffer += c.rx_no_buffer;
      row.counters.tx_errors += c.tx_errors;
      // The port has taken these from the pipeline, so that only it can know that they are lost.
      s.dropped[static_cast<std::size_t>(DropReason::PortRefused)] += c.tx_errors;
    }
    s.ports.push_back(row);
  }
  for (const auto& worker : workers_) {
    const unsigned id = worker->config().id;
    const auto owned = std::count(bucket_owner_.begin(), bucket_owner_.end(), id);
    s.workers.push_back({id, worker->counters(), static_cast<unsigned>(owned), buckets_taken_[id],
                         worker->commands_waiting(), worker->events_waiting(), worker->incoming()});
    const PipelineCounters& c = worker->pipeline().counters();
    for (std::size_t r = 0; r < kDropReasons; ++r) s.dropped[r] += c.dropped[r];
    s.created += c.created;
    s.gtpu.end_markers_sent += c.gtpu.end_markers_sent;
    s.gtpu.error_indications_sent += c.gtpu.error_indications_sent;
    s.gtpu.extension_notifications_sent += c.gtpu.extension_notifications_sent;
    s.gtpu.answers_suppressed += c.gtpu.answers_suppressed;
    s.held += worker->pipeline().held() + worker->incoming();
  }
  add_beside_workers(s);
  if (captures_ != nullptr) s.captures = captures_->totals();
  return s;
}

}  // namespace sluice
