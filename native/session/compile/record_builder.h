// Builds session records in C++, for tests, benches and fuzzers; the product's records are
// written by src/model. Rules are plain words, indices refer to the order of adding.
#pragma once
#include <cstring>
#include <string>
#include <vector>

#include "session/record.h"
#include "session/table/route.h"

namespace sluice {

struct FilterSpec {
  int protocol = -1;  ///< -1: any
  std::uint32_t remote = 0;
  unsigned remote_length = 0;  ///< 0: any
  std::uint32_t local = 0;
  unsigned local_length = 0;  ///< 0: assigned
  std::vector<std::pair<std::uint16_t, std::uint16_t>> remote_ports, local_ports;
  int tos = -1, tos_mask = 0xff;
  std::uint32_t remote6[4] = {};
  unsigned remote6_length = 0;
  std::int64_t spi = -1, flow_label = -1;
  std::string text;  ///< as it was written
};
struct PdrSpec {
  unsigned id = 1, precedence = 100, source = 1;  ///< interface: 1 access, 2 core
  std::uint32_t teid = 0, local_ipv4 = 0;
  std::uint32_t local_ipv6[4] = {};
  std::uint64_t qfis = 0;
  unsigned far = 0;
  std::vector<std::uint8_t> qers, urrs;
  std::vector<FilterSpec> filters;
  std::uint32_t ue = 0;  ///< record::pdr::kPdrUe… bits
  std::vector<Route> routes;
  unsigned removal = 1;  ///< of the outer header; 2: none
  std::string instance;
  unsigned protection = 0;
};
struct FarSpec {
  unsigned id = 1, action = record::far::kForward, destination = 2;
  bool tunnel = false;
  std::uint32_t teid = 0, ipv4 = 0;
  std::uint32_t ipv6[4] = {};
  bool is_v6 = false;
  int dscp = -1;
  std::string instance;
  bool notify = false;
  unsigned protection = 0;
  unsigned bar = 0;  ///< position + 1, 0: none
  std::vector<FarSpec> duplicates;
};
struct BarSpec {
  unsigned id = 1, delay_ms = 0, packet_limit = 0;
};
struct QerSpec {
  unsigned id = 1;
  bool uplink_closed = false, downlink_closed = false;
  std::int64_t uplink_mbr = -1, downlink_mbr = -1;
  int qfi = -1, ppi = -1;
  bool rqi = false;
  std::string shared;
};
struct MonitorSpec {
  std::uint32_t time_s = 0;
  std::uint64_t threshold[3] = {}, quota[3] = {};  ///< 0: none
  std::int64_t time_threshold_ms = -1, time_quota_ms = -1;
};
struct UrrSpec {
  unsigned id = 1;
  std::uint64_t threshold[3] = {}, quota[3] = {};  ///< total, uplink, downlink; 0: none
  bool volume = true, duration = false, before_policing = false;
  bool report_start = false, report_stop = false;
  std::int64_t time_threshold_ms = -1, time_quota_ms = -1, period_ms = -1, inactivity_ms = -1;
  std::vector<std::uint8_t> linked;
  unsigned quota_far = 0;  ///< FAR position + 1
  unsigned grant = 0;
  std::uint32_t more_flags = 0;  ///< further record::urr::k… bits
  std::int64_t quota_holding_ms = -1, quota_validity_ms = -1;
  std::uint64_t dropped_packets = 0, dropped_bytes = 0;  ///< 0: none
  std::vector<MonitorSpec> monitors;
};

struct SessionSpec {
  std::string name;
  std::uint32_t ue_ipv4 = 0;
  std::uint64_t ue_prefix = 0;
  std::uint16_t ue_interface_mark = 0;
  std::uint32_t incarnation = 1;
  std::vector<PdrSpec> pdrs;
  std::vector<FarSpec> fars;
  std::vector<QerSpec> qers;
  std::vector<UrrSpec> urrs;
  std::vector<BarSpec> bars;
};

class RecordBuilder {
 public:
  std::vector<std::uint32_t> build(const SessionSpec& spec) {
    using namespace record;
    unsigned filters = 0;
    for (const auto& p : spec.pdrs) filters += static_cast<unsigned>(p.filters.size());
    const auto pdrs = static_cast<unsigned>(spec.pdrs.size()),
               fars = static_cast<unsigned>(spec.fars.size());
    const auto qers = static_cast<unsigned>(spec.qers.size()),
               urrs = static_cast<unsigned>(spec.urrs.size());
    const unsigned pdr0 = kHeaderWords, far0 = pdr0 + pdrs * kPdrWords,
                   qer0 = far0 + fars * kFarWords, urr0 = qer0 + qers * kQerWords,
                   bar0 = urr0 + urrs * kUrrWords,
                   filter0 = bar0 + static_cast<unsigned>(spec.bars.size()) * kBarWords;
    w_.assign(filter0 + filters * kFilterWords, 0);
    w_[header::Magic] = kMagic;
    w_[header::Counts1] = 1 | pdrs << 8 | fars << 16 | qers << 24;
    w_[header::Counts2] = urrs | static_cast<std::uint32_t>(spec.bars.size()) << 8 | filters << 16;
    w_[header::Incarnation] = spec.incarnation;
    w_[header::UeIpv4] = spec.ue_ipv4;
    w_[header::UePrefixHigh] = static_cast<std::uint32_t>(spec.ue_prefix >> 32);
    w_[header::UePrefixLow] = static_cast<std::uint32_t>(spec.ue_prefix);
    w_[header::Flags] = (spec.ue_ipv4 ? header::kUeIpv4 : 0) |
                        (spec.ue_prefix ? header::kUeIpv6 : 0) |
                        std::uint32_t{spec.ue_interface_mark} << header::kUeInterfaceShift;
    const std::uint32_t name = ref(spec.name);
    w_[header::Name] = name;
    unsigned filter = 0;
    for (unsigned i = 0; i < pdrs; ++i) {
      pdr(pdr0 + i * kPdrWords, spec.pdrs[i], filter);
      for (const auto& f : spec.pdrs[i].filters) sdf(filter0 + filter++ * kFilterWords, f);
    }
    for (unsigned i = 0; i < fars; ++i) far(far0 + i * kFarWords, spec.fars[i]);
    for (unsigned i = 0; i < qers; ++i) qer(qer0 + i * kQerWords, spec.qers[i]);
    for (unsigned i = 0; i < spec.bars.size(); ++i) {
      w_[bar0 + i * kBarWords + bar::Id] = spec.bars[i].id;
      w_[bar0 + i * kBarWords + bar::NotificationDelayMs] = spec.bars[i].delay_ms;
      w_[bar0 + i * kBarWords + bar::PacketLimit] = spec.bars[i].packet_limit;
    }
    for (unsigned i = 0; i < urrs; ++i) urr(urr0 + i * kUrrWords, spec.urrs[i]);
    if (w_.size() % 2) w_.push_back(0);
    w_[header::Bytes] = static_cast<std::uint32_t>(w_.size() * 4);
    return w_;
  }

