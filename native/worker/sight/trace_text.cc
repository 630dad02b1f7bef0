#include "worker/sight/trace_text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "wire/bytes.h"
#include "worker/sight/trace_association.h"
#include "worker/sight/trace_ending.h"
#include "worker/sight/trace_match.h"
#include "worker/sight/trace_words.h"

namespace sluice {
namespace {
using namespace record;
using namespace trace_words;

/// Writes the steps of one worker's part.
class Writer {
 public:
  Writer(const TraceErrand& part, const TraceWorld& world, TraceResult& out)
      : part_(part), world_(world), out_(out) {}

  void write() {
    const auto notes = part_.recorder.notes();
    for (std::size_t i = 0; i < notes.size(); ++i) {
      const TraceNote& note = notes[i];
      is_esp_ = i + 1 < notes.size() && notes[i + 1].stage == Stage::Open;
      select(note);
      switch (note.stage) {
        case Stage::Receive:
          receive(note);
          break;
        case Stage::Parse:
          parse(note);
          break;
        case Stage::Lookup:
          lookup(note);
          break;
        case Stage::Match:
          match(note);
          break;
        case Stage::Look:
          ended("look closer", note);
          break;
        case Stage::Hold:
          hold(note);
          break;
        case Stage::Police:
          police(note);
          break;
        case Stage::Account:
          account(note);
          break;
        case Stage::Forward:
          forward(note);
          break;
        case Stage::Finish:
          break;
        case Stage::Open:
          open(note);
          break;
        case Stage::Seal:
          seal(note);
          break;
      }
    }
    for (unsigned i = 0; i < part_.sink.count; ++i) event(part_.sink.events[i]);
  }

 private:
  void select(const TraceNote& note) {
    session_ = note.session == kNoSession ? RecordReader{} : world_.sessions.record(note.session);
    seid_ = session_.valid() ? session_.header(header::SeidLow) |
                                   std::uint64_t{session_.header(header::SeidHigh)} << 32
                             : 0;
    pdr_ = nullptr;
    for (unsigned i = 0; session_.valid() && note.pdr.id != 0 && i < session_.pdrs(); ++i) {
      if ((session_.pdr(i)[pdr::Id] & 0xffff) == note.pdr.id) pdr_ = session_.pdr(i);
    }
  }
  void add(const char* stage, std::string decision, std::uint32_t rule = 0) {
    out_.steps.push_back({stage, std::move(decision), seid_, rule});
  }
  /// The step of a packet that ends here; false when it goes on.
  bool ended(const char* stage, const TraceNote& note, const std::string& why = "",
             std::uint32_t rule = 0) {
    if (note.verdict == DropReason::None) return false;
    if (note.verdict == kTakenAway) {
      add(stage, why + fate_text(note.fate), rule);
      return true;
    }
    std::string text = why.empty() ? drop_reason_text(note.verdict) : why;
    add(stage, "dropped as " + std::string(drop_reason_label(note.verdict)) + ": " + text, rule);
    return true;
  }
  const std::string& port_name(unsigned port) const { return world_.port_names[port]; }
  std::string session_name() const {
    return session_.valid() ? std::string(session_.text(session_.header(header::Name))) : "?";
  }

  void receive(const TraceNote& note) {
    const std::string size = grouped(note.length) + " bytes";
    if (part_.taken_over && note.pass == 0) {
      add("receive", "worker " + std::to_string(part_.worker) + " takes it over, " + size);
    } else if (note.pass == 0) {
      add("receive",
          "worker " + std::to_string(part_.worker) + ", on " + port_name(note.port) + ", " + size);
    } else {
      add("receive", "comes in again, as if on " + port_name(note.port) + ", " + size);
    }
  }

  void parse(const TraceNote& note) {
    if (is_esp_) return add("parse", "no GTP-U, but ESP");
    if (ended("parse", note)) return;
    std::string text;
    if (note.is_access) {
      text = "G-PDU with TEID " + hexadecimal(note.key) + " to " + local_text(note.local) +
             (note.qfi < kNoQfi ? ", QFI " + std::to_string(note.qfi) : ", no QFI") + "; inside ";
    }
    add("parse", text + inner_text(note, note.is_access));
  }

