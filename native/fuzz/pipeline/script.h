// Targets that drive stages or a whole packet path; everything on the one thread of the target.
// Here: scripts of packets of all kinds, changes of sessions and pauses, each chosen by bytes of
// the input. Start at operate().
#pragma once
#include <array>

#include "fuzz/expect.h"
#include "fuzz/fuzz_path.h"
#include "wire/fragment.h"
#include "wire/gtpu.h"
#include "wire/ipv6.h"
#include "wire/udp.h"

namespace sluice::fuzz {

inline constexpr unsigned kSessionsUsed = 4, kVariants = 8, kBurst = 64;
inline constexpr unsigned kRoom = kPacketBytesMax - 100;
inline constexpr std::uint32_t kNet = 0xc0a83200;  // 192.168.50.0/24, behind the first UE
inline constexpr std::uint32_t kAddresses[] = {kUe,        kUe + 1, kUe + 2,    kUe + 3,
                                               kNet + 9,   kN3,     0xcb007109, 0xcb00710a,
                                               0xe0000001, 0,       0xffffffff, 0x0a3c0001};
inline constexpr std::uint64_t kPrefixes[] = {kUePrefix, kUePrefix + 1, 0x20010db800000000,
                                              0xfe80000000000000};
inline constexpr std::uint8_t kProtocols[] = {17, 6, 1, 58, 50, 0, 44, 132};
inline constexpr std::uint8_t kMessages[] = {1, 2, 26, 31, 254, 255};

/// Bytes of the input, zeros behind its end.
struct Script {
  const std::uint8_t* data;
  std::size_t left;
  std::uint8_t byte() {
    if (left == 0) return 0;
    --left;
    return *data++;
  }
  std::uint16_t word() {
    const unsigned high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  template <class T, std::size_t N>
  T one_of(const T (&list)[N]) {
    return list[byte() % N];
  }
};

/// Whether rules of some variants refer to the protection, which is there then.
inline bool protects = false;

/// What leaves sealed comes back, or is wanted to have come so.
inline void refer_to_protection(SessionSpec& s, unsigned session, unsigned variant) {
  if (session == 1 && variant == 4) s.pdrs[0].protection = kProtection;
  if (session < 2 || variant % 2 != 0) return;
  s.fars[0].protection = kProtection;
  if (session != 3) return;
  s.fars[0].ipv4 = kN3;
  s.fars[0].teid = kTeid + 1;
}

/// One of the sessions, by what its downlink FAR does. The last session joins two tunnels.
inline SessionSpec spec_of(unsigned session, unsigned variant) {
  SessionSpec s = rich_session();
  s.ue_ipv4 = kUe + session;
  s.ue_prefix = kUePrefix + session;
  for (PdrSpec& pdr : s.pdrs) {
    if (pdr.teid != 0) pdr.teid = kTeid + session;
    pdr.ue = record::pdr::kPdrUeIpv4 | record::pdr::kPdrUeIpv6;
    if (session == 0) pdr.routes = {{{kNet, 0, 0, 0}, 24, false, 0}};
    if (variant == 6) pdr.removal = 2;
  }
  s.urrs[0].duration = s.urrs[0].report_start = s.urrs[0].report_stop = true;
  s.urrs[0].period_ms = 300;
  s.urrs[0].inactivity_ms = 100;
  if (variant == 5) s.urrs[0].quota[0] = 20'000;
  FarSpec& down = s.fars[1];
  if (session == 3) s.fars[0] = down, s.fars[0].id = 1, s.fars[0].teid = 0x33;
  down.teid = 0x70 + session;
  s.bars = {{.id = 1, .delay_ms = 20, .packet_limit = 8}};
  if (variant == 1 || variant == 7) {
    FarSpec& held = variant == 7 ? s.fars[0] : down;
    const unsigned id = held.id;
    held = FarSpec{};
    held.id = id;
    held.action = record::far::kBuffer;
    held.notify = true;
    held.bar = 1;
  } else if (variant == 2) {
    FarSpec copy = down, core;
    copy.teid = 0x99;
    down.duplicates = {copy, core};
  } else if (variant == 3) {
    down.action = record::far::kDrop;
  } else if (variant == 4) {
    down.teid += 0x100;
    down.ipv4 = kGnb + 1;
  }
  if (protects) refer_to_protection(s, session, variant);
  return s;
}

inline void change(OperationKind kind, unsigned session, unsigned variant,
                   std::uint32_t flags = 0) {
  // Records stay where they are as long as a session may use them.
  static std::array<std::array<std::vector<std::uint32_t>, kVariants>, kSessionsUsed> records;
  auto& record = records[session][variant];
  if (record.empty()) record = RecordBuilder().build(spec_of(session, variant));
  std::uint32_t ticket = 0;
  const auto error = datapath().sessions().prepare(kind, kSession + session, record.data(),
                                                   record.size() * 4, flags, 0, ticket);
  // A session that is there or not, as the script has it.
  if (error.status != PrepareStatus::Ok) return;
  datapath().apply(&ticket, 1);
}

inline PoolCache& cache() { return datapath().pool().cache(datapath().pool().caches() - 1); }

/// Puts packets in, takes out what comes, and looks into the books.
class Bench {
 public:
  virtual ~Bench() = default;
  Nanoseconds now = kStart;
  unsigned waiting = 0;                          ///< injected since the last step
  std::array<std::vector<std::byte>, 4> sealed;  ///< the last ones that left
  unsigned next_sealed = 0;

