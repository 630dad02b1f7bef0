// Packets by the batch, for a packet path without threads: in at memory ports at a given time,
// one turn of the loop each, and what became of them. For tests and tools; the same words as
// src/datapath/packet-exchange.ts. Thread: control.
#pragma once
#include <span>

#include "port/memory_port.h"
#include "worker/datapath.h"

namespace sluice {

class Exchange {
 public:
  explicit Exchange(Datapath& datapath);

  /// Plays a list of entries, in order. In: entries of 4 words {bytes | kExchangeMore, port,
  /// time in ns low, high}, then the packet's bytes, padded to words. An entry without bytes
  /// only moves the time. kExchangeMore: the next entry comes in the same turn of the loop.
  /// Out, for each turn: {packets out, drop entries}, then drop entries {reason, count}, then
  /// packets {port, bytes} with their bytes, padded to words. What a turn has no room for
  /// comes out with the next.
  /// @return words written to `out`. Error: an entry that is cut short, too long or names no
  ///   memory port; those before it were played.
  Result<std::size_t> play(std::span<const std::uint32_t> in, std::span<std::uint32_t> out);

 private:
  bool inject(std::uint32_t port, const std::uint32_t* words, std::uint32_t bytes);
  std::size_t write_turn(std::span<std::uint32_t> out);

  Datapath& datapath_;
  PoolCache& cache_;
  std::vector<MemoryPort*> ports_;  ///< null: of another driver
  std::array<std::uint64_t, kDropReasons> dropped_{};
};

inline constexpr std::uint32_t kExchangeMore = 1u << 31;

}  // namespace sluice