  void lookup(const TraceNote& note) {
    matched_far_.reset();
    const std::string key = note.is_access
                                ? "TEID " + hexadecimal(note.key) + " at " + local_text(note.local)
                                : "UE address " + inner_address(note, false);
    if (note.verdict == kTakenAway) {
      add("lookup", key + " is session " + session_name() +
                        (part_.owner >= 0
                             ? " of worker " + std::to_string(part_.owner) + ": handed over to it"
                             : ": taken away"));
      return;
    }
    if (is_esp_) return add("lookup", "no session has " + key + ", but it is ESP");
    if (ended("lookup", note,
              note.verdict == DropReason::UnknownTeid || note.verdict == DropReason::UnknownUe
                  ? "no session has " + key
                  : "")) {
      return;
    }
    add("lookup", key + " is session " + session_name() +
                      (note.direction == Direction::Uplink ? ", uplink" : ", downlink"));
  }

  void match(const TraceNote& note) {
    if (note.verdict == DropReason::SpoofedSource) {
      std::string ue = note.flags & kInnerV6 ? address6(note.state.ue_prefix) + "/64"
                                             : address4(note.state.ue_ipv4);
      if (note.rules.extension != 0) ue += " and its framed routes";
      ended("match", note, "source " + inner_address(note, true) + ", but the UE has " + ue);
      return;
    }
    if (note.verdict == DropReason::None || note.verdict == DropReason::NoPdr) passed_over(note);
    if (ended("match", note)) return;
    std::string text = "PDR " + std::to_string(note.pdr.id);
    if (pdr_ != nullptr) {
      text += " (precedence " + std::to_string(pdr_[pdr::Precedence]) + ")";
      text += matched_filter(note, session_, pdr_);
    }
    add("match", text, note.pdr.id);
    matched_far_ = far_id(note);
  }

  void hold(const TraceNote& note) {
    const std::uint32_t id = far_id(note);
    const bool buffers = note.far.action == FarAction::Buffer;
    const std::string why = "FAR " + std::to_string(id) + (buffers ? " buffers: " : " drains: ");
    ended("hold", note, note.verdict == kTakenAway ? why : "", id);
  }

  /// The PDRs that were asked before, each with why its last filter does not fit.
  void passed_over(const TraceNote& note) {
    for (const PassedOver& pdr : passed_over_by(note, world_.sessions)) {
      std::string name = "PDR " + std::to_string(pdr.id);
      for (unsigned i = 0; session_.valid() && i < session_.pdrs(); ++i) {
        const std::uint32_t* p = session_.pdr(i);
        if ((p[pdr::Id] & 0xffff) != pdr.id) continue;
        name += " (precedence " + std::to_string(p[pdr::Precedence]) + ")";
      }
      add("match", name + " passed over: " + pdr.why, pdr.id);
    }
  }

  void police(const TraceNote& note) {
    if (note.verdict == DropReason::GateClosed) {
      for (const std::uint8_t q : qers()) {
        const std::uint32_t flag =
            note.direction == Direction::Uplink ? qer::kUplinkClosed : qer::kDownlinkClosed;
        if (session_.qer(q)[qer::Flags] & flag) {
          ended("police", note,
                "the gate of QER " + std::to_string(session_.qer(q)[qer::Id]) + " is closed",
                session_.qer(q)[qer::Id]);
          return;
        }
      }
      ended("police", note);
      return;
    }
    if (!session_.valid() || qers().empty()) {
      if (!ended("police", note)) add("police", "no QER");
      return;
    }
    BucketList buckets;
    list_buckets(session_, note.direction, buckets);
    for (const std::uint8_t q : qers()) {
      const std::uint32_t id = session_.qer(q)[qer::Id];
      const std::string name = "QER " + std::to_string(id) + ": gate open";
      const int bucket = buckets.find(session_, q);
      std::uint64_t tokens = 0;
      std::uint32_t rate = 0;
      if (bucket < 0 || !bucket_of(note, static_cast<unsigned>(bucket), tokens, rate)) {
        add("police", name + ", no maximum bit rate", id);
        continue;
      }
      const bool fits =
          note.verdict == DropReason::None || tokens >= note.inner_length * kMicrobitsPerByte;
      add("police",
          name + ", " + std::to_string(rate) + " kbit/s: " + (fits ? "" : "not enough, ") +
              bytes(tokens / kMicrobitsPerByte) + " of " +
              bytes(bucket_depth(rate) / kMicrobitsPerByte) + " of tokens left",
          id);
    }
    ended("police", note);
  }

