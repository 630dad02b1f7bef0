// Looking on while packets pass, without a part in what happens to them: a trace of one packet
// (worker/sight/traces.h), captures of many (capture_tap.h). A pipeline that nobody looks at pays
// one test a stage and burst. Everything here runs on the thread of the pipeline's worker.
#pragma once
#include <cstdint>

#include "base/types.h"
#include "memory/packet.h"

namespace sluice {

struct AssociationNote;
struct Burst;
struct Hit;

/// What has just been done. Receive comes before the packets are looked at; from Match to
/// Forward packets that are followed go one by one, others are through with Match together; Finish
/// comes when all of a burst are through.
enum class Stage : std::uint8_t {
  Receive,
  Parse,
  Lookup,
  Match,
  Look,  ///< at what few packets have: unusual addresses, size, hops
  Hold,
  Police,
  Account,
  Forward,
  Finish,
  Open,  ///< by a security association; of traces alone, as Seal
  Seal
};

class BurstObserver {
 public:
  virtual ~BurstObserver() = default;
  /// Whether it is told of each packet's stages. If not, packets may go the plain way.
  virtual bool follows_packets() const noexcept { return true; }
  /// A stage is through with the burst. Behind Lookup, a packet without a verdict has its flow;
  /// behind Finish every packet is still in its buffer, also the dropped.
  virtual void after(Stage stage, Burst& burst) noexcept = 0;
  /// A stage from Match to Forward is through with one packet.
  /// @param hit  of meaning when `verdict` is None, and behind Match.
  virtual void decided(Stage stage, const Burst& burst, unsigned i, const Hit& hit,
                       DropReason verdict) noexcept = 0;
  /// A packet that is traced has come to its security association.
  virtual void at_association(const AssociationNote&) noexcept {}
  /// These leave by a port next. What of them the port took is told by sent().
  virtual void sending(std::uint8_t port, Packet* const* packets, unsigned count,
                       Nanoseconds now) noexcept = 0;
  virtual void sent(unsigned count) noexcept = 0;
  /// These are dropped outside of a burst: they were held, or made here, or found no room on
  /// their way to another worker. What a port does not take is told by sent() alone.
  virtual void lost(Packet* const* packets, unsigned count, DropReason reason,
                    Nanoseconds now) noexcept = 0;
};

}  // namespace sluice
