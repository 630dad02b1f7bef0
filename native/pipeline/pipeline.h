// The life of a packet between receive and transmit, burst by burst, for one worker.
// Everything here runs on that worker's thread: no lock, no allocation, no system call.
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <vector>

#include "base/counter.h"
#include "base/flow_hash.h"
#include "memory/fetch.h"
#include "memory/packet_pool.h"
#include "pipeline/access_headers.h"
#include "pipeline/burst.h"
#include "pipeline/hold/hold_table.h"
#include "pipeline/ip/ip_address.h"
#include "pipeline/ip/ip_policy.h"
#include "pipeline/ip/reassembler.h"
#include "pipeline/lend/flow_lender.h"
#include "pipeline/observe/observer.h"
#include "pipeline/observe/traffic_sampler.h"
#include "pipeline/path/path_prober.h"
#include "pipeline/protect/crypto_lane.h"
#include "pipeline/protect/protection_table.h"
#include "pipeline/signal/answer.h"
#include "session/sessions.h"
#include "wire/icmp.h"

namespace sluice {

inline constexpr unsigned kWorkersMax = 64;
inline constexpr unsigned kProbingWorker = 0;  ///< asks peers whether they are there
inline constexpr unsigned kSourcePorts = kFlowClasses;

/// What the pipeline knows of a port.
struct alignas(kCacheLine) PipelinePort {
  bool is_access = false;
  bool fills_udp_checksum = false;  ///< the driver or kernel computes the outer checksum
  bool decrements_ttl = false;
  bool takes_esp = false, takes_esp_in_udp = false;
  /// Largest packet that leaves without a closer look; 0: all want one.
  std::uint16_t plain_bytes = 1500;
  std::uint16_t mtu = 1500;          ///< access: of the outer packet
  std::uint16_t mss4 = 0, mss6 = 0;  ///< SYNs are lowered to, 0: left alone
  std::uint16_t udp_port = 2152;
  /// Of outer headers, one for each class of flows: all are set, however few the port has.
  std::uint16_t source_ports[kSourcePorts] = {};
  /// Local addresses of an access port: their bits, and the IPv4 ones to compare with.
  std::uint16_t local_mask = 0;
  // Core: what ICMP errors come from, in network order.
  bool has_icmp_source4 = false, has_icmp_source6 = false;
  PacketList* output = nullptr;  ///< the pipeline's own
  std::uint8_t icmp_source4[4] = {}, icmp_source6[16] = {};
};

/// GTP-U messages other than G-PDUs and Echo.
struct GtpuCounters {
  Counter end_markers_sent;
  Counter error_indications_sent;
  Counter extension_notifications_sent;
  Counter answers_suppressed;  ///< by the limit of answers, or right after the start
};

/// Written by the worker alone, read by anyone (relaxed, word by word).
struct alignas(kCacheLine) PipelineCounters {
  Counter dropped[kDropReasons];
  GtpuCounters gtpu;
  Counter created;
  Counter handed_over;
  Counter taken_over;
};

struct PipelineConfig {
  Sessions* sessions = nullptr;
  const NetworkMap* network = nullptr;
  std::span<const PipelinePort> ports;
  const std::uint8_t* bucket_owner = nullptr;  ///< 256 entries
  unsigned worker = 0;
  unsigned workers = 1;
  PoolCache* pool = nullptr;
  EventSink* events = nullptr;
  TrafficSampler* sampler = nullptr;
  HoldTable* holds = nullptr;
  ProtectionTable* protections = nullptr;
  std::span<CryptoLane* const> lanes;  ///< none: SM4 is done where the packet is
  FlowLender* lender = nullptr;        ///< null: nothing forwards beside the workers
  PathProber* prober = nullptr;        ///< of the one worker that asks peers
  unsigned answers_per_second = 100;   ///< Error Indications and the like, of this worker
  Nanoseconds answers_from = 0;        ///< not before this time
  IpPolicy policy;
  ReassemblyLimits reassembly;
};

namespace stage {
struct ExtraCheck;
}
enum class PlainKind : std::uint8_t;
enum class PlainWay : std::uint8_t;

class Pipeline {
 public:
  explicit Pipeline(const PipelineConfig& config);