  bool bucket_of(const TraceNote& note, unsigned bucket, std::uint64_t& tokens,
                 std::uint32_t& rate) const {
    if (bucket < kHotBuckets) {
      tokens = note.state.tokens[bucket];
      rate = note.state.rate_kbps[bucket];
      return rate != 0;
    }
    Account* account = account_of(note.session);
    const auto d = static_cast<unsigned>(note.direction);
    if (account == nullptr || bucket - kHotBuckets >= account->bucket_count[d]) return false;
    const Bucket& more = account->buckets(note.direction)[bucket - kHotBuckets];
    tokens = more.tokens;
    rate = more.rate_kbps;
    return true;
  }

  void account(const TraceNote& note) {
    const auto list =
        pdr_ == nullptr ? std::span<const std::uint8_t>{} : session_.urr_indices(pdr_);
    const std::vector<UrrState> urrs = urrs_after(note.session);
    for (const std::uint8_t u : list) {
      const std::uint32_t* words = session_.urr(u);
      const std::uint32_t id = words[urr::Id];
      for (const UrrState& state : urrs) {
        if (state.id != id) continue;
        add("account", urr_text(state, words, note.direction), id);
      }
    }
    if (ended("account", note)) return;
    if (list.empty()) add("account", "no URR counts it");
    const std::uint32_t far = far_id(note);
    if (note.far.action == FarAction::ToUe || !matched_far_ || *matched_far_ == far) return;
    add("account", "a quota is used up: FAR " + std::to_string(far) + " takes it", far);
  }

  /// The URRs with this packet in them: what was spent of the credits is folded in.
  std::vector<UrrState> urrs_after(SessionIndex index) const {
    const TracedSession* kept = part_.recorder.session(index);
    Account* account = account_of(index);
    if (kept == nullptr || account == nullptr) return {};
    Flow flows[kDirections] = {kept->after[0], kept->after[1]};
    std::vector<std::byte> copy(account->bytes);
    std::memcpy(copy.data(), account, account->bytes);
    auto* folded = reinterpret_cast<Account*>(copy.data());
    SessionView view{index, {&flows[0], &flows[1]}, folded};
    usage_fold(view);
    return {folded->urrs(), folded->urrs() + folded->urr_count};
  }
  Account* account_of(SessionIndex index) const {
    const TracedSession* kept = part_.recorder.session(index);
    if (kept == nullptr || !kept->has_account) return nullptr;
    return reinterpret_cast<Account*>(kept->account_after.get());
  }

  void forward(const TraceNote& note) {
    const std::uint32_t id = far_id(note);
    const std::string name = "FAR " + std::to_string(id) + ": ";
    if (note.verdict == kTakenAway) {
      ended("forward", note, name + far_action(note) + ", ", id);
    } else if (!ended("forward", note, name + drop_reason_text(note.verdict), id)) {
      add("forward", name + far_action(note), id);
    }
  }
  /// The FAR that a note has. One that turns packets round is not the session's: its PDR's stands
  /// for it.
  std::uint32_t far_id(const TraceNote& note) const {
    if (note.far.action == FarAction::ToUe && pdr_ != nullptr) {
      return session_.far(pdr_[pdr::FTeid] >> 16 & 0xff)[far::Id];
    }
    if (!session_.valid()) return note.far.id_low;
    return session_.far_id(note.pdr.id, note.far.id_low).value_or(note.far.id_low);
  }

