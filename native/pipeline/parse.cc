// parse: headers checked, the key taken (TEID, or UE address), the operand for the
// filters built, and the lines that lookup needs put on their way.
#include <algorithm>
#include <array>
#include <cstring>

#include "pipeline/pipeline.h"
#include "wire/checksum.h"
#include "wire/gtpu.h"
#include "wire/inner.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sluice {
namespace {

inline std::uint64_t halves(std::uint32_t remote, std::uint32_t local) noexcept {
  // Lanes are 16-bit: high half first, so a rotation by 16 puts them in order.
  const auto rotate = [](std::uint32_t v) { return v << 16 | v >> 16; };
  return rotate(remote) | std::uint64_t{rotate(local)} << 32;
}

inline void set_operand(Operand& operand, std::uint64_t addresses, unsigned protocol,
                        unsigned remote_port, unsigned local_port, unsigned qfi) noexcept {
  const std::uint64_t rest = protocol | std::uint64_t{remote_port} << 16 |
                             std::uint64_t{local_port} << 32 | std::uint64_t{qfi} << 48;
  std::memcpy(operand.lanes, &addresses, 8);
  std::memcpy(operand.lanes + 4, &rest, 8);
}

/// The lanes of the operand out of bytes 8 to 23 of an IPv4 header without options and what
/// follows it, ports included.
template <bool kUplink>
[[gnu::always_inline]] inline void operand_of(const std::byte* inner, unsigned qfi,
                                              Operand& out) noexcept {
#if defined(__SSSE3__)
  // Source is at 12 - 8, destination at 16 - 8, the ports behind; each lane low byte first.
  constexpr char z = -128;
  const __m128i order = kUplink
                            ? _mm_setr_epi8(9, 8, 11, 10, 5, 4, 7, 6, 1, z, 15, 14, 13, 12, z, z)
                            : _mm_setr_epi8(5, 4, 7, 6, 9, 8, 11, 10, 1, z, 13, 12, 15, 14, z, z);
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(inner + 8));
  const __m128i lanes =
      _mm_insert_epi16(_mm_shuffle_epi8(bytes, order), static_cast<int>(qfi), kQfi);
  _mm_store_si128(reinterpret_cast<__m128i*>(out.lanes), lanes);
#else
  const std::uint32_t source = wire::load32(inner + 12), destination = wire::load32(inner + 16);
  const unsigned from = wire::load16(inner + 20), to = wire::load16(inner + 22);
  set_operand(out, kUplink ? halves(destination, source) : halves(source, destination),
              wire::load8(inner + 9), kUplink ? to : from, kUplink ? from : to, qfi);
#endif
}

/// By protocol: whether ports follow the header.
constexpr auto kHasPorts = [] {
  std::array<bool, 256> has{};
  for (unsigned p = 0; p < has.size(); ++p) {
    has[p] = wire::protocol_has_ports(static_cast<std::uint8_t>(p));
  }
  return has;
}();

/// Of an IPv4 packet without options, not a fragment: what later stages want to know.
template <bool kUplink>
[[gnu::always_inline]] inline void take_plain_inner(Burst& burst, unsigned i,
                                                    const std::byte* inner, unsigned total,
                                                    unsigned flags, unsigned qfi) noexcept {
  Operand& operand = burst.operand[i];
  operand_of<kUplink>(inner, qfi, operand);
  if (__builtin_expect(!kHasPorts[wire::load8(inner + 9)], 0)) {
    flags |= kInnerNoPorts;
    operand.lanes[kRemotePort] = operand.lanes[kLocalPort] = 0;
  }
  burst.flags[i] = static_cast<std::uint8_t>(flags);
  burst.inner_length[i] = static_cast<std::uint16_t>(total);
}