 private:
  std::uint32_t bytes(const void* from, std::size_t n) {
    const std::size_t at = w_.size();
    w_.resize(at + (n + 3) / 4);
    if (n != 0) std::memcpy(w_.data() + at, from, n);
    return static_cast<std::uint32_t>(at);
  }
  std::uint32_t ref(const std::string& text) {
    return text.empty()
               ? 0
               : bytes(text.data(), text.size()) << 16 | static_cast<std::uint32_t>(text.size());
  }
  void pdr(unsigned at, const PdrSpec& p, unsigned filter) {
    using namespace record;
    const std::uint32_t instance = ref(p.instance);
    std::vector<std::uint8_t> lists = p.qers;
    lists.insert(lists.end(), p.urrs.begin(), p.urrs.end());
    const std::uint32_t list = bytes(lists.data(), lists.size());
    std::vector<std::uint32_t> words;
    for (const Route& r : p.routes) {
      words.insert(words.end(),
                   {r.is_v6, r.length, r.words[0], r.words[1], r.words[2], r.words[3]});
    }
    const std::uint32_t routes = bytes(words.data(), words.size() * 4);
    bool v6 = false;
    for (const std::uint32_t word : p.local_ipv6) v6 |= word != 0;
    w_[at + pdr::Id] = p.id | p.source << 16 | p.removal << 24;
    w_[at + pdr::Precedence] = p.precedence;
    w_[at + pdr::Instance] = instance;
    w_[at + pdr::Teid] = p.teid;
    w_[at + pdr::FTeid] = (p.teid ? pdr::kFTeidPresent : 0) | (p.local_ipv4 ? pdr::kFTeidIpv4 : 0) |
                          (v6 ? pdr::kFTeidIpv6 : 0) | p.far << 16 |
                          static_cast<std::uint32_t>(p.qers.size()) << 24;
    w_[at + pdr::LocalIpv4] = p.local_ipv4;
    std::memcpy(&w_[at + pdr::LocalIpv6], p.local_ipv6, 16);
    w_[at + pdr::QfisLow] = static_cast<std::uint32_t>(p.qfis);
    w_[at + pdr::QfisHigh] = static_cast<std::uint32_t>(p.qfis >> 32);
    w_[at + pdr::Filters] = filter | static_cast<std::uint32_t>(p.filters.size()) << 16 |
                            static_cast<std::uint32_t>(p.urrs.size()) << 24;
    w_[at + pdr::Lists] = list | p.ue << 16 | static_cast<std::uint32_t>(p.routes.size()) << 24;
    w_[at + pdr::FramedRoutes] = routes | p.protection << 16;
  }
  std::uint32_t ranges(const std::vector<std::pair<std::uint16_t, std::uint16_t>>& list) {
    std::vector<std::uint32_t> words;
    for (const auto& [low, high] : list) words.push_back(low | std::uint32_t{high} << 16);
    const std::uint32_t at = bytes(words.data(), words.size() * 4);
    return at | static_cast<std::uint32_t>(words.size()) << 16;
  }
  void sdf(unsigned at, const FilterSpec& f) {
    using namespace record;
    const std::uint32_t remote = ranges(f.remote_ports), local = ranges(f.local_ports);
    std::uint32_t flags =
        filter::kFlow | (f.local_length ? filter::kDestinationIpv4 : filter::kDestinationAssigned);
    if (f.protocol < 0) flags |= filter::kAnyProtocol;
    if (f.remote_length) flags |= filter::kSourceIpv4;
    if (f.remote6_length) flags |= filter::kSourceIpv6;
    if (f.tos >= 0) flags |= filter::kTos;
    if (f.spi >= 0) flags |= filter::kSpi;
    if (f.flow_label >= 0) flags |= filter::kFlowLabel;
    w_[at + filter::Flags] = flags;
    w_[at + filter::Protocol] = static_cast<std::uint32_t>(f.protocol < 0 ? 0 : f.protocol) |
                                (f.remote6_length ? f.remote6_length : f.remote_length) << 8 |
                                f.local_length << 16;
    w_[at + filter::Destination] = f.local;
    w_[at + filter::Source] = f.remote;
    if (f.remote6_length) std::memcpy(&w_[at + filter::Source], f.remote6, 16);
    w_[at + filter::SourcePorts] = remote;
    w_[at + filter::DestinationPorts] = local;
    w_[at + filter::Tos] = static_cast<std::uint32_t>(f.tos < 0 ? 0 : f.tos | f.tos_mask << 8);
    w_[at + filter::Spi] = static_cast<std::uint32_t>(f.spi);
    w_[at + filter::FlowLabel] = static_cast<std::uint32_t>(f.flow_label);
    const std::uint32_t text = ref(f.text);
    w_[at + filter::Text] = text;
  }
  void far(unsigned at, const FarSpec& f) {
    using namespace record;
    const std::uint32_t instance = ref(f.instance);
    const std::uint32_t flags =
        (f.tunnel ? far::kOuterHeader | (f.is_v6 ? far::kOuterIpv6 : far::kOuterIpv4) : 0) |
        (f.dscp >= 0 ? far::kDscp : 0) | (f.notify ? far::kNotify : 0);
    if (!f.duplicates.empty()) {
      const auto copies = static_cast<std::uint32_t>(f.duplicates.size());
      const auto list = static_cast<std::uint32_t>(w_.size());
      w_.resize(list + copies * kFarWords);
      for (unsigned i = 0; i < copies; ++i) far(list + i * kFarWords, f.duplicates[i]);
      w_[at + far::Duplicates] = list;
      w_[at + far::UdpPort] = copies << 24;
    }
    w_[at + far::UdpPort] |= f.bar << 16;
    w_[at + far::Id] = f.id;
    w_[at + far::Action] = f.action | f.destination << 8 | flags << 16 |
                           static_cast<std::uint32_t>(f.dscp < 0 ? 0 : f.dscp) << 24;
    w_[at + far::Instance] = instance;
    w_[at + far::Protection] = f.protection;
    w_[at + far::Teid] = f.teid;
    w_[at + far::Ipv4] = f.ipv4;
    std::memcpy(&w_[at + far::Ipv6], f.ipv6, 16);
  }
  void qer(unsigned at, const QerSpec& q) {
    using namespace record;
    const std::uint32_t shared = ref(q.shared);
    w_[at + qer::Id] = q.id;
    w_[at + qer::Flags] =
        (q.uplink_closed ? qer::kUplinkClosed : 0) |
        (q.downlink_closed ? qer::kDownlinkClosed : 0) | (q.uplink_mbr >= 0 ? qer::kUplinkMbr : 0) |
        (q.downlink_mbr >= 0 ? qer::kDownlinkMbr : 0) | (q.qfi >= 0 ? qer::kQfi : 0) |
        (q.rqi ? qer::kRqi : 0) | (q.ppi >= 0 ? qer::kPpi : 0);
    word64(at + qer::UplinkMbrLow, q.uplink_mbr < 0 ? 0 : static_cast<std::uint64_t>(q.uplink_mbr));
    word64(at + qer::DownlinkMbrLow,
           q.downlink_mbr < 0 ? 0 : static_cast<std::uint64_t>(q.downlink_mbr));
    w_[at + qer::Qfi] = static_cast<std::uint32_t>(q.qfi < 0 ? 0 : q.qfi) |
                        static_cast<std::uint32_t>(q.ppi < 0 ? 0 : q.ppi) << 8;
    w_[at + qer::SharedBucket] = shared;
  }
  void urr(unsigned at, const UrrSpec& u) {
    using namespace record;
    const std::uint32_t monitors = static_cast<std::uint32_t>(w_.size());
    for (const MonitorSpec& m : u.monitors) monitor(m);
    const std::uint32_t linked = bytes(u.linked.data(), u.linked.size());
    std::uint32_t flags =
        u.more_flags | more(u, monitors) | (u.volume ? urr::kVolume : 0) |
        (u.duration ? urr::kDuration : 0) | (u.before_policing ? urr::kBeforePolicing : 0) |
        (u.report_start ? urr::kReportStart : 0) | (u.report_stop ? urr::kReportStop : 0);
    flags |= limits(at, u.threshold, u.quota,
                    {u.time_threshold_ms, u.time_quota_ms, u.period_ms, u.inactivity_ms});
    w_[at + urr::Id] = u.id;
    w_[at + urr::Flags] = flags;
    w_[at + urr::Linked] = linked | static_cast<std::uint32_t>(u.linked.size()) << 16;
    w_[at + urr::QuotaFar] = u.quota_far | u.grant << 8;
  }
  /// Of a URR or a monitor, whose words are the same. @return what is there.
  std::uint32_t limits(unsigned at, const std::uint64_t (&threshold)[3],
                       const std::uint64_t (&quota)[3], const std::vector<std::int64_t>& times) {
    using namespace record;
    std::uint32_t flags = 0;
    for (unsigned t = 0; t < times.size(); ++t) {
      if (times[t] < 0) continue;
      flags |= urr::kTimeThreshold << t;
      w_[at + urr::TimeThresholdMs + t] = static_cast<std::uint32_t>(times[t]);
    }
    for (unsigned v = 0; v < 3; ++v) {
      if (threshold[v]) flags |= urr::kThresholdTotal << v;
      if (quota[v]) flags |= urr::kQuotaTotal << v;
      word64(at + urr::ThresholdTotal + 2 * v, threshold[v]);
      word64(at + urr::QuotaTotal + 2 * v, quota[v]);
    }
    return flags;
  }
  void monitor(const MonitorSpec& m) {
    using namespace record;
    const auto at = static_cast<unsigned>(w_.size());
    w_.resize(at + kMonitorWords);
    w_[at + monitor::TimeS] = m.time_s;
    w_[at + monitor::Flags] =
        limits(at, m.threshold, m.quota, {m.time_threshold_ms, m.time_quota_ms});
  }
  /// The words behind the linked indices. @return record::urr::kMore, 0: there are none.
  std::uint32_t more(const UrrSpec& u, std::uint32_t monitors) {
    using namespace record;
    if (u.quota_holding_ms < 0 && u.quota_validity_ms < 0 && u.dropped_packets == 0 &&
        u.dropped_bytes == 0 && u.monitors.empty()) {
      return 0;
    }
    const auto at = static_cast<unsigned>(w_.size());
    w_.resize(at + kUrrMoreWords);
    std::uint32_t flags = 0;
    if (u.quota_holding_ms >= 0) flags |= urr_more::kQuotaHolding;
    if (u.quota_validity_ms >= 0) flags |= urr_more::kQuotaValidity;
    if (u.dropped_packets != 0) flags |= urr_more::kDroppedPackets;
    if (u.dropped_bytes != 0) flags |= urr_more::kDroppedBytes;
    w_[at + urr_more::Flags] = flags;
    w_[at + urr_more::QuotaHoldingMs] = static_cast<std::uint32_t>(u.quota_holding_ms);
    w_[at + urr_more::QuotaValidityMs] = static_cast<std::uint32_t>(u.quota_validity_ms);
    w_[at + urr_more::Monitors] = monitors | static_cast<std::uint32_t>(u.monitors.size()) << 16;
    word64(at + urr_more::DroppedPackets, u.dropped_packets);
    word64(at + urr_more::DroppedBytes, u.dropped_bytes);
    return urr::kMore;
  }
  void word64(unsigned at, std::uint64_t value) {
    w_[at] = static_cast<std::uint32_t>(value);
    w_[at + 1] = static_cast<std::uint32_t>(value >> 32);
  }

  std::vector<std::uint32_t> w_;
};

}  // namespace sluice