  void collect() {
    Packet* packet;
    for (const auto& port : datapath().ports()) {
      while (static_cast<MemoryPort&>(*port).collect(0, &packet, 1) == 1) {
        expect(packet->length != 0 && packet->offset + packet->length <= kChunkBytes);
        if (is_esp(*packet))
          sealed[next_sealed++ % sealed.size()].assign(packet->data(),
                                                       packet->data() + packet->length);
        collected(port->index(), *packet);
        cache().free(&packet, 1);
      }
    }
    take_events();
  }
  void check_books() const {
    const auto s = datapath().statistics();
    std::uint64_t in = s.created, out = s.held;
    for (const auto& port : s.ports) {
      in += port.counters.rx_packets;
      out += port.counters.tx_packets;
    }
    for (const std::uint64_t n : s.dropped) out += n;
    expect(in == out);
  }
  void step() {
    datapath().run_at(now);
    waiting = 0;
    collect();
    check_books();
  }
  virtual void inject(unsigned port, const std::byte* bytes, std::size_t n, std::uint8_t flags) {
    Packet* packet;
    if (cache().allocate(&packet, 1) == 0) return step();
    packet->offset = port == 0 ? kAccessDataOffset : kCoreDataOffset;
    packet->port = static_cast<std::uint8_t>(port);
    packet->flags = flags;
    packet->length = static_cast<std::uint16_t>(n);
    if (n != 0) std::memcpy(packet->data(), bytes, n);
    expect(static_cast<MemoryPort&>(*datapath().ports()[port]).inject(0, &packet, 1) == 1);
    if (++waiting == kBurst) step();
  }

 protected:
  virtual void collected(unsigned, const Packet&) {}

