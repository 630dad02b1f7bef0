#include "worker/exchange.h"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {
constexpr std::size_t kEntryWords = 4;
/// The turn's own words and a drop entry for every reason.
constexpr std::size_t kTurnWordsMax = 2 + 2 * kDropReasons;

std::size_t words_of(std::size_t bytes) noexcept { return (bytes + 3) / 4; }
}  // namespace

Exchange::Exchange(Datapath& datapath)
    : datapath_(datapath), cache_(datapath.pool().cache(datapath.pool().caches() - 1)) {
  for (const auto& port : datapath.ports()) {
    const bool memory = port->config().driver == "memory";
    ports_.push_back(memory ? static_cast<MemoryPort*>(port.get()) : nullptr);
  }
}

bool Exchange::inject(std::uint32_t at, const std::uint32_t* words, std::uint32_t bytes) {
  if (at >= ports_.size() || ports_[at] == nullptr) return false;
  const bool access = ports_[at]->config().role == PortRole::Access;
  const std::uint16_t offset = access ? kAccessDataOffset : kCoreDataOffset;
  Packet* packet;
  if (bytes > kChunkBytes - offset || cache_.allocate(&packet, 1) == 0) return false;
  packet->offset = offset;
  packet->length = static_cast<std::uint16_t>(bytes);
  packet->flags = 0;
  std::memcpy(packet->data(), words, bytes);
  if (ports_[at]->inject(0, &packet, 1) == 1) return true;
  cache_.free(&packet, 1);
  return false;
}

std::size_t Exchange::write_turn(std::span<std::uint32_t> out) {
  std::size_t at = 2;
  std::uint32_t packets = 0, drops = 0;
  const PipelineCounters& counters = datapath_.workers()[0]->pipeline().counters();
  for (std::size_t r = 0; r < kDropReasons; ++r) {
    const std::uint64_t now = counters.dropped[r];
    if (now == dropped_[r]) continue;
    out[at++] = static_cast<std::uint32_t>(r);
    out[at++] = static_cast<std::uint32_t>(now - dropped_[r]);
    dropped_[r] = now;
    ++drops;
  }
  for (std::uint32_t p = 0; p < ports_.size(); ++p) {
    Packet* packet;
    while (ports_[p] != nullptr && out.size() - at >= 2 + words_of(kChunkBytes) &&
           ports_[p]->collect(0, &packet, 1) == 1) {
      out[at] = p;
      out[at + 1] = packet->length;
      std::memcpy(out.data() + at + 2, packet->data(), packet->length);
      at += 2 + words_of(packet->length);
      cache_.free(&packet, 1);
      ++packets;
    }
  }
  out[0] = packets;
  out[1] = drops;
  return at;
}

Result<std::size_t> Exchange::play(std::span<const std::uint32_t> in,
                                   std::span<std::uint32_t> out) {
  std::size_t read = 0, written = 0;
  while (read < in.size()) {
    if (in.size() - read < kEntryWords) return Error{"an entry is cut short", "input"};
    const std::uint32_t bytes = in[read] & ~kExchangeMore;
    const bool more = (in[read] & kExchangeMore) != 0;
    const std::uint32_t* payload = in.data() + read + kEntryWords;
    if (words_of(bytes) > in.size() - read - kEntryWords) {
      return Error{"a packet is cut short", "input"};
    }
    if (bytes != 0 && !inject(in[read + 1], payload, bytes)) {
      return Error{"packet of " + std::to_string(bytes) + " bytes: too long, no memory port " +
                       std::to_string(in[read + 1]) + ", or no room left in it",
                   "input"};
    }
    const Nanoseconds now = in[read + 2] | std::uint64_t{in[read + 3]} << 32;
    read += kEntryWords + words_of(bytes);
    if (more && read < in.size()) continue;
    if (out.size() - written < kTurnWordsMax) return Error{"no room for the turns", "output"};
    datapath_.run_at(now);
    written += write_turn(out.subspan(written));
  }
  return written;
}

}  // namespace sluice