  /// Takes packets of one port. They may stay inside until the next receive() or flush(),
  /// while their cache lines are on the way.
  void receive(std::uint8_t port, Packet* const* packets, unsigned count, Nanoseconds now) noexcept;
  /// Takes packets that other workers found to be ours; packet->session is set, but for ESP.
  /// @param packets  their order may be changed
  void take_over(Packet** packets, unsigned count, Nanoseconds now) noexcept;
  /// Seals what leaves under protections, and puts it into the outputs of the ports themselves.
  void seal_outputs() noexcept;
  /// Goes on with what lanes have done. Once a loop, before transmit. @return packets.
  unsigned take_back(Nanoseconds now) noexcept;
  /// Whether a lane has something for take_back().
  bool has_done() const noexcept;
  /// Puts a packet that is inside a stage aside, to come in again as if `port` had received
  /// it: a packet from UE to UE, an answer to the UE. A packet does so once.
  /// @return None, or why it cannot, and it is still the caller's.
  DropReason reenter(std::uint8_t port, Packet* packet) noexcept;
  /// Lets in what was put aside. Once a loop, and by flush().
  void reenter_waiting(Nanoseconds now) noexcept;
  /// Drops what waits for the rest of its packet, where that is due by `now`.
  void expire_fragments(Nanoseconds now, DropReason reason) noexcept;
  /// Finishes what is inside, also what enters again by that.
  void flush() noexcept;
  bool idle() const noexcept { return inside_ == 0; }

  /// Makes the End Markers of a change, before it is applied. False: no packets are free now,
  /// and none was made.
  bool end_paths(const RemoteTunnelList& list) noexcept;
  /// Puts into the outputs, once they are empty, what has to leave behind everything else.
  bool emit_trailers() noexcept;
  /// Before and after the worker applies a change of rules.
  void before_change(const Prepared& change) noexcept;
  void after_change(const Prepared& change) noexcept;
  /// Lets a burst of held packets go, in order, or drops what was given up. Once the outputs
  /// are empty. @return packets that left their list; 0: nothing is to be done.
  unsigned drain_held(Nanoseconds now) noexcept;
  bool has_held_work() const noexcept { return !holds_.idle(); }
  /// After another worker has taken or given held packets.
  void settle_holds() noexcept { holds_.settle(pool_); }
  bool owns_timer(const TimerNode& node) const noexcept {
    return holds_.owns(node) || (prober_ != nullptr && prober_->owns(node));
  }
  /// May put packets into the outputs.
  void expire_timer(TimerNode& node, Nanoseconds now) noexcept;
  void start_probing(Nanoseconds now) noexcept {
    if (prober_ != nullptr && prober_->wanted()) prober_->start(now, events_);
  }
  /// Frees what is held, for the end.
  void discard_held() noexcept;

  PacketList& output(unsigned port) noexcept { return outputs_[port]; }
  PacketList& handoff(unsigned worker) noexcept { return handoffs_[worker]; }
  /// Frees packets that nobody takes, under a reason.
  void drop(Packet* const* packets, unsigned count, DropReason reason) noexcept;
  const PipelineCounters& counters() const noexcept { return counters_; }
  /// Packets inside the stages: what "held" has to count between two turns of the loop, when
  /// the lists are empty. Threads: any.
  unsigned held() const noexcept { return inside_ + holds_.count(); }

  /// Who looks on from now on, null: nobody. What is inside goes on without the one before, so
  /// flush() comes first.
  void observe(BurstObserver* observer) noexcept;
  BurstObserver* observer() const noexcept { return observer_; }
  /// For a pipeline that only traces: holds nothing, leaves the rules as they are.
  void only_trace() noexcept { traced_ = true; }
  Nanoseconds now() const noexcept { return now_; }

