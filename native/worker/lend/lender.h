// Lends the busy, simple flows of a worker to the programs of its ports, and takes them back
// before anything looks at them or changes them (memory/lent_flow.h, docs/decisions/0051).
// A flow first gets a place: from then on all its packets come with a count. Once the last that
// the program has counted has been seen here, and has left, nothing of the flow is on its way
// through the worker, and it is lent. A packet of it that comes all the same takes it back.
// Threads: its worker's; the counters may be read by any.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "base/counter.h"
#include "pipeline/lend/flow_lender.h"
#include "pipeline/pipeline.h"
#include "port/port.h"
#include "session/sessions.h"

namespace sluice {

/// Read by anyone (relaxed).
struct LenderCounters {
  Figure<std::uint32_t> places;  ///< flows that are lent, or about to be
  Counter lent;                  ///< times that a flow was
  Counter forwarded;
  Counter dropped;  ///< for want of tokens
};

/// What a flow is found by in its port's table.
inline std::uint32_t lent_key(const FlowState& state, Direction direction) noexcept {
  return __builtin_bswap32(direction == Direction::Uplink ? state.key : state.ue_ipv4);
}

class Lender final : public FlowLender {
 public:
  /// Flows of one worker that have a place at once.
  static constexpr std::size_t kPlacesMax = 16384;

  /// Null: no port forwards in its driver.
  static std::unique_ptr<Lender> create(Sessions& sessions, const NetworkMap& network,
                                        std::span<const std::unique_ptr<Port>> ports,
                                        std::span<const PipelinePort> rows, unsigned worker);

  void meet(const Burst& burst, unsigned i) noexcept override;
  void consider(const Burst& burst) noexcept override;

  /// The lines of a session are whole again.
  void take_back(SessionIndex session) noexcept;
  /// Before the session's rules change: its flows give up their places.
  /// @return `now`, or when its buckets were last refilled, whichever is later.
  Nanoseconds forget(SessionIndex session, Nanoseconds now) noexcept;
  /// Once a loop, when all that was to leave is with the ports.
  /// @param may_lend  nobody wants to see each packet.
  void turn(Nanoseconds now, bool may_lend) noexcept;
  /// All flows are the worker's again.
  void end() noexcept;
  /// Addresses of UEs may have changed.
  void renew_looks() noexcept;

  const LenderCounters& counters() const noexcept { return counters_; }

 private:
  struct Door {
    const LentTable* table;
    PortQueue* queue;
    const PipelinePort* row;
    const void* ways;  ///< as they were when its flows were given their headers
  };

  /// A flow whose packets the program did not take, for whatever reason.
  struct Refused {
    std::uint32_t key;
    Nanoseconds until;
  };
  static constexpr std::size_t kRefused = 1024;

  struct Due {
    LentFlow* entry;
    std::uint32_t count;  ///< of packets that the program had handed over
  };

  Lender(Sessions& sessions, const NetworkMap& network, std::vector<Door> doors);
  LentFlow* find(const Flow& flow, SessionIndex session, Direction direction) noexcept;
  Flow& flow_of(const LentFlow& entry) noexcept;
  const PdrEntry* whole_pdr(const Flow& flow, std::uint16_t& qfi) const noexcept;
  bool is_refused(std::uint32_t key, Nanoseconds now) const noexcept {
    const Refused& refused = refused_[key % kRefused];
    return refused.key == key && now < refused.until;
  }
  bool may_be_lent(const Burst& burst, unsigned i) const noexcept;
  void give_place(const Burst& burst, unsigned i) noexcept;
  bool fill(LentFlow& entry, const Burst& burst, unsigned i) noexcept;
  bool fill_header(LentFlow& entry, const PdrEntry& pdr, const FarEntry& far,
                   std::uint32_t destination) noexcept;
  void lend(const Due& due) noexcept;
  void take_back(LentFlow& entry, FlowState& state) noexcept;
  void forget(LentFlow& entry) noexcept;
  void tell(LentFlow& entry) noexcept;
  void sweep(Nanoseconds now) noexcept;

  Sessions& sessions_;
  const NetworkMap& network_;
  std::vector<Door> doors_;  ///< by port
  std::vector<LentFlow*> places_;
  std::vector<Due> due_;
  std::vector<Refused> refused_;  ///< by low bits of the key
  LenderCounters counters_;
  Nanoseconds next_sweep_ = 0;
  int until_look_ = 0;
  unsigned turn_ = 0;
  bool may_lend_ = false;
};

}  // namespace sluice