/// The common UE packet: IPv4 without options, not a fragment. False: look closer.
template <bool kUplink>
[[gnu::always_inline]] inline bool set_plain_inner(Burst& burst, unsigned i, const std::byte* inner,
                                                   unsigned n, unsigned flags,
                                                   unsigned qfi) noexcept {
  if (__builtin_expect(n < 24, 0)) return false;
  const unsigned total = wire::load16(inner + 2);
  const unsigned odd = (wire::load8(inner) ^ 0x45u) | (wire::load16(inner + 6) & 0x3fffu) |
                       (wire::load8(inner + 8) == 0 ? 1u : 0u);  // TTL
  if (__builtin_expect((odd != 0) | (total - 24 > n - 24), 0)) return false;
  take_plain_inner<kUplink>(burst, i, inner, total, flags, qfi);
  return true;
}

/// Of an IPv6 packet without extension headers. Of the addresses the first words are there, for the
/// spreading of flows and the sieve.
template <bool kUplink>
[[gnu::always_inline]] inline void set_operand6(Operand& operand, const std::byte* inner,
                                                unsigned qfi) noexcept {
#if defined(__SSE4_1__)
  // Source, destination, ports, protocol; each lane low byte first.
  constexpr char z = -128;
  const __m128i order = kUplink ? _mm_setr_epi8(5, 4, 7, 6, 1, 0, 3, 2, 12, z, 11, 10, 9, 8, z, z)
                                : _mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 12, z, 9, 8, 11, 10, z, z);
  const auto word = [inner](unsigned at) {
    return static_cast<int>(wire::detail::load_raw<std::uint32_t>(inner + at));
  };
  const __m128i words = _mm_insert_epi32(
      _mm_insert_epi32(_mm_insert_epi32(_mm_cvtsi32_si128(word(8)), word(24), 1), word(40), 2),
      static_cast<int>(wire::load8(inner + 6)), 3);
  const __m128i lanes =
      _mm_insert_epi16(_mm_shuffle_epi8(words, order), static_cast<int>(qfi), kQfi);
  _mm_store_si128(reinterpret_cast<__m128i*>(operand.lanes), lanes);
#else
  const std::uint32_t source = wire::load32(inner + 8), destination = wire::load32(inner + 24);
  const unsigned from = wire::load16(inner + 40), to = wire::load16(inner + 42);
  set_operand(operand, kUplink ? halves(destination, source) : halves(source, destination),
              wire::load8(inner + 6), kUplink ? to : from, kUplink ? from : to, qfi);
#endif
}

/// The common UE packet of IPv6: no extension headers, ports behind it. False: look closer.
template <bool kUplink>
[[gnu::always_inline]] inline bool set_plain_inner6(Burst& burst, unsigned i,
                                                    const std::byte* inner, unsigned n,
                                                    unsigned flags, unsigned qfi) noexcept {
  constexpr unsigned kPorts = 4, kLeast = wire::kIpv6Bytes + kPorts;
  if (n < kLeast) return false;
  const unsigned total = wire::kIpv6Bytes + wire::load16(inner + 4);
  if (wire::load8(inner) >> 4 != 6 || total - kLeast > n - kLeast || wire::load8(inner + 7) == 0 ||
      !kHasPorts[wire::load8(inner + 6)]) {
    return false;
  }
  burst.inner_length[i] = static_cast<std::uint16_t>(total);
  burst.flags[i] = static_cast<std::uint8_t>(flags | kInnerV6);
  set_operand6<kUplink>(burst.operand[i], inner, qfi);
  return true;
}

}  // namespace

/// Any packet of the UE: at inner_offset, at most inner_length bytes; the length becomes the IP's.
DropReason Pipeline::set_inner(Burst& burst, unsigned i, bool uplink) noexcept {
  const std::byte* inner = burst.packets[i]->data() + burst.inner_offset[i];
  wire::InnerPacket parsed;
  const DropReason reason = wire::parse_inner(inner, burst.inner_length[i], parsed);
  if (reason != DropReason::None) return reason;
  if (wire::load8(inner + (parsed.version == 6 ? 7 : 8)) == 0) return DropReason::TtlExceeded;
  burst.inner_length[i] = static_cast<std::uint16_t>(parsed.total_length);
  if (parsed.version == 6) burst.flags[i] |= kInnerV6;
  if (!parsed.has_ports) burst.flags[i] |= kInnerNoPorts;
  const auto& remote = uplink ? parsed.destination : parsed.source;
  const auto& local = uplink ? parsed.source : parsed.destination;
  const unsigned source_port = parsed.has_ports ? parsed.source_port : 0;
  const unsigned destination_port = parsed.has_ports ? parsed.destination_port : 0;
  // Of IPv6 addresses the first words are there, for the spreading of flows and the sieve.
  set_operand(burst.operand[i], halves(remote[0], local[0]), parsed.protocol,
              uplink ? destination_port : source_port, uplink ? source_port : destination_port,
              burst.qfi[i]);
  return DropReason::None;
}

