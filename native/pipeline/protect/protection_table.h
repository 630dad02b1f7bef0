// The protections as one worker has them: for each the association that it seals with, and of
// the associations that packets come under those that are its own. Owner: that worker, but that
// any thread may read the figures; the control thread makes the ends and has the worker put
// them in (worker/protect/protections.h). Keys are here and nowhere else in the packet path, and
// not in the region, whose file outlives the process. With crypto lanes, the thread that serves an
// association's lane uses `esp` of its end, and the worker all else.
#pragma once
#include <array>
#include <atomic>
#include <bitset>
#include <memory>
#include <vector>

#include "base/counter.h"
#include "crypto/esp/association.h"
#include "memory/packet.h"
#include "session/table/network_map.h"
#include "session/table/protection_uses.h"

namespace sluice {

inline constexpr std::uint8_t kProtocolEsp = 50;
/// What ESP has inside; nothing: a dummy packet (RFC 4303 section 2.6).
inline constexpr std::uint8_t kNextIpv4 = 4, kNextIpv6 = 41, kNextNothing = 59;
/// Security associations that packets may come under, of all protections.
inline constexpr std::uint32_t kInboundMax = 32768;

/// IP header (and UDP, where ESP is encapsulated) in front of what a protection seals.
struct EspOuter {
  std::array<std::byte, 48> header{};
  std::uint8_t bytes = 0;  ///< of the header
  bool is_v6 = false, in_udp = false;
  std::uint32_t checksum_seed = 0;  ///< as Peer's
};
EspOuter make_esp_outer(const LocalAddress& local, const LocalAddress& peer, bool in_udp) noexcept;

/// How many packets of an association are with a crypto lane. Its worker counts; the control thread
/// ends an association only when there are none.
class PacketsAway {
 public:
  void add(std::uint32_t n) noexcept { count_.store(count() + n, std::memory_order_relaxed); }
  void remove(std::uint32_t n) noexcept {
    // Release: pairs with none(), so that all that a lane did to the association came before.
    count_.store(count() - n, std::memory_order_release);
  }
  /// Threads: any.
  bool none() const noexcept { return count_.load(std::memory_order_acquire) == 0; }

 private:
  std::uint32_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  std::atomic<std::uint32_t> count_{0};
};

struct OutboundEnd {
  OutboundEnd(const EspOuter& outer_header, const crypto::EspParameters& parameters,
              const crypto::EspLifetime& lifetime, const crypto::EspUse& used);
  /// Bytes that a packet grows by at most.
  unsigned overhead() const noexcept { return overhead_; }
  /// Writes the outer header in front of sealed bytes, with the DSCP and ECN of what is inside.
  /// @param fills_checksum  someone behind computes the UDP checksum
  /// @return the packet's start
  std::byte* write_outer(std::byte* esp, unsigned esp_bytes, unsigned tos,
                         bool fills_checksum) const noexcept;

  EspOuter outer;
  crypto::EspOutbound esp;
  PacketsAway away;

 private:
  unsigned overhead_;
};

struct InboundEnd {
  InboundEnd(std::uint16_t protection_number, const LocalAddress& at,
             const crypto::EspParameters& parameters, unsigned window, std::uint64_t newest);
  std::uint16_t protection;
  LocalAddress local;  ///< that its packets are sent to; its port says nothing
  crypto::EspInbound esp;
  PacketsAway away;
  Counter packets, bytes, replayed, not_genuine, malformed;
};

/// What is known of an SPI.
struct InboundPlace {
  std::uint32_t spi = 0;  ///< 0: the place is empty
  std::uint16_t owner = 0;
  std::uint16_t protection = 0;
  std::unique_ptr<InboundEnd> end;  ///< null: it is another worker's
};

class ProtectionTable {
 public:
  ProtectionTable();

  bool empty() const noexcept { return used_ == 0; }
  OutboundEnd* outbound(std::uint32_t protection) const noexcept {
    return protection <= kProtectionsMax ? outbound_[protection].get() : nullptr;
  }
  /// Null: nobody has this SPI.
  const InboundPlace* inbound(std::uint32_t spi) const noexcept;
  /// Whether a protection has associations that packets come under: one may seal alone.
  bool opens(std::uint16_t protection) const noexcept { return inbound_of_[protection] != 0; }
  /// Whether a message about a tunnel under a protection (0: none) is to be believed.
  bool trusts(const Packet& packet, std::uint16_t protection) const noexcept {
    return protection == 0 || came_protected(packet, protection) || !opens(protection);
  }
  /// Whether a protection may be at an address: what is wrongly said to be so is rare.
  bool may_be_local(const std::uint32_t (&words)[4]) const noexcept {
    return locals_[bit_of(words)];
  }

  // Without allocation, by the worker between two bursts.
  void swap_outbound(std::uint16_t protection, std::unique_ptr<OutboundEnd>& end) noexcept {
    if (outbound_[protection] != nullptr) --used_;
    if (end != nullptr) ++used_;
    outbound_[protection].swap(end);
  }
  /// An SPI that is not there yet. The control thread sees to it that there is room.
  void add_inbound(InboundPlace&& place, const LocalAddress& local) noexcept;
  /// What was there.
  std::unique_ptr<InboundEnd> remove_inbound(std::uint32_t spi) noexcept;

 private:
  static constexpr std::size_t kPlaces = 2 * std::size_t{kInboundMax};
  static std::size_t bit_of(const std::uint32_t (&words)[4]) noexcept;
  static std::size_t home(std::uint32_t spi) noexcept {
    return (spi * 0x9e3779b1u) >> 16 & (kPlaces - 1);
  }

  std::vector<std::unique_ptr<OutboundEnd>> outbound_;
  std::vector<std::uint16_t> inbound_of_;  ///< by protection: how many it has
  std::vector<InboundPlace> places_;       ///< open addressing, linear
  std::uint32_t used_ = 0;                 ///< ends of either kind
  std::bitset<4096> locals_;               ///< of addresses that were ever used
};

}  // namespace sluice