 private:
  static bool is_esp(const Packet& packet) noexcept {
    return packet.length > 28 && wire::load8(packet.data()) == 0x45 &&
           wire::load8(packet.data() + 9) == kProtocolEsp;
  }
};

/// An IP packet of the script's choosing, and then any of its bytes changed.
inline std::size_t write_inner(std::byte* p, Script& in) {
  const std::uint8_t kind = in.byte();
  const std::size_t header = kind & 1 ? wire::kIpv6Bytes : wire::kIpv4Bytes;
  const std::size_t n = std::min<std::size_t>(header + in.word() % 2048, kRoom);
  const std::uint8_t protocol = in.one_of(kProtocols);
  std::memset(p, 0, n);
  if (kind & 1) {
    std::byte from[16] = {}, to[16] = {};
    wire::store64(from, in.one_of(kPrefixes));
    wire::store64(to, in.one_of(kPrefixes));
    from[15] = to[15] = std::byte{1};
    wire::write_ipv6(p, {.source = from,
                         .destination = to,
                         .payload_length = static_cast<std::uint16_t>(n - header),
                         .next_header = protocol});
  } else {
    wire::write_ipv4(p, {.source = in.one_of(kAddresses),
                         .destination = in.one_of(kAddresses),
                         .total_length = static_cast<std::uint16_t>(n),
                         .protocol = protocol,
                         .ttl = static_cast<std::uint8_t>(kind & 2 ? 64 : kind >> 6),
                         .dont_fragment = (kind & 4) != 0});
  }
  for (unsigned changes = in.byte() % 32; changes > 0 && n != 0; --changes) {
    const unsigned at = in.byte();
    p[at % n] = std::byte{in.byte()};
  }
  return n;
}

inline constexpr std::size_t kTunnelBytes = 44;

/// The outer headers of a G-PDU of `n` bytes.
inline void write_outer(std::byte* p, std::size_t n, std::uint32_t teid, std::uint8_t message) {
  wire::write_ipv4(p, {.source = kGnb,
                       .destination = kN3,
                       .total_length = static_cast<std::uint16_t>(n + kTunnelBytes)});
  wire::write_udp(p + 20, 2152, 2152, static_cast<std::uint16_t>(n + 24));
  const wire::PscFields psc{.type = wire::kPscUplink, .qfi = 9};
  wire::write_gpdu(p + 28, Teid{teid}, static_cast<std::uint16_t>(n), &psc);
  wire::store8(p + 29, message);
}

/// Its pieces in the order that the script has, some twice, some not at all.
inline void inject_pieces(Bench& bench, const std::byte* whole, std::size_t n, Script& in) {
  const unsigned step = in.byte() % 128 * 8u + 8, payload = static_cast<unsigned>(n) - 20;
  const std::uint16_t identification = in.byte() & 3;
  for (unsigned count = in.byte() % 24; count > 0; --count) {
    const unsigned at = in.byte() % ((payload + step - 1) / step) * step;
    const unsigned bytes = std::min(step, payload - at);
    std::byte piece[kPacketBytesMax];
    std::memcpy(piece, whole, 20);
    std::memcpy(piece + 20, whole + 20 + at, bytes);
    wire::store16(piece + 4, identification);
    wire::finish_fragment(piece, 20 + bytes, at, at + bytes < payload);
    bench.inject(0, piece, 20 + bytes, 0);
  }
}

inline void from_access(Bench& bench, Script& in) {
  const std::uint8_t how = in.byte();
  std::byte bytes[kPacketBytesMax + kTunnelBytes];
  const std::size_t n = std::min<std::size_t>(write_inner(bytes + kTunnelBytes, in), kRoom - 60);
  write_outer(bytes, n, kTeid + how % 5, wire::kGtpuGpdu);
  if (how & 0x80) {
    inject_pieces(bench, bytes, n + kTunnelBytes, in);
  } else {
    for (unsigned i = how >> 5 & 3; i < 4; ++i) {
      bench.inject(0, bytes, n + kTunnelBytes, kPacketOuterChecksumGood);
    }
  }
}

inline void from_core(Bench& bench, Script& in) {
  std::byte bytes[kPacketBytesMax];
  const unsigned copies = in.byte() % 4 + 1;
  const std::size_t n = write_inner(bytes, in);
  for (unsigned i = 0; i < copies; ++i) bench.inject(1, bytes, n, 0);
}

/// A GTP-U message of any kind, with contents of the script.
inline void message(Bench& bench, Script& in) {
  std::byte bytes[kTunnelBytes + 64] = {};
  const std::uint8_t type = in.one_of(kMessages), which = in.byte();
  std::size_t n = in.byte() % 64;
  if (type == wire::kGtpuErrorIndication && (which & 0x80)) {
    std::byte peer[4];
    wire::store32(peer, kGnb);
    wire::write_gpdu(bytes + 28, Teid{0}, 24, nullptr);
    n = wire::write_error_indication(bytes + 28, 1, Teid{0x70u + which % 4}, peer, 4);
    wire::write_ipv4(
        bytes,
        {.source = kGnb, .destination = kN3, .total_length = static_cast<std::uint16_t>(n + 28)});
    wire::write_udp(bytes + 20, 2152, 2152, static_cast<std::uint16_t>(n + 8));
    return bench.inject(0, bytes, n + 28, 0);
  }
  for (std::size_t i = 0; i < n; ++i) bytes[kTunnelBytes + i] = std::byte{in.byte()};
  write_outer(bytes, n, kTeid + which % 5, type);
  if (which & 0x40) wire::store8(bytes + 39, in.byte());  // type of the extension
  bench.inject(0, bytes, n + kTunnelBytes, 0);
}

/// Sealed packets come back: as they left, or with octets changed, or cut short.
inline void return_sealed(Bench& bench, Script& in) {
  const std::uint8_t how = in.byte();
  std::vector<std::byte> bytes = bench.sealed[how % bench.sealed.size()];
  if (bytes.empty()) return;
  if (how & 0x10) bytes[20 + in.word() % (bytes.size() - 20)] ^= std::byte{in.byte()};
  if (how & 0x20) bytes.resize(20 + in.word() % (bytes.size() - 20));
  bench.inject(how >> 7, bytes.data(), bytes.size(), kPacketOuterChecksumGood);
}

inline void raw(Bench& bench, Script& in) {
  const std::uint8_t how = in.byte();
  if (protects && (how & 0xc0) == 0xc0) return return_sealed(bench, in);
  const std::size_t n = std::min<std::size_t>({in.word(), in.left, kRoom});
  bench.inject(how & 1, reinterpret_cast<const std::byte*>(in.data), n,
               how & 2 ? kPacketOuterChecksumGood : 0);
  in.data += n;
  in.left -= n;
}

inline void change(Script& in) {
  const std::uint8_t what = in.byte(), how = in.byte();
  constexpr OperationKind kKinds[] = {OperationKind::Create, OperationKind::Update,
                                      OperationKind::Update, OperationKind::Delete};
  change(kKinds[what >> 2 & 3], what & 3, how & 7, how >> 3 & 3);
}

/// Operations of every script.
inline constexpr unsigned kOperations = 8;

inline void operate(Bench& bench, Script& in, unsigned operation) {
  switch (operation) {
    case 0:
    case 1:
      return from_access(bench, in);
    case 2:
    case 3:
      return from_core(bench, in);
    case 4:
      return message(bench, in);
    case 5:
      return raw(bench, in);
    case 6:
      return change(in);
    default:
      bench.now += in.byte() * Nanoseconds{1'000'000};
      bench.step();
  }
}

/// Ends what a script has begun: when all is over nothing is held and the pool is full again.
inline void clear_away(Bench& bench, std::uint32_t all) {
  for (unsigned s = 0; s < kSessionsUsed; ++s) change(OperationKind::Delete, s, 0);
  bench.now += 2 * kExpiry;
  bench.step();
  bench.step();
  expect(datapath().sessions().live() == 0 && datapath().statistics().held == 0);
  expect(datapath().pool().available() == all);
}

}  // namespace sluice::fuzz