void Pipeline::parse_access(Burst& burst) noexcept {
  const AccessHeaders& headers = access_headers_[burst.port];
  const unsigned count = burst.count;
  // What nearly all packets have in common. The flags are those of all when they came in.
  const unsigned flags = count != 0 ? burst.flags[0] | kHasContainer : 0;
  std::fill_n(burst.inner_offset, kBurstMax, std::uint16_t{kPlainOuterBytes});
  std::fill_n(burst.direction, kBurstMax, Direction::Uplink);
  std::memset(burst.local, headers.first_ipv4, sizeof(burst.local));
  for (unsigned i = 0; i < count; ++i) {
    Packet* packet = burst.packets[i];
    const std::byte* p = packet->data();
    const unsigned n = packet->length;
    if (__builtin_expect(
            n >= headers.v4_in_v4_bytes && headers.v4_in_v4.match(p, n) &&
                wire::load8(p + 52) != 0 &&
                ((packet->flags & kPacketOuterChecksumGood) || wire::ipv4_plain_checksum_good(p)),
            1)) {
      const unsigned qfi = wire::load8(p + 42) & 0x3f;
      burst.key[i] = wire::load32(p + 32);
      burst.qfi[i] = static_cast<std::uint8_t>(qfi);
      take_plain_inner<true>(burst, i, p + kPlainOuterBytes, n - kPlainOuterBytes, flags, qfi);
      continue;
    }
    const bool over_v6 = n != 0 && wire::load8(p) >> 4 == 6;
    const unsigned next =
        over_v6 ? parse_common<true>(burst, i, flags) : parse_common<false>(burst, i, flags);
    if (next != i) {
      i = next - 1;
      continue;
    }
    burst.key[i] = 0;
    if (n >= kPlainOuter6Bytes + 8 && headers.outer6.match(p)) {
      burst.verdict[i] = parse_plain_outer6(burst, i);
    } else if (n >= kPlainOuterBytes && headers.outer4.match(p)) {
      burst.verdict[i] = parse_plain_outer(burst, i);
    } else {
      burst.verdict[i] = parse_access_slow(burst, i);
    }
  }
  locate_access(burst);
}

/// Common packets with IPv6 inside, or outside, or both, whose headers and lengths one compare
/// covers: as many as there are in a row. @return the first that wants a closer look.
template <bool kOverV6>
[[gnu::noinline]] unsigned Pipeline::parse_common(Burst& burst, unsigned first,
                                                  unsigned flags) noexcept {
  const AccessHeaders& headers = access_headers_[burst.port];
  constexpr unsigned kOuter = kOverV6 ? kPlainOuter6Bytes : kPlainOuterBytes;
  const unsigned count = burst.count;
  for (unsigned i = first; i < count; ++i) {
    const Packet& packet = *burst.packets[i];
    const std::byte* const p = packet.data();
    const unsigned n = packet.length;
    bool summed = (packet.flags & kPacketOuterChecksumGood) != 0;
    bool with_v6 = true;
    if constexpr (kOverV6) {
      with_v6 = n >= headers.v6_in_v6_bytes && headers.v6_in_v6.match(p, n);
      if (!with_v6 && !(n >= headers.v4_in_v6_bytes && headers.v4_in_v6.match(p, n))) return i;
      if (!headers.first_ipv6.is(p + 24)) return i;
    } else {
      if (n < headers.v6_in_v4_bytes || !headers.v6_in_v4.match(p, n)) return i;
      summed = summed || wire::ipv4_plain_checksum_good(p);
    }
    const std::byte* const inner = p + kOuter;
    const unsigned hops = wire::load8(inner + (with_v6 ? 7 : 8));
    if (!summed || hops == 0 || (with_v6 && !kHasPorts[wire::load8(inner + 6)])) return i;
    const unsigned qfi = wire::load8(inner - 2) & 0x3f;
    burst.key[i] = wire::load32(inner - 12);
    burst.qfi[i] = static_cast<std::uint8_t>(qfi);
    if constexpr (kOverV6) {
      burst.inner_offset[i] = kOuter;
      burst.local[i] = headers.first_ipv6.local;
    }
    if (with_v6) {
      burst.flags[i] = static_cast<std::uint8_t>(flags | kInnerV6);
      burst.inner_length[i] = static_cast<std::uint16_t>(n - kOuter);
      set_operand6<true>(burst.operand[i], inner, qfi);
    } else {
      take_plain_inner<true>(burst, i, inner, n - kOuter, flags, qfi);
    }
  }
  return count;
}