  std::string out_on(std::uint8_t port) const {
    return (is_protected(port) ? ", sealed, out on " : ", out on ") + port_name(plain_port(port));
  }
  std::string far_action(const TraceNote& note) const {
    switch (note.far.action) {
      case FarAction::ToCore:
        return "plain IP" + out_on(note.far.port);
      case FarAction::WholeToCore:
        return "with its outer headers" + out_on(note.far.port);
      case FarAction::WholeToTunnel:
      case FarAction::ToSelf:
      case FarAction::ToTunnel: {
        const Peer& peer = world_.sessions.peers()[note.far.peer];
        const std::string to =
            peer.is_v6
                ? address6_at(reinterpret_cast<const std::byte*>(peer.header) + 24)
                : address4(wire::load32(reinterpret_cast<const std::byte*>(peer.header) + 16));
        std::string text = "into tunnel " + to + " TEID " + hexadecimal(note.far.teid);
        if (note.pdr.qfi != 0) text += ", QFI " + std::to_string(note.pdr.qfi);
        if (note.far.flags & kFarMarks) text += ", DSCP " + std::to_string(note.far.tos >> 2);
        return text + out_on(note.far.port);
      }
      case FarAction::Duplicate:
        return "to its destination and as " + std::to_string(note.far.copies()) + " copies";
      case FarAction::ToUe:
        return "turns round to another UE";
      case FarAction::Drop:
        return "drop";
      case FarAction::Buffer:
        return "buffer";
      default:
        return "forward";
    }
  }

  void open(const TraceNote& note) {
    std::string text = opening_text(note.association);
    if (part_.taken_over && note.pass == 0) {
      text = "worker " + std::to_string(part_.worker) + " takes it over, " + text;
    }
    if (note.verdict != kTakenAway) return association_end("open", note, text);
    if (note.fate == Fate::HandedOver) {
      text += " is worker " + std::to_string(part_.owner) + "'s: handed over to it";
    }
    add("open", text);
  }
  void seal(const TraceNote& note) {
    const std::string text = sealing_text(note.association);
    if (note.verdict != DropReason::None) return association_end("seal", note, text);
    add("seal", text + "; shown as it is before");
  }
  void association_end(const char* stage, const TraceNote& note, const std::string& text) {
    ended(stage, note, std::string(drop_reason_text(note.verdict)) + " (" + text + ")");
  }

  void event(const Event& event) {
    seid_ = 0;
    add("report", "would send " + event_text(event), event.id);
  }

  std::span<const std::uint8_t> qers() const {
    return pdr_ == nullptr ? std::span<const std::uint8_t>{} : session_.qer_indices(pdr_);
  }
  std::string local_text(unsigned local) const {
    return local < world_.network.locals.size() ? address(world_.network.locals[local]) : "?";
  }

  const TraceErrand& part_;
  const TraceWorld& world_;
  TraceResult& out_;
  RecordReader session_;
  const std::uint32_t* pdr_ = nullptr;
  bool is_esp_ = false;  ///< the next note is of its association
  std::optional<std::uint32_t> matched_far_;
  std::uint64_t seid_ = 0;
};

}  // namespace

TraceResult trace_text(const std::vector<const TraceErrand*>& parts, const TraceWorld& world) {
  TraceResult result;
  TraceEnding ending;
  for (const TraceErrand* part : parts) {
    Writer(*part, world, result).write();
    ending.follow(*part);
    for (unsigned i = 0; i < part->output_count; ++i) {
      const TracePacket& packet = part->outputs[i];
      result.outputs.push_back(
          {packet.meta.port, {packet.bytes.begin(), packet.bytes.begin() + packet.meta.length}});
    }
  }
  ending.tell(parts, result);
  return result;
}

}  // namespace sluice
