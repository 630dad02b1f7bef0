#include "worker/sight/trace_words.h"

#include <arpa/inet.h>

#include <cstdio>

#include "wire/bytes.h"
#include "wire/inner.h"

namespace sluice {
namespace trace_words {

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::string bytes(std::uint64_t number) {
  static constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB"};
  if (number < 10'000) return grouped(number) + " bytes";
  auto value = static_cast<double>(number);
  unsigned unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(kUnits); value /= 1000) ++unit;
  char text[32];
  const bool whole = value >= 100 || value == static_cast<double>(static_cast<int>(value));
  std::snprintf(text, sizeof(text), whole ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string hexadecimal(std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%x", number);
  return text;
}

std::string address4(std::uint32_t address) {
  char text[INET_ADDRSTRLEN];
  const std::uint32_t network = htonl(address);
  inet_ntop(AF_INET, &network, text, sizeof(text));
  return text;
}

std::string address6(std::uint64_t prefix) {
  std::byte address[16] = {};
  wire::store64(address, prefix);
  return address6_at(address);
}

std::string address6_at(const std::byte* bytes) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, bytes, text, sizeof(text));
  return text;
}

std::string address(const LocalAddress& local) {
  if (!local.is_v6) return address4(local.words[0]);
  std::byte bytes[16];
  for (unsigned w = 0; w < 4; ++w) wire::store32(bytes + 4 * w, local.words[w]);
  return address6_at(bytes);
}

std::string inner_address(const TraceNote& note, bool source) {
  if (note.flags & kInnerV6) return address6_at(note.inner + (source ? 8 : 24));
  return address4(wire::load32(note.inner + (source ? 12 : 16)));
}

std::string fate_text(Fate fate) {
  switch (fate) {
    case Fate::HandedOver:
      return "handed over to another worker";
    case Fate::Held:
      return "held until new rules let it go";
    case Fate::Waits:
      return "a fragment, kept until the others of its packet are there";
    case Fate::InPieces:
      return "leaves in pieces that fit";
    case Fate::TurnedRound:
      return "comes in again for the other UE";
    case Fate::Answered:
      return "an Echo Request, answered here";
    case Fate::Opened:
      return "ESP, whose inside comes in";
  }
  return "";
}

std::string event_text(const Event& event) {
  switch (event.kind) {
    case EventKind::DownlinkData:
      return "a downlink data report of PDR " + std::to_string(event.id);
    case EventKind::ErrorIndication:
      return "an error indication report of TEID " + hexadecimal(event.id);
    case EventKind::Inactivity:
      return "an inactivity report of URR " + std::to_string(event.id);
    default:
      return "a usage report of URR " + std::to_string(event.id);
  }
}

std::string inner_text(const TraceNote& note, bool uplink) {
  const unsigned protocol = note.operand.lanes[kProtocol];
  std::string text = protocol == wire::kProtocolUdp    ? "UDP "
                     : protocol == wire::kProtocolTcp  ? "TCP "
                     : protocol == wire::kProtocolIcmp ? "ICMP "
                     : protocol == wire::kProtocolIcmpv6
                         ? "ICMPv6 "
                         : "IP protocol " + std::to_string(protocol) + " ";
  const bool ports = (note.flags & kInnerNoPorts) == 0;
  const bool is_v6 = (note.flags & kInnerV6) != 0;
  const auto end = [&](bool source) {
    std::string address = inner_address(note, source);
    if (!ports) return address;
    if (is_v6) address = "[" + address + "]";
    const Lane lane = source == uplink ? kLocalPort : kRemotePort;
    return address + ":" + std::to_string(note.operand.lanes[lane]);
  };
  if (!is_v6 && (wire::load16(note.inner + 6) & 0x3fff) != 0) text = "fragment of " + text;
  return text + end(true) + " to " + end(false) + ", " + grouped(note.inner_length) + " bytes";
}

std::string urr_text(const UrrState& state, const std::uint32_t* words, Direction direction) {
  using namespace record;
  std::string text = "URR " + std::to_string(state.id) + ": ";
  const auto d = static_cast<unsigned>(direction);
  text += bytes(state.bytes[0] + state.bytes[1]) + " since its last report, " +
          bytes(state.bytes[d]) + (d == 0 ? " uplink" : " downlink");
  const auto limit = [&](const char* what, const std::uint64_t(&of)[3]) {
    static constexpr const char* kNames[] = {"", " uplink", " downlink"};
    for (unsigned v = 0; v < 3; ++v) {
      if (of[v] == kUnlimited) continue;
      text += std::string(", ") + what + kNames[v] + " " + bytes(of[v]);
    }
  };
  limit("threshold", state.threshold);
  limit("quota left", state.quota_left);
  if (state.flags & kUrrExhausted) text += ", exhausted";
  if ((words[urr::Flags] & (urr::kVolume | urr::kDuration)) == urr::kDuration) {
    text += "; it measures time only";
  }
  return text;
}

}  // namespace trace_words
}  // namespace sluice
