#include "pipeline/protect/protection_table.h"

#include <cstring>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/udp.h"

namespace sluice {
namespace {
constexpr unsigned kUdpHeaderBytes = 8;

std::uint32_t sum_words(const std::byte* at, unsigned bytes) noexcept {
  std::uint32_t sum = 0;
  for (unsigned i = 0; i < bytes; i += 2) sum += wire::load16(at + i);
  return sum;
}
}  // namespace

EspOuter make_esp_outer(const LocalAddress& local, const LocalAddress& peer, bool in_udp) noexcept {
  EspOuter outer;
  std::byte* const h = outer.header.data();
  const unsigned protocol = in_udp ? wire::kProtocolUdp : kProtocolEsp;
  outer.is_v6 = local.is_v6;
  outer.in_udp = in_udp;
  const unsigned ip = local.is_v6 ? 40 : 20;
  outer.bytes = static_cast<std::uint8_t>(ip + (in_udp ? kUdpHeaderBytes : 0));
  if (local.is_v6) {
    wire::store32(h, 0x60000000);
    wire::store32(h + 4, protocol << 8 | 64);
    for (unsigned i = 0; i < 4; ++i) {
      wire::store32(h + 8 + 4 * i, local.words[i]);
      wire::store32(h + 24 + 4 * i, peer.words[i]);
    }
    outer.checksum_seed = sum_words(h + 8, 32) + protocol;
  } else {
    wire::store32(h, 0x45000000);
    wire::store32(h + 4, 0x00004000);  // identification 0, DF
    wire::store32(h + 8, 0x40000000 | protocol << 16);
    wire::store32(h + 12, local.words[0]);
    wire::store32(h + 16, peer.words[0]);
    outer.checksum_seed = sum_words(h, 20);
  }
  if (in_udp) wire::store32(h + ip, std::uint32_t{wire::kEspUdpPort} << 16 | wire::kEspUdpPort);
  return outer;
}

OutboundEnd::OutboundEnd(const EspOuter& outer_header, const crypto::EspParameters& parameters,
                         const crypto::EspLifetime& lifetime, const crypto::EspUse& used)
    : outer(outer_header), esp(parameters, lifetime, used) {
  const crypto::EspShape shape = crypto::esp_shape(parameters.suite);
  overhead_ = static_cast<unsigned>(outer.bytes + crypto::kEspHeaderBytes + shape.iv +
                                    (shape.block - 1) + 2 + shape.icv);
}

std::byte* OutboundEnd::write_outer(std::byte* esp_start, unsigned esp_bytes, unsigned tos,
                                    bool fills_checksum) const noexcept {
  std::byte* const p = esp_start - outer.bytes;
  std::memcpy(p, outer.header.data(), outer.bytes);
  const unsigned ip = outer.is_v6 ? 40 : 20;
  const unsigned payload = outer.bytes - ip + esp_bytes;
  if (outer.is_v6) {
    wire::store32(p, 0x60000000 | tos << 20);
    wire::store16(p + 4, static_cast<std::uint16_t>(payload));
  } else {
    const unsigned total = ip + payload;
    wire::store8(p + 1, static_cast<std::uint8_t>(tos));
    wire::store16(p + 2, static_cast<std::uint16_t>(total));
    wire::store16(p + 10, wire::fold(outer.checksum_seed + total + tos));
  }
  if (!outer.in_udp) return p;
  std::byte* const udp = p + ip;
  wire::store16(udp + 4, static_cast<std::uint16_t>(payload));
  // RFC 3948 clause 2.1 wants 0 over IPv4; over IPv6 a receiver may refuse that.
  if (outer.is_v6 && !fills_checksum) {
    const std::uint16_t sum =
        wire::fold(wire::checksum_partial(udp, payload, outer.checksum_seed + payload));
    wire::store16(udp + 6, sum == 0 ? 0xffff : sum);
  }
  return p;
}

InboundEnd::InboundEnd(std::uint16_t protection_number, const LocalAddress& at,
                       const crypto::EspParameters& parameters, unsigned window,
                       std::uint64_t newest)
    : protection(protection_number), local(at), esp(parameters, window) {
  // Whatever came before this process may come again: none of it is new.
  esp.window() = crypto::ReplayWindow::all_seen(window, newest);
}

ProtectionTable::ProtectionTable()
    : outbound_(kProtectionsMax + 1u), inbound_of_(kProtectionsMax + 1u), places_(kPlaces) {}

std::size_t ProtectionTable::bit_of(const std::uint32_t (&words)[4]) noexcept {
  const std::uint32_t mixed = (words[0] ^ words[1] * 3 ^ words[2] * 5 ^ words[3] * 7) * 0x9e3779b1u;
  return mixed >> 20;
}

const InboundPlace* ProtectionTable::inbound(std::uint32_t spi) const noexcept {
  for (std::size_t at = home(spi); places_[at].spi != 0; at = (at + 1) & (kPlaces - 1)) {
    if (places_[at].spi == spi) return &places_[at];
  }
  return nullptr;
}

void ProtectionTable::add_inbound(InboundPlace&& place, const LocalAddress& local) noexcept {
  std::size_t at = home(place.spi);
  while (places_[at].spi != 0) at = (at + 1) & (kPlaces - 1);
  ++inbound_of_[place.protection];
  places_[at] = std::move(place);
  locals_.set(bit_of(local.words));
  ++used_;
}

std::unique_ptr<InboundEnd> ProtectionTable::remove_inbound(std::uint32_t spi) noexcept {
  std::size_t hole = home(spi);
  while (places_[hole].spi != spi) {
    if (places_[hole].spi == 0) return nullptr;
    hole = (hole + 1) & (kPlaces - 1);
  }
  std::unique_ptr<InboundEnd> end = std::move(places_[hole].end);
  --inbound_of_[places_[hole].protection];
  // What a full place had pushed on moves back, so that no search ends at the hole.
  for (std::size_t at = (hole + 1) & (kPlaces - 1); places_[at].spi != 0;
       at = (at + 1) & (kPlaces - 1)) {
    const std::size_t wanted = home(places_[at].spi);
    if (((at - wanted) & (kPlaces - 1)) < ((at - hole) & (kPlaces - 1))) continue;
    places_[hole] = std::move(places_[at]);
    hole = at;
  }
  places_[hole] = InboundPlace{};
  --used_;
  return end;
}

}  // namespace sluice