/// A plain outer header with any packet of the UE, to any of the port's addresses.
DropReason Pipeline::parse_plain_outer(Burst& burst, unsigned i) noexcept {
  const Packet* packet = burst.packets[i];
  const std::byte* p = packet->data();
  const unsigned total = wire::load16(p + 2), udp = wire::load16(p + 24);
  const bool summed =
      (packet->flags & kPacketOuterChecksumGood) || wire::ipv4_plain_checksum_good(p);
  const std::uint32_t to = wire::load32(p + 16);
  const unsigned locals = ports_[burst.port].local_mask;
  unsigned local = 0;
  while (local < local_count_ && local_ipv4_[local] != to) ++local;
  if (udp + 20 != total || wire::load16(p + 30) + 16u != udp || total > packet->length || !summed ||
      (locals >> local & 1) == 0) {
    return parse_access_slow(burst, i);
  }
  return take_plain_outer(burst, i, local, kPlainOuterBytes, total - kPlainOuterBytes);
}

/// The same over IPv6, to the port's first address.
DropReason Pipeline::parse_plain_outer6(Burst& burst, unsigned i) noexcept {
  const Packet* packet = burst.packets[i];
  const std::byte* p = packet->data();
  const PipelinePort& port = ports_[burst.port];
  const AccessHeaders::FirstIpv6& first = access_headers_[burst.port].first_ipv6;
  const unsigned bytes = wire::load16(p + 4);
  wire::UdpHeader udp{};
  if (bytes + wire::kIpv6Bytes > packet->length ||
      wire::parse_udp(p + wire::kIpv6Bytes, bytes, udp) != DropReason::None ||
      udp.length != bytes || wire::load16(p + 50) + 16u != bytes ||
      udp.destination_port != port.udp_port || !first.is(p + 24) ||
      !((packet->flags & kPacketOuterChecksumGood) ||
        wire::udp_checksum_good_v6(p + wire::kIpv6Bytes, udp, p + 8, p + 24))) {
    return parse_access_slow(burst, i);
  }
  return take_plain_outer(burst, i, first.local, kPlainOuter6Bytes,
                          bytes + wire::kIpv6Bytes - kPlainOuter6Bytes);
}

/// TEID and QFI of a plain outer header, and what is behind it.
[[gnu::always_inline]] inline DropReason Pipeline::take_plain_outer(Burst& burst, unsigned i,
                                                                    unsigned local, unsigned bytes,
                                                                    unsigned room) noexcept {
  const std::byte* const inner = burst.packets[i]->data() + bytes;
  const unsigned qfi = wire::load8(inner - 2) & 0x3f;
  burst.key[i] = wire::load32(inner - 12);
  burst.qfi[i] = static_cast<std::uint8_t>(qfi);
  burst.local[i] = static_cast<std::uint8_t>(local);
  burst.inner_offset[i] = static_cast<std::uint16_t>(bytes);
  burst.flags[i] |= kHasContainer;
  if (set_plain_inner<true>(burst, i, inner, room, burst.flags[i], qfi)) return DropReason::None;
  if (set_plain_inner6<true>(burst, i, inner, room, burst.flags[i], qfi)) return DropReason::None;
  burst.inner_length[i] = static_cast<std::uint16_t>(room);
  return set_inner(burst, i, true);
}