 private:
  // The stages, one per file, in the order of a packet's life.
  void parse_access(Burst& burst) noexcept;
  void parse_core(Burst& burst) noexcept;
  unsigned parse_core6(Burst& burst, unsigned first) noexcept;
  void lookup_access(Burst& burst) noexcept;
  void lookup_core(Burst& burst) noexcept;
  // From here on packet by packet, so that what one stage found stays in registers.
  template <bool kAccess>
  DropReason match(Burst& burst, unsigned i, Hit& hit) noexcept;
  DropReason police(Burst& burst, unsigned i, Hit& hit) noexcept;
  DropReason account(Burst& burst, unsigned i, Hit& hit) noexcept;
  DropReason forward(Burst& burst, unsigned i, const Hit& hit) noexcept;
  template <bool kAccess, PlainKind kKind>
  bool may_be_plain(const Burst& burst, unsigned i) const noexcept;
  template <bool kAccess, PlainKind kKind>
  unsigned find_plain(const Burst& burst, std::size_t i) const noexcept;
  template <bool kAccess, PlainWay kWay>
  DropReason plain(Burst& burst, std::size_t i, std::size_t place) noexcept;
  template <bool kAccess, PlainWay kWay>
  DropReason plain_into_tunnel(Burst& burst, std::size_t i, const PdrEntry& pdr,
                               const FarEntry& far, const PipelinePort& port, unsigned offset,
                               unsigned length) noexcept;
  template <bool kAccess>
  void find_all_plain(const Burst& burst, std::uint16_t* __restrict places) const noexcept;
  template <bool kAccess, PlainKind kKind>
  unsigned find_most_plain(const Burst& burst, std::uint16_t* __restrict places) const noexcept;
  template <bool kAccess>
  void find_other_plain(const Burst& burst, std::uint16_t* __restrict places) const noexcept;
  struct PlainRun {
    std::size_t next;  ///< the first packet that is not plain
    std::size_t lost;  ///< of those before, that a bucket had nothing for
  };
  template <bool kAccess, PlainWay kWay>
  PlainRun run_plain(Burst& burst, std::size_t first, const std::uint16_t* places) noexcept;
  template <bool kAccess, PlainWay kWay>
  std::size_t go_plain(Burst& burst, std::size_t first, const std::uint16_t* places,
                       unsigned& dead) noexcept;
  template <bool kAccess, bool kObserved>
  DropReason match_to_forward(Burst& burst, unsigned i) noexcept;
  template <bool kAccess, bool kObserved>
  unsigned finish_packets(Burst& burst) noexcept;

  void locate_access(Burst& burst) noexcept;
  template <bool kOverV6>
  unsigned parse_common(Burst& burst, unsigned first, unsigned flags) noexcept;
  DropReason parse_plain_outer(Burst& burst, unsigned i) noexcept;
  DropReason parse_plain_outer6(Burst& burst, unsigned i) noexcept;
  DropReason take_plain_outer(Burst& burst, unsigned i, unsigned local, unsigned bytes,
                              unsigned room) noexcept;
  DropReason parse_access_slow(Burst& burst, unsigned i) noexcept;
  DropReason parse_outer_slow(Burst& burst, unsigned i) noexcept;
  DropReason gtpu_message(Burst& burst, unsigned i, unsigned gtpu, unsigned n) noexcept;
  DropReason answer_echo(Burst& burst, unsigned i, unsigned gtpu, std::uint16_t sequence) noexcept;
  DropReason set_inner(Burst& burst, unsigned i, bool uplink) noexcept;
  /// None: the session is this worker's. Else the packet's verdict.
  DropReason hand_over(Burst& burst, unsigned i, SessionIndex session) noexcept;
  DropReason hand_to(Burst& burst, unsigned i, unsigned worker, SessionIndex session) noexcept;
  DropReason locate_tunnel(Burst& burst, unsigned i) noexcept;
  DropReason find_tunnel(Burst& burst, unsigned i) noexcept;
  DropReason spend(Burst& burst, unsigned i, unsigned set, Hit& hit) noexcept;
  DropReason match_rules(Burst& burst, unsigned i, Hit& hit, ArenaRef filters,
                         bool uplink) noexcept;
  // Off the common way; the hit goes by value, so that there it stays in registers.
  bool police_more(Burst& burst, unsigned i, Hit hit) noexcept;
  DropReason measure_first(Burst& burst, unsigned i, Hit hit, const FarEntry** far) noexcept;
  DropReason spend_slow(Burst& burst, unsigned i, unsigned set, Hit hit,
                        const FarEntry** far) noexcept;
  DropReason to_plain_tunnel(Burst& burst, unsigned i, const Hit& hit) noexcept;
  DropReason to_tunnel(Burst& burst, unsigned i, Hit hit) noexcept;
  DropReason forward_rarely(Burst& burst, unsigned i, Hit hit) noexcept;
  void count_discarded(Burst& burst, unsigned i) noexcept;
  std::uint64_t urrs_of(const Flow& flow, Direction direction, unsigned position) noexcept;
  DropReason forward_whole(Burst& burst, unsigned i, Hit hit) noexcept;
  // ip/unusual.cc
  DropReason look_closer(Burst& burst, unsigned i, Hit& hit) noexcept;
  DropReason to_own_address(const Burst& burst, unsigned i, const UeAddress& to) noexcept;
  DropReason may_turn_round(Burst& burst, unsigned i, std::uint8_t core) noexcept;
  DropReason turn_round(Burst& burst, unsigned i, Hit hit) noexcept;
  // ip/leave.cc
  DropReason check_exit(Burst& burst, unsigned i, const Hit& hit) noexcept;
  bool loops(const FarEntry& far, const Packet& packet) const noexcept;
  DropReason may_leave(Burst& burst, unsigned i, std::uint8_t to, unsigned room) noexcept;
  bool counts_hop(const Burst& burst, unsigned i, std::uint8_t to) const noexcept;
  DropReason leave(Burst& burst, unsigned i, const Hit& hit, unsigned room) noexcept;
  DropReason leave_in_pieces(Burst& burst, unsigned i, const Hit& hit, unsigned room) noexcept;
  DropReason to_core(Burst& burst, unsigned i, Hit hit) noexcept;
  void send_error(const Burst& burst, unsigned i, wire::IcmpError error, std::uint8_t core,
                  unsigned mtu) noexcept;
  // ip/reassemble.cc
  DropReason reassemble(Burst& burst, unsigned i) noexcept;
  // ip/ue_side.cc
  DropReason match_other_source(Burst& burst, unsigned i, Hit& hit) noexcept;
  void find_routes(Burst& burst, const std::uint8_t* wanted, unsigned count) noexcept;
  bool has_address(const Burst& burst, unsigned i, const UeAddress& address) noexcept;
  bool may_send(const Burst& burst, unsigned i) noexcept;
  bool is_for_ue(const Burst& burst, unsigned i) noexcept;
  DropReason forward_copies(Burst& burst, unsigned i, Hit hit) noexcept;

