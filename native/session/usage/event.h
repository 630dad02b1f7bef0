// What a worker tells the control plane, 128 bytes each; the words are those of
// EventWord in src/datapath/datapath.ts.
#pragma once
#include <cstdint>

#include "session/teid.h"

namespace sluice {

enum class EventKind : std::uint32_t {
  Usage = 1,
  DownlinkData = 2,
  ErrorIndication = 3,
  Inactivity = 4
};

/// Bit n is UsageTrigger n of the API.
enum UsageTrigger : std::uint32_t {
  kTriggerNone = 0,
  kTriggerPeriodic = 1u << 1,
  kTriggerVolumeThreshold = 1u << 2,
  kTriggerTimeThreshold = 1u << 3,
  kTriggerVolumeQuota = 1u << 4,
  kTriggerTimeQuota = 1u << 5,
  kTriggerImmediate = 1u << 6,
  kTriggerTermination = 1u << 7,
  kTriggerStart = 1u << 8,
  kTriggerStop = 1u << 9,
  kTriggerLinked = 1u << 10,
  kTriggerMonitoringTime = 1u << 11,
  kTriggerQuotaHoldingTime = 1u << 12,
  kTriggerQuotaValidityTime = 1u << 13,
  kTriggerDroppedDownlink = 1u << 14,
  kTriggerEndMarker = 1u << 15,
  kTriggerEnvelopeClosure = 1u << 16,
};

/// Which part of its URR's usage a report has, as bits of Usage Information (TS 29.244 8.2.58);
/// 0: all of it.
enum UsagePart : std::uint32_t {
  kUsageBeforeMonitoringTime = 1,
  kUsageAfterMonitoringTime = 2,
};

struct Event {
  EventKind kind;
  SessionIndex session;
  std::uint32_t incarnation;
  std::uint32_t id;
  std::uint32_t sequence;
  std::uint32_t triggers;
  std::uint64_t bytes[2];  ///< uplink, downlink
  std::uint64_t packets[2];
  std::uint64_t start_time;  ///< ns since 1970
  std::uint64_t end_time;
  std::uint64_t duration_ns;
  std::uint32_t ticket;  ///< ticket + 1 of the operation that asked, 0: unasked
  union {
    std::uint32_t qfi;
    std::uint32_t part;  ///< usage: UsagePart
  };
  std::uint32_t address[4];
  /// Which event it is, for a restart that finds it both here and in the store: the run that
  /// made it, its worker, and its position in that worker's ring.
  std::uint32_t run;
  std::uint32_t worker;
  std::uint64_t position;
  std::uint32_t reserved[2];
};
static_assert(sizeof(Event) == 128);

}  // namespace sluice
