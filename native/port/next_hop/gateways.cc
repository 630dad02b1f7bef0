#include "port/next_hop/gateways.h"

#include <net/ethernet.h>

#include <algorithm>
#include <cstring>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/ipv6.h"

namespace sluice {
namespace {

using namespace wire;

constexpr Nanoseconds kSecond = 1'000'000'000;
constexpr Nanoseconds kAskEvery = kSecond;
constexpr Nanoseconds kConfirmAfter = 20 * kSecond;
constexpr Nanoseconds kForgetAfter = 30 * kSecond;

constexpr unsigned kLinkBytes = ETH_HLEN;
constexpr unsigned kArpBytes = 28;
constexpr std::uint16_t kArpRequest = 1, kArpReply = 2;
constexpr unsigned kNd = kLinkBytes + kIpv6Bytes;  // where ICMPv6 begins
constexpr unsigned kNdBytes = 24;                  // of a solicitation or advertisement
constexpr unsigned kOptionBytes = 8;
constexpr std::uint8_t kIcmpv6 = 58, kHopLimit = 255;
constexpr std::uint8_t kRouterSolicitation = 133, kRedirect = 137;
constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
constexpr std::uint8_t kSourceLink = 1, kTargetLink = 2;
constexpr std::uint8_t kIsRouter = 0x80, kSolicited = 0x40, kOverride = 0x20;
constexpr HopAddress kAllNodes{0xff02'0000'0000'0000, 1};

static_assert(kNd + kNdBytes + kOptionBytes == Gateways::kFrameBytesMax);

/// One host's, and not nobody's.
bool is_one_host(const std::byte* link) noexcept {
  constexpr std::byte kNobody[ETH_ALEN]{};
  return (load8(link) & 1) == 0 && std::memcmp(link, kNobody, ETH_ALEN) != 0;
}
bool is_multicast(const HopAddress& address) noexcept { return address.high >> 56 == 0xff; }
/// RFC 4291 2.7.1.
HopAddress solicited_node(const HopAddress& of) noexcept {
  return {0xff02'0000'0000'0000, std::uint64_t{0x1'ff00'0000} | (of.low & 0xff'ffff)};
}
HopAddress v6(const std::byte* bytes) noexcept { return HopAddress::of(bytes, true); }
HopAddress v4(const std::byte* bytes) noexcept { return HopAddress::of(bytes, false); }
void store_v6(std::byte* bytes, const HopAddress& address) noexcept {
  store64(bytes, address.high);
  store64(bytes + 8, address.low);
}

void write_link_header(std::byte* frame, const std::byte* to, const LinkAddress& from,
                       unsigned type) noexcept {
  std::memmove(frame, to, ETH_ALEN);
  std::memcpy(frame + ETH_ALEN, from.data(), ETH_ALEN);
  store16(frame + 2 * ETH_ALEN, static_cast<std::uint16_t>(type));
}

/// An ICMPv6 message's head with one link address option; the link header is the caller's.
struct NdFields {
  HopAddress source, destination, target;
  std::uint8_t type, flags, option;
};
void write_nd(std::byte* frame, const NdFields& fields, const LinkAddress& own) noexcept {
  std::byte source[16], destination[16];
  store_v6(source, fields.source);
  store_v6(destination, fields.destination);
  constexpr std::uint16_t kBytes = kNdBytes + kOptionBytes;
  write_ipv6(frame + kLinkBytes, {.source = source,
                                  .destination = destination,
                                  .payload_length = kBytes,
                                  .next_header = kIcmpv6,
                                  .hop_limit = kHopLimit});
  std::byte* const icmp = frame + kNd;
  std::memset(icmp, 0, kBytes);
  store8(icmp, fields.type);
  store8(icmp + 4, fields.flags);
  store_v6(icmp + 8, fields.target);
  store8(icmp + kNdBytes, fields.option);
  store8(icmp + kNdBytes + 1, 1);  // in units of 8 octets
  std::memcpy(icmp + kNdBytes + 2, own.data(), ETH_ALEN);
  store16(icmp + 2, fold(checksum_partial(icmp, kBytes,
                                          pseudo_header_v6(source, destination, kIcmpv6, kBytes))));
}

}  // namespace

struct Gateways::Message {
  HopAddress source, destination, target;
  const std::byte* link = nullptr;  ///< of the option that goes with the type; nullptr: none
  std::uint8_t flags = 0;
};

Gateways::Gateways(const LinkAddress& own, const std::vector<HopAddress>& addresses,
                   const std::vector<HopAddress>& gateways)
    : own_(own), addresses_(addresses) {
  // RFC 4291, appendix A: the link address around ff:fe, with its universal bit turned over.
  std::byte bytes[16]{};
  store16(bytes, 0xfe80);
  std::memcpy(bytes + 8, own.data(), 3);
  store16(bytes + 11, 0xfffe);
  std::memcpy(bytes + 13, own.data() + 3, 3);
  bytes[8] ^= std::byte{2};
  link_local_ = v6(bytes);
  addresses_.push_back(link_local_);
  for (const HopAddress& address : gateways) {
    Gateway& gateway = gateways_[address.is_v4() ? 0 : 1];
    gateway.address = address;
    gateway.is_there = true;
  }
}

bool Gateways::is_own(const HopAddress& address) const noexcept {
  return std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end();
}
bool Gateways::is_own_link(const std::byte* link) const noexcept {
  return std::memcmp(link, own_.data(), ETH_ALEN) == 0;
}

void Gateways::learn(const HopAddress& address, const std::byte* link, bool replaces,
                     Nanoseconds now) noexcept {
  Gateway& gateway = gateways_[address.is_v4() ? 0 : 1];
  if (!gateway.is_there || gateway.address != address) return;
  const std::uint64_t known = gateway.link.load(std::memory_order_relaxed);
  std::uint64_t said = known;
  if (link != nullptr) said = std::uint64_t{load16(link)} << 32 | load32(link + 2);
  if (said == kUnknown || (known != kUnknown && known != said && !replaces)) return;
  // Relaxed: pairs with find() and ask(); neither needs anything else to be seen with it.
  gateway.link.store(said, std::memory_order_relaxed);
  gateway.heard.store(now, std::memory_order_relaxed);
}

LinkHeard Gateways::hear(std::byte* frame, std::uint16_t& bytes, Nanoseconds now) noexcept {
  if (!concerns(frame, bytes)) return LinkHeard::Other;
  if (load16(frame + 2 * ETH_ALEN) == ETH_P_ARP) return hear_arp(frame, bytes, now);
  if (bytes < kNd + 4) return LinkHeard::Malformed;
  const std::uint8_t kind = load8(frame + kNd);
  if (kind < kRouterSolicitation || kind > kRedirect) return LinkHeard::Other;
  return hear_nd(frame, bytes, now);
}

LinkHeard Gateways::hear_arp(std::byte* frame, std::uint16_t& bytes, Nanoseconds now) noexcept {
  std::byte* const arp = frame + kLinkBytes;
  if (bytes < kLinkBytes + kArpBytes || load32(arp) != 0x0001'0800 || load16(arp + 4) != 0x0604) {
    return LinkHeard::Malformed;
  }
  const unsigned operation = load16(arp + 6);
  if (operation != kArpRequest && operation != kArpReply) return LinkHeard::Malformed;
  std::byte* const sender_link = arp + 8;
  std::byte* const sender = arp + 14;
  std::byte* const target = arp + 24;
  if (!is_one_host(sender_link) || std::memcmp(sender_link, frame + ETH_ALEN, ETH_ALEN) != 0) {
    return LinkHeard::FalseSender;
  }
  if (is_own(v4(sender)) && !is_own_link(sender_link)) return LinkHeard::AddressInUse;
  learn(v4(sender), sender_link, true, now);
  if (operation != kArpRequest || !is_own(v4(target))) return LinkHeard::Taken;
  store16(arp + 6, kArpReply);
  std::byte asked[4];
  std::memcpy(asked, target, 4);
  std::memcpy(arp + 18, sender_link, ETH_ALEN + 4);  // the sender is the target now
  std::memcpy(sender_link, own_.data(), ETH_ALEN);
  std::memcpy(sender, asked, 4);
  write_link_header(frame, arp + 18, own_, ETH_P_ARP);
  bytes = kLinkBytes + kArpBytes;
  return LinkHeard::Answer;
}

LinkHeard Gateways::hear_nd(std::byte* frame, std::uint16_t& bytes, Nanoseconds now) noexcept {
  const std::byte* const ip = frame + kLinkBytes;
  const std::byte* const icmp = frame + kNd;
  const std::uint8_t kind = load8(icmp);
  if (kind != kSolicitation && kind != kAdvertisement) return LinkHeard::Taken;
  const unsigned length = load16(ip + 4);
  if (length < kNdBytes || length > bytes - kNd || load8(ip) >> 4 != 6 || load8(icmp + 1) != 0) {
    return LinkHeard::Malformed;
  }
  const std::uint32_t pseudo = pseudo_header_v6(ip + 8, ip + 24, kIcmpv6, length);
  if (fold(checksum_partial(icmp, length, pseudo)) != 0) return LinkHeard::WrongChecksum;
  Message message{v6(ip + 8), v6(ip + 24), v6(icmp + 8), nullptr, load8(icmp + 4)};
  if (is_multicast(message.source) || is_multicast(message.target)) return LinkHeard::Malformed;
  const std::uint8_t wanted = kind == kSolicitation ? kSourceLink : kTargetLink;
  for (unsigned at = kNdBytes; at < length;) {
    if (length - at < kOptionBytes) return LinkHeard::Malformed;
    const unsigned option_bytes = load8(icmp + at + 1) * 8U;
    if (option_bytes == 0 || option_bytes > length - at) return LinkHeard::Malformed;
    if (load8(icmp + at) == wanted) {
      if (option_bytes != kOptionBytes) return LinkHeard::Malformed;
      message.link = icmp + at + 2;
    }
    at += option_bytes;
  }
  if (message.link != nullptr && !is_one_host(message.link)) return LinkHeard::FalseSender;
  if (!is_one_host(frame + ETH_ALEN)) return LinkHeard::FalseSender;
  return kind == kSolicitation ? hear_solicitation(frame, bytes, message, now)
                               : hear_advertisement(message, now);
}

LinkHeard Gateways::hear_solicitation(std::byte* frame, std::uint16_t& bytes,
                                      const Message& message, Nanoseconds now) noexcept {
  const bool is_claim = message.source == HopAddress{};  // whether anybody has the address
  if (is_claim &&
      (message.link != nullptr || message.destination != solicited_node(message.target))) {
    return LinkHeard::Malformed;
  }
  const std::byte* const from = frame + ETH_ALEN;
  if (is_own(message.source) && !is_own_link(from)) return LinkHeard::AddressInUse;
  if (message.link != nullptr) learn(message.source, message.link, true, now);
  if (!is_own(message.target)) return LinkHeard::Taken;
  const NdFields fields{
      message.target,
      is_claim ? kAllNodes : message.source,
      message.target,
      kAdvertisement,
      static_cast<std::uint8_t>(kIsRouter | kOverride | (is_claim ? 0 : kSolicited)),
      kTargetLink};
  constexpr std::byte kAllNodesLink[] = {std::byte{0x33}, std::byte{0x33}, std::byte{0},
                                         std::byte{0},    std::byte{0},    std::byte{1}};
  std::byte to[ETH_ALEN];
  const std::byte* const asker = message.link != nullptr ? message.link : from;
  std::memcpy(to, is_claim ? kAllNodesLink : asker, ETH_ALEN);
  write_link_header(frame, to, own_, ETH_P_IPV6);
  write_nd(frame, fields, own_);
  bytes = kFrameBytesMax;
  return LinkHeard::Answer;
}

LinkHeard Gateways::hear_advertisement(const Message& message, Nanoseconds now) noexcept {
  const bool is_solicited = (message.flags & kSolicited) != 0;
  if (is_solicited && is_multicast(message.destination)) return LinkHeard::Malformed;
  if (is_own(message.target) && message.link != nullptr && !is_own_link(message.link)) {
    return LinkHeard::AddressInUse;
  }
  // Without a link address it says no more than that the known one is still right.
  if (message.link != nullptr || is_solicited) {
    learn(message.target, message.link, (message.flags & kOverride) != 0, now);
  }
  return LinkHeard::Taken;
}

std::uint16_t Gateways::ask(std::byte* frame, Nanoseconds now) noexcept {
  for (Gateway& gateway : gateways_) {
    if (!gateway.is_there) continue;
    // Relaxed: pairs with learn(); a question too many does no harm.
    const bool is_known = gateway.link.load(std::memory_order_relaxed) != kUnknown;
    const Nanoseconds heard = gateway.heard.load(std::memory_order_relaxed);
    if (is_known && now - heard < kConfirmAfter) continue;
    if (is_known && now - heard >= kForgetAfter) {
      gateway.link.store(kUnknown, std::memory_order_relaxed);
    }
    if (gateway.asked != 0 && now - gateway.asked < kAskEvery) continue;
    gateway.asked = now;
    return gateway.address.is_v4() ? write_request(frame, gateway)
                                   : write_solicitation(frame, gateway);
  }
  return 0;
}

std::uint16_t Gateways::write_request(std::byte* frame, const Gateway& gateway) const noexcept {
  std::byte to[ETH_ALEN];
  std::memset(to, 0xff, sizeof to);
  LinkAddress known;
  if (find(true, known)) std::memcpy(to, known.data(), sizeof to);
  write_link_header(frame, to, own_, ETH_P_ARP);
  std::byte* const arp = frame + kLinkBytes;
  std::memset(arp, 0, kArpBytes);
  store32(arp, 0x0001'0800);
  store16(arp + 4, 0x0604);
  store16(arp + 6, kArpRequest);
  std::memcpy(arp + 8, own_.data(), ETH_ALEN);
  const auto own = std::find_if(addresses_.begin(), addresses_.end(),
                                [](const HopAddress& a) { return a.is_v4(); });
  if (own != addresses_.end()) store32(arp + 14, static_cast<std::uint32_t>(own->low));
  store32(arp + 24, static_cast<std::uint32_t>(gateway.address.low));
  return kLinkBytes + kArpBytes;
}

std::uint16_t Gateways::write_solicitation(std::byte* frame,
                                           const Gateway& gateway) const noexcept {
  const HopAddress& target = gateway.address;
  HopAddress destination = solicited_node(target);
  std::byte to[ETH_ALEN];
  store16(to, 0x3333);  // RFC 2464, section 7
  store32(to + 2, static_cast<std::uint32_t>(destination.low));
  LinkAddress known;
  if (find(false, known)) {
    std::memcpy(to, known.data(), sizeof to);
    destination = target;
  }
  // The answer goes to where the question came from: of the same scope, so that both can.
  const auto own = std::find_if(addresses_.begin(), addresses_.end(),
                                [](const HopAddress& a) { return !a.is_v4(); });
  const bool is_local = target.high >> 54 == 0xfe80 >> 6;
  write_link_header(frame, to, own_, ETH_P_IPV6);
  write_nd(frame,
           {is_local ? link_local_ : *own, destination, target, kSolicitation, 0, kSourceLink},
           own_);
  return kFrameBytesMax;
}

}  // namespace sluice
