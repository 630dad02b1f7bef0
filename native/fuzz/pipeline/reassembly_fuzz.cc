// Fragments of outer packets in any order, overlapping, cut short, of several packets at once:
// what is put together is what was sent, every fragment is accounted for once, and every chunk
// comes back.
#include <cstdlib>
#include <cstring>
#include <set>

#include "fuzz/expect.h"
#include "pipeline/ip/reassembler.h"
#include "wire/fragment.h"
#include "wire/ipv6.h"

namespace sluice::fuzz {
namespace {

constexpr unsigned kFragmentHeader = 8;

/// The octet at `at` of the payload of a packet.
std::byte octet(unsigned identification, unsigned at) {
  return static_cast<std::byte>(identification * 89 + at * 7 + at / 251);
}

struct Chunks {
  std::set<Packet*> live;
  Packet* make() {
    auto* packet = static_cast<Packet*>(std::aligned_alloc(kCacheLine, kChunkBytes));
    packet->offset = kAccessDataOffset;
    packet->port = packet->flags = 0;
    live.insert(packet);
    return packet;
  }
  void free(Packet* packet) {
    expect(live.erase(packet) == 1);
    std::free(packet);
  }
};

struct Piece {
  unsigned identification, offset, bytes;
  bool more, is_v6;
};

void write(Packet& packet, const Piece& piece) {
  std::byte* p = packet.data();
  unsigned header = wire::kIpv4Bytes;
  if (piece.is_v6) {
    const std::byte address[16] = {std::byte{0xfd}};
    header = wire::kIpv6Bytes + kFragmentHeader;
    wire::write_ipv6(p, {.source = address,
                         .destination = address,
                         .payload_length = static_cast<std::uint16_t>(piece.bytes + 8),
                         .next_header = 44});
    wire::store32(p + 40, 17u << 24 | piece.offset / 8 << 3 | (piece.more ? 1u : 0u));
    wire::store32(p + 44, piece.identification);
  } else {
    wire::write_ipv4(p, {.source = 1,
                         .destination = 2,
                         .total_length = 20,
                         .identification = static_cast<std::uint16_t>(piece.identification)});
    wire::finish_fragment(p, header + piece.bytes, piece.offset, piece.more);
  }
  for (unsigned i = 0; i < piece.bytes; ++i) {
    p[header + i] = octet(piece.identification, piece.offset + i);
  }
  packet.length = static_cast<std::uint16_t>(header + piece.bytes);
}

/// The whole packet has the octets that its pieces had.
void check_whole(const Packet& whole, const Piece& last) {
  const std::byte* p = whole.data();
  const unsigned header = last.is_v6 ? wire::kIpv6Bytes : wire::kIpv4Bytes;
  expect(whole.offset + whole.length <= kChunkBytes && whole.length > header);
  if (last.is_v6) {
    wire::Ipv6Header parsed{};
    expect(wire::parse_ipv6(p, whole.length, parsed) == DropReason::None);
    expect(parsed.total_length == whole.length && parsed.next_header == wire::kProtocolUdp);
  } else {
    wire::Ipv4Header parsed{};
    expect(wire::parse_ipv4(p, whole.length, parsed) == DropReason::None);
    expect(parsed.total_length == whole.length && !parsed.is_fragment);
    expect(wire::ipv4_checksum_good(p, header));
  }
  for (unsigned i = 0; header + i < whole.length; ++i) {
    expect(p[header + i] == octet(last.identification, i));
  }
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::fuzz;
  Reassembler reassembler({.datagrams = 3, .fragments = 6, .timeout = 1000});
  Chunks chunks;
  Nanoseconds now = 1;
  std::size_t waiting = 0;
  bool honest = true;  // a lie puts octets where they don't belong, in this packet or another
  const auto expire = [&] {
    unsigned waited = 0;
    while (Packet* packet = reassembler.expire(now, waited)) {
      waiting -= waited;
      chunks.free(packet);
    }
    expect(waiting == 0 || reassembler.next_expiry() > now);
  };
  for (; size >= 4; data += 4, size -= 4) {
    const Piece piece{data[0] & 3u, data[1] * 8u, std::min(data[2] * 8u + (data[0] >> 5), 1400u),
                      (data[0] & 4) != 0, (data[0] & 8) != 0};
    Packet* packet = chunks.make();
    write(*packet, piece);
    // A header that lies, once in a while.
    if (data[3] >= 0xf0) {
      packet->data()[data[3] & 7] = std::byte{data[2]};
      honest = false;
    }
    const auto outcome = reassembler.add(packet, now);
    expect(outcome.ended <= waiting);
    waiting -= outcome.ended;
    if (outcome.reason == DropReason::Count) ++waiting;
    if (outcome.reason == DropReason::None && honest) check_whole(*outcome.packet, piece);
    expect(outcome.packet != packet);
    if (outcome.packet != nullptr) chunks.free(outcome.packet);
    if (!outcome.uses_chunk) chunks.free(packet);
    now += data[3] % 0xf0 * 4u;
    expire();
  }
  now += 10'000;
  expire();
  expect(waiting == 0 && chunks.live.empty());
  return 0;
}