/// The sessions that the TEIDs name, and their lines put on their way. A dead packet's means
/// nothing.
void Pipeline::locate_access(Burst& burst) noexcept {
  Flow* const uplink = uplink_;
  const unsigned count = burst.count;
  // All packets of a burst were resolved by another worker, or none.
  if (__builtin_expect(count != 0 && (burst.flags[0] & kResolved) != 0, 0)) {
    for (unsigned i = 0; i < count; ++i) {
      const bool alive = burst.verdict[i] == DropReason::None;
      burst.session[i] = alive ? burst.packets[i]->session : kNoSession;
    }
  } else {
    sessions_.scheme().candidates(burst.key, burst.session, count);
  }
  for (unsigned i = 0; i < count; ++i) {
    const SessionIndex session = burst.session[i];
    if (__builtin_expect(session == kNoSession, 0)) continue;
    fetch_far_pair(uplink + session);
  }
}

/// Anything else, header by header.
DropReason Pipeline::parse_access_slow(Burst& burst, unsigned i) noexcept {
  if (const auto reason = parse_outer_slow(burst, i); reason != DropReason::None) return reason;
  return set_inner(burst, i, true);
}

/// Common packets of IPv6: as many as there are in a row. @return the first that wants a closer
/// look.
[[gnu::noinline]] unsigned Pipeline::parse_core6(Burst& burst, unsigned first) noexcept {
  const WideTable& ipv6 = sessions_.ipv6();
  const unsigned count = burst.count;
  for (unsigned i = first; i < count; ++i) {
    const Packet* const packet = burst.packets[i];
    const std::byte* const p = packet->data();
    const unsigned flags = burst.flags[i];
    if (!set_plain_inner6<false>(burst, i, p, packet->length, flags, kNoQfi)) return i;
    if (__builtin_expect((flags & kResolved) != 0, 0)) burst.session[i] = packet->session;
    burst.prefix[i] = wire::load64(p + 24);
    burst.line[i] = ipv6.fetch(burst.prefix[i]);
  }
  return count;
}

void Pipeline::parse_core(Burst& burst) noexcept {
  // No copy of it: what the control thread counts in it changes at any time.
  const Ipv4Table& ipv4 = sessions_.ipv4();
  const unsigned count = burst.count;
  std::fill_n(burst.direction, kBurstMax, Direction::Downlink);
  // Opaque, for stores in place: of a known zero the compiler makes a string instruction.
  std::uint16_t none = 0;
  asm("" : "+r"(none));
  std::fill_n(burst.inner_offset, kBurstMax, none);
  std::memset(burst.qfi, kNoQfi, sizeof(burst.qfi));
  for (unsigned i = 0; i < count; ++i) {
    Packet* packet = burst.packets[i];
    const std::byte* p = packet->data();
    const unsigned n = packet->length, flags = burst.flags[i];
    if (__builtin_expect((flags & kResolved) != 0, 0)) burst.session[i] = packet->session;
    if (__builtin_expect(!set_plain_inner<false>(burst, i, p, n, flags, kNoQfi), 0)) {
      if (const unsigned next = parse_core6(burst, i); next != i) {
        i = next - 1;
        continue;
      }
      burst.inner_length[i] = static_cast<std::uint16_t>(n);
      const DropReason reason = set_inner(burst, i, false);
      burst.verdict[i] = reason == DropReason::EmptyPayload ? DropReason::TruncatedPacket : reason;
      if (reason != DropReason::None) {
        burst.session[i] = kNoSession;
        continue;
      }
      if (burst.flags[i] & kInnerV6) {
        burst.prefix[i] = wire::load64(p + 24);
        burst.line[i] = sessions_.ipv6().fetch(burst.prefix[i]);
        continue;
      }
    }
    burst.key[i] = wire::load32(p + 16);
    burst.line[i] = ipv4.fetch(burst.key[i]);
  }
}

}  // namespace sluice
