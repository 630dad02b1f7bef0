// Which addresses are worth a closer look: a byte for each first octet of an IPv4 and an IPv6
// address, so that common traffic pays for one load of a table of eight cache lines. UEs and
// networks share first octets of IPv6 more often than not, so that there the first 32 bits decide.
// Behind it, for UEs and their framed routes, a bitmap by the first 16 bits. One writer, the
// control thread; any worker reads.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "session/table/route.h"

namespace sluice {

class AddressSieve {
 public:
  // By direction: uplink asks about destinations, downlink about sources.
  static constexpr std::uint8_t kUplink = 1, kDownlink = 2;
  /// IPv6, uplink: some that begin so.
  static constexpr std::uint8_t kSome = 4;

  AddressSieve();
  /// Whether an address with these first 32 bits wants a closer look. Threads: any.
  bool wants_look(unsigned high, unsigned low, bool is_v6, unsigned direction) const noexcept {
    // Relaxed: a worker that sees an older byte looked a moment earlier.
    const std::uint8_t bits =
        octets_[(is_v6 ? 256u : 0u) | high >> 8].load(std::memory_order_relaxed);
    if ((bits >> direction & 1) != 0) return true;
    if (!is_v6 || (bits & kSome) == 0 || direction != 0) return false;
    const unsigned place = place_of(high, low);
    return (places_[place / 64].load(std::memory_order_relaxed) >> place % 64 & 1) != 0;
  }
  /// Whether a UE address or a framed route may be behind these 16 bits. Threads: any.
  bool may_be_ue(unsigned first_half, bool is_v6) const noexcept {
    return (halves_[is_v6][first_half / 64].load(std::memory_order_relaxed) >> first_half % 64 &
            1) != 0;
  }

  // Control thread.
  void add_own(std::uint32_t first_word, bool is_v6) noexcept;
  /// Routes of UEs, also of the length of an address.
  void add_ue(const Route& route) noexcept { count(route, true); }
  void remove_ue(const Route& route) noexcept { count(route, false); }
  /// Whether packets between UEs turn round here; if not, UEs are nothing to look for.
  void look_for_ues(bool wanted) noexcept { looks_for_ues_ = wanted; }

 private:
  static constexpr unsigned kPlaces = 4096;
  static unsigned place_of(unsigned high, unsigned low) noexcept {
    return (high * 31 + low) % kPlaces;
  }
  void count_places(const Route& route, bool more) noexcept;
  void count(const Route& route, bool more) noexcept;
  void set(unsigned at, std::uint8_t bits) noexcept {
    octets_[at].fetch_or(bits, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint8_t>, 512> octets_{};
  std::array<std::atomic<std::uint64_t>, kPlaces / 64> places_{};  ///< IPv6, by place_of()
  std::array<std::array<std::atomic<std::uint64_t>, 1024>, 2> halves_{};
  struct Counts {
    std::uint32_t halves[2][65536];
    std::uint32_t octets[512];
    std::uint32_t places[kPlaces];
    bool always[512];
  };
  std::unique_ptr<Counts> counts_;
  bool looks_for_ues_ = true;
};

}  // namespace sluice