  // Between match and police, for flows that hold packets (hold/).
  DropReason hold(Burst& burst, unsigned i, Hit hit) noexcept;
  void want_notification(Hold& hold, const Burst& burst, unsigned i, const Hit& hit) noexcept;
  void expire_hold(Hold& hold, Nanoseconds now) noexcept;
  void set_hold_timer(Hold& hold, Nanoseconds now) noexcept;
  void end_drain(Hold& hold, Nanoseconds now) noexcept;
  void end_episode(Hold& hold) noexcept;
  Flow& flow_of(SessionIndex session, Direction direction) noexcept {
    return (direction == Direction::Uplink ? uplink_ : downlink_)[session];
  }

  // protect/
  void name_protection(Packet& packet, const FarEntry& far) const noexcept;
  unsigned protection_bytes(const FarEntry& far) const noexcept;
  void seal(std::uint8_t port, Packet* const* packets, unsigned count) noexcept;
  void look_at_sealing(std::uint8_t port, Packet* packet, const OutboundEnd* end,
                       DropReason verdict) noexcept;
  DropReason take_sealed(Burst& burst, unsigned i) noexcept;
  void look_at_admission(const Packet& packet, DropReason reason, Fate fate) noexcept;
  DropReason admit_sealed(Packet* packet, DropReason otherwise, Fate& fate) noexcept;
  unsigned admit_handed_over(Packet** packets, unsigned count) noexcept;
  void open_sealed(Nanoseconds now) noexcept;
  void send_to_lanes(std::span<const CryptoJob> jobs) noexcept;
  void come_back(std::span<const CryptoJob> jobs, Nanoseconds now) noexcept;
  void finish_sealed(const CryptoJob& job) noexcept;
  void finish_opened(std::span<const CryptoJob> jobs, Nanoseconds now) noexcept;

  // What follows from packets that end here (signal/).
  DropReason conclude(Burst& burst, unsigned i) noexcept;
  void answer(Burst& burst, unsigned i, DropReason why) noexcept;
  DropReason take_echo_response(Burst& burst, unsigned i) noexcept;
  void expire_path_timer(TimerNode& node, Nanoseconds now) noexcept;
  DropReason take_end_marker(Burst& burst, unsigned i) noexcept;
  void tell_end_marker(const Burst& burst, unsigned i, const FilterSet& set) noexcept;
  DropReason take_error_indication(Burst& burst, unsigned i) noexcept;
  bool report_lost_tunnel(const Packet& said_by, SessionIndex session, const RemoteAddress& peer,
                          std::uint32_t teid) noexcept;
  void end_path(const RemoteTunnel& tunnel, Packet* packet) noexcept;
  void address_to(Packet& packet, const Peer& peer, std::size_t message_bytes) noexcept;
  FarEntry own_far(const FlowRules& rules, unsigned position) const noexcept;

