// The canonical form of a session: one record of bytes, written by the control plane
// (src/model/record.ts writes and reads the very same layout), kept in its slab and
// in the store, read in place by the compiler, never by a worker.
//
// A record is an array of 32-bit words in the machine's byte order. Tables follow the
// header in the order pdr, far, qer, urr, bar, filter, then a byte area of lists and
// strings. A Ref is (byte offset from the record's start ÷ 4) << 16 | length in bytes;
// 0 is "absent". IPv4 addresses are one word in host order (10.0.0.1 = 0x0a000001), IPv6
// addresses four words, most significant first. 64-bit values are two words, low first.
#pragma once
#include <cstdint>

namespace sluice::record {

inline constexpr std::uint32_t kMagic = 0x31524c53;  // "SLR1"
inline constexpr std::uint32_t kBytesMax = 256 * 1024 - 4;

inline constexpr unsigned kHeaderWords = 24;
namespace header {
enum Word : unsigned {
  Magic = 0,
  Bytes = 1,  // total length, multiple of 8
  SeidLow = 2,
  SeidHigh = 3,
  RevisionLow = 4,
  RevisionHigh = 5,
  Name = 6,
  Owner = 7,
  Dnn = 8,           // Refs
  SessionIndex = 9,  // 24 bits: bucket * slots per bucket + slot
  Counts1 = 10,      // pdn_type | pdrs << 8 | fars << 16 | qers << 24
  Counts2 = 11,      // urrs | bars << 8 | filters << 16
  CreateTimeLow = 12,
  CreateTimeHigh = 13,  // ms since 1970
  Incarnation = 14,     // tells two sessions in one slot apart; never 0
  UeIpv4 = 15,          // 0: none
  UePrefixHigh = 16,
  UePrefixLow = 17,  // the /64, most significant word first
  Flags = 18,        // kUe… bits | mark of the UE's interface identifier << 16, 0: unknown
  UeInstance = 19,   // Ref: network instance of the UE addresses (of the PDI that has them)
  Place = 20,  // bucket << 16 | slot: what SessionIndex follows from, whatever slots per bucket is
  CpSeidLow = 21,
  CpSeidHigh = 22,  // of the SMF's F-SEID; 0 where no SMF made the session
  Shadow = 23,      // Ref: PFCP IEs of the establishment that would make the session as it is; 0
};
inline constexpr std::uint32_t kUeIpv4 = 1, kUeIpv6 = 2, kUeIpv4FromPool = 4, kUeIpv6FromPool = 8;
inline constexpr unsigned kUeInterfaceShift = 16;
}  // namespace header

inline constexpr unsigned kPdrWords = 16;
namespace pdr {
enum Word : unsigned {
  Id = 0,  // id u16 | source interface << 16 | outer header removal << 24 (proto values)
  Precedence = 1,
  Instance = 2,   // Ref, absent: any
  Teid = 3,       // local TEID, 0: none
  FTeid = 4,      // kFTeid… bits | choose id << 8 | FAR index << 16 | number of QERs << 24
  LocalIpv4 = 5,  // local address of the F-TEID, 0: none
  LocalIpv6 = 6,  // 4 words
  QfisLow = 10,
  QfisHigh = 11,  // bit n: QFI n may match; 0: any
  Filters = 12,   // index of the first filter u16 | filters << 16 | number of URRs << 24
  Lists = 13,  // (byte offset ÷ 4) u16 of u8s [QER indices…, URR indices…] | kPdrUe… << 16 | framed
               // routes << 24
  FramedRoutes = 14,  // (byte offset ÷ 4) u16 of entries of 6 words {is v6, prefix length, address
                      // (4 words)} | number of the protection that its packets come under << 16
  RoutesText = 15,    // (byte offset ÷ 4) of that many Refs: the routes as they were written
};
inline constexpr std::uint32_t kFTeidPresent = 1, kFTeidChosenHere = 2, kFTeidIpv4 = 4,
                               kFTeidIpv6 = 8;
// Chosen here without a choose ID: shared with no other PDR. Addresses filled in here, not asked
// for.
inline constexpr std::uint32_t kFTeidUnshared = 16, kFTeidAddressHere = 32;
// The choose ID is the ID of a traffic endpoint: another kind of number than the PDIs' own.
inline constexpr std::uint32_t kFTeidEndpoint = 64;
inline constexpr std::uint32_t kPdrUeIpv4 = 1, kPdrUeIpv6 = 2, kPdrUeIpv4Auto = 4,
                               kPdrUeIpv6Auto = 8;
}  // namespace pdr

inline constexpr unsigned kRouteWords = 6;

inline constexpr unsigned kFarWords = 12;
namespace far {
enum Word : unsigned {
  Id = 0,
  Action = 1,    // kFar… | destination interface << 8 | flags << 16 | dscp << 24
  Instance = 2,  // Ref, absent: default
  Teid = 3,
  Ipv4 = 4,
  Ipv6 = 5,         // 4 words
  UdpPort = 9,      // u16, 0: 2152 | BAR index + 1 << 16 | duplicates << 24
  Duplicates = 10,  // (byte offset ÷ 4) of that many entries of kFarWords words
  Protection = 11,  // number of the one that packets are sealed with, 0: none
};
inline constexpr std::uint32_t kForward = 1, kDrop = 2, kBuffer = 3;
inline constexpr std::uint32_t kOuterHeader = 1, kOuterIpv4 = 2, kOuterIpv6 = 4, kDscp = 8,
                               kNotify = 16;
}  // namespace far

inline constexpr unsigned kQerWords = 12;
namespace qer {
enum Word : unsigned {
  Id = 0,
  Flags = 1,
  UplinkMbrLow = 2,
  UplinkMbrHigh = 3,
  DownlinkMbrLow = 4,
  DownlinkMbrHigh = 5,
  UplinkGbrLow = 6,
  UplinkGbrHigh = 7,
  DownlinkGbrLow = 8,
  DownlinkGbrHigh = 9,  // kbit/s
  Qfi = 10,             // qfi | ppi << 8
  SharedBucket = 11,    // Ref
};
inline constexpr std::uint32_t kUplinkClosed = 1, kDownlinkClosed = 2, kUplinkMbr = 4,
                               kDownlinkMbr = 8, kUplinkGbr = 16, kDownlinkGbr = 32, kQfi = 64,
                               kRqi = 128, kPpi = 256;
}  // namespace qer

inline constexpr unsigned kUrrWords = 20;
namespace urr {
enum Word : unsigned {
  Id = 0,
  Flags = 1,
  ThresholdTotal = 2,
  ThresholdUplink = 4,
  ThresholdDownlink = 6,  // bytes, low word first
  QuotaTotal = 8,
  QuotaUplink = 10,
  QuotaDownlink = 12,
  TimeThresholdMs = 14,
  TimeQuotaMs = 15,
  PeriodMs = 16,
  InactivityMs = 17,
  Linked = 18,    // (byte offset ÷ 4) u16 of u8 URR indices | how many << 16
  QuotaFar = 19,  // FAR index + 1, 0: drop | number of the quota grant << 8
  // With kMore, kUrrMoreWords words follow in the word behind the linked indices.
};
inline constexpr std::uint32_t kVolume = 1, kDuration = 2, kBeforePolicing = 4, kThresholdTotal = 8,
                               kThresholdUplink = 16, kThresholdDownlink = 32, kQuotaTotal = 64,
                               kQuotaUplink = 128, kQuotaDownlink = 256, kTimeThreshold = 512,
                               kTimeQuota = 1024, kPeriod = 2048, kInactivity = 4096,
                               kReportStart = 8192, kReportStop = 16384;
inline constexpr std::uint32_t kReportEndMarker = 32768,  // REEMR
    kReportEnvelope = 65536,                              // ENVCL
    kInstantStart = 131072,                               // ISTM
    kPaused = 262144,                                     // INAM
    kCountPackets = 524288,                               // MNOP
    kMore = 1048576,                                      // what urr_more says is there
    kReportInactivity = 2097152;                          // UPINT, the control plane's affair
}  // namespace urr

// What few URRs have.
inline constexpr unsigned kUrrMoreWords = 8;
namespace urr_more {
enum Word : unsigned {
  Flags = 0,
  QuotaHoldingMs = 1,
  QuotaValidityMs = 2,
  Monitors = 3,        // (byte offset ÷ 4) u16 of that many entries of monitor | how many << 16
  DroppedPackets = 4,  // low word first
  DroppedBytes = 6,
};
inline constexpr std::uint32_t kQuotaHolding = 1, kQuotaValidity = 2, kDroppedPackets = 4,
                               kDroppedBytes = 8;
}  // namespace urr_more

// A monitoring time, and the limits from then on: words 1 to 15 are those of a urr, with the
// same flags for what is there. In ascending order of time.
inline constexpr unsigned kMonitorWords = 16;
namespace monitor {
enum Word : unsigned {
  TimeS = 0,
  Flags = 1,
  ThresholdTotal = 2,
  QuotaTotal = 8,
  TimeThresholdMs = 14,
  TimeQuotaMs = 15
};  // TimeS: since 1970
}

inline constexpr unsigned kBarWords = 4;
namespace bar {
enum Word : unsigned { Id = 0, NotificationDelayMs = 1, PacketLimit = 2 };
}

inline constexpr unsigned kFilterWords = 16;
namespace filter {
enum Word : unsigned {
  Flags = 0,
  Protocol = 1,      // protocol | source prefix length << 8 | destination prefix length << 16
  Source = 2,        // 4 words; IPv4 in the first
  Destination = 6,   // 4 words
  SourcePorts = 10,  // (byte offset ÷ 4) u16 | ranges << 16; a range is one word: low | high << 16
  DestinationPorts = 11,
  Tos = 12,  // tos | mask << 8
  Spi = 13,
  FlowLabel = 14,
  Text = 15,  // Ref: the flow description as it was written
};
// As written "from source to destination" for Core; swapped when the PDR's source is Access.
inline constexpr std::uint32_t kFlow = 1, kTos = 2, kSpi = 4, kFlowLabel = 8, kSourceIpv4 = 16,
                               kSourceIpv6 = 32, kDestinationIpv4 = 64, kDestinationIpv6 = 128,
                               kSourceAssigned = 256, kDestinationAssigned = 512,
                               kAnyProtocol = 1024,
                               kTosMask = 2048;  // the mask was written; 255 otherwise
}  // namespace filter

}  // namespace sluice::record