  /// Whether each port's list takes so many more packets.
  bool has_room(std::size_t more) const noexcept {
    return std::all_of(outputs_.begin(), outputs_.begin() + port_count_,
                       [more](const PacketList& list) { return list.has_room(more); });
  }
  void emit(unsigned port, Packet* packet) noexcept {
    PacketList& list = outputs_[port];
    if (__builtin_expect(!list.has_room(1), 0)) {
      drop(&packet, 1, DropReason::TxFull);
    } else {
      list.add(packet);
    }
  }

  /// A packet that is made here, counted as created, with its data at kCoreDataOffset and
  /// nothing in it; null when the pool is empty.
  Packet* create(std::uint8_t port) noexcept;
  void start_created(Packet* packet, std::uint8_t port) noexcept;
  void enter_sorted(Packet* const* packets, unsigned count, std::uint8_t flags,
                    Nanoseconds now) noexcept;
  /// What a trace does in place of holding a packet.
  DropReason give_back(Burst& burst, unsigned i) noexcept {
    pool_.free(&burst.packets[i], 1);
    return burst.take_away(i, Fate::Held);
  }
  void note(Stage stage, Burst& burst) noexcept {
    if (__builtin_expect(observer_ != nullptr, 0)) observer_->after(stage, burst);
  }
  void enter(Burst& burst) noexcept;
  void advance(Burst& burst) noexcept;
  void finish(Burst& burst) noexcept;
  Burst& take_burst() noexcept;

  template <typename T>
  const T* rule(ArenaRef ref) const noexcept {
    return reinterpret_cast<const T*>(rules_base_ + std::size_t{ref} * 8);
  }

  // What every packet reads, together.
  Sessions& sessions_;
  const std::byte* const rules_base_;
  const Peer* const peers_;
  Flow* const uplink_;
  Flow* const downlink_;
  PoolCache& pool_;
  EventSink& events_;
  HoldTable& holds_;
  ProtectionTable& protections_;
  FlowLender* const lender_;
  PathProber* const prober_;
  TrafficSampler& sampler_;
  const std::uint8_t* const bucket_owner_;
  const unsigned worker_;
  const std::ptrdiff_t port_count_;
  const unsigned workers_;
  std::uint32_t local_ipv4_[kLocalAddressesMax] = {};
  unsigned local_count_ = 0;
  std::vector<AccessHeaders> access_headers_;  ///< by port
  const AddressSieve& sieve_;
  const NetworkMap& network_;
  std::array<PipelinePort, 2 * kPortsMax> ports_;  ///< and as protected ones
  IpPolicy policy_;
  FarEntry hairpins_[kPortsMax] = {};  ///< stands for the FAR when a packet turns round
  Reassembler reassembler_;
  Nanoseconds errors_since_ = 0;
  std::uint32_t errors_sent_ = 0;  ///< in the second since then

  // Bursts between the stages: parsed, and (core) looked up. A third one takes the next.
  std::unique_ptr<Burst[]> bursts_;
  Burst *parsed_ = nullptr, *looked_up_ = nullptr;
  Figure<unsigned> inside_;
  Nanoseconds now_ = 0;  ///< of what came in last
  AnswerBudget answers_;
  std::uint16_t sequence_ = 0;  ///< of messages made here
  BurstObserver* observer_ = nullptr;
  bool is_followed_ = false, traced_ = false;

  PipelineCounters counters_;
  std::array<PacketList, 2 * kPortsMax> outputs_;
  /// ESP that waits to be opened, until the next turn at most.
  static constexpr unsigned kSealedMax = PacketList::kMax;
  std::unique_ptr<CryptoJob[]> sealed_;
  unsigned sealed_count_ = 0;
  std::span<CryptoLane* const> lanes_;
  std::size_t lane_turn_ = 0;  ///< whose done packets are taken first
  std::unique_ptr<PacketList[]> handoffs_;
  PacketList dead_, trailers_, reentries_;
};

}  // namespace sluice
