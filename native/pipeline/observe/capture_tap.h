// A worker's end of the captures: copies of packets as they were received and as they are sent,
// in a bounded ring that the control thread empties. The table says who wants what; it is made
// by the control thread and put in force by an errand. A full ring loses copies, never packets,
// and counts them. Threads: the worker writes, the control thread takes; each says so.
#pragma once
#include <array>
#include <atomic>
#include <memory>

#include "base/counter.h"
#include "pipeline/burst.h"
#include "pipeline/observe/observer.h"

namespace sluice {

/// Captures at one time: width of the masks below.
inline constexpr unsigned kCapturesMax = 8;
inline constexpr std::uint32_t kCaptureRingBytes = 4u << 20;

enum class CapturePoint : std::uint8_t {
  Received,
  Again,     ///< in the pipeline a second time: from UE to UE, or an error on its way to the UE
  Released,  ///< a second time, because it was held
  Lost,      ///< dropped outside of the stages
  Sent
};

/// What the ring holds; the captured bytes follow it, padded to its alignment.
struct alignas(16) CaptureRecord {
  std::uint32_t bytes;  ///< with everything that follows
  SessionIndex session;
  std::uint16_t incarnation;  ///< of the session, the low half; 0: not known
  std::uint16_t pdr;          ///< 0: none has matched
  std::uint16_t length;       ///< of the packet
  std::uint16_t captured;     ///< bytes of it that are here
  Nanoseconds time;           ///< monotonic
  DropReason verdict;         ///< None: it is sent; kTakenAway: see `fate`
  Fate fate;
  std::uint8_t far;  ///< with `pdr`: low octet of the ID of the FAR
  Direction direction;
  CapturePoint point;
  std::uint8_t port;
  std::uint8_t captures;    ///< bit n: capture n wants it; 0: nobody
  std::uint8_t only_drops;  ///< bit n: capture n wants it only if it is dropped
  std::uint8_t pending;     ///< its end is not known yet
  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  const std::byte* data() const noexcept { return reinterpret_cast<const std::byte*>(this + 1); }
};
static_assert(sizeof(CaptureRecord) == 48);

/// One capture: of a session, or of ports.
struct CaptureFilter {
  SessionIndex session = kNoSession;
  PortMask ports = 0;  ///< everything on these ports
  bool drops = false;  ///< packets that are dropped, too
  bool active = false;
};

struct CaptureTable {
  std::array<CaptureFilter, kCapturesMax> filters;
  std::uint16_t snap = 0;  ///< the largest that a capture asks for
};

class CaptureTap final : public BurstObserver {
 public:
  CaptureTap();

  // ---- the worker ----
  /// The table that counts from now on; it stays until another does.
  void use(const CaptureTable& table) noexcept;
  const CaptureTable* table() const noexcept { return table_; }
  void after(Stage stage, Burst& burst) noexcept override;
  void decided(Stage stage, const Burst& burst, unsigned i, const Hit& hit,
               DropReason verdict) noexcept override;
  void sending(std::uint8_t port, Packet* const* packets, unsigned count,
               Nanoseconds now) noexcept override;
  void sent(unsigned count) noexcept override;
  void lost(Packet* const* packets, unsigned count, DropReason reason,
            Nanoseconds now) noexcept override;

  // ---- control thread ----
  /// The oldest copy, null: none waits. It stays until release().
  const CaptureRecord* front() noexcept;
  void release(const CaptureRecord& record) noexcept;
  /// Copies that found no room, by capture and port. Threads: any.
  std::uint64_t lost(unsigned capture, unsigned port) const noexcept {
    return lost_[capture][port];
  }

 private:
  static constexpr unsigned kSendingMax = 4 * kBurstMax;
  static constexpr std::uint32_t kNone = ~0u;
  CaptureRecord& at(std::uint64_t position) noexcept {
    return *reinterpret_cast<CaptureRecord*>(ring_.get() + position % kCaptureRingBytes);
  }
  static CapturePoint point_of(const Burst& burst, unsigned i) noexcept;
  /// Position of a new copy, kNone: no room.
  std::uint32_t copy(const Packet& packet, std::uint8_t captures, CapturePoint point,
                     std::uint8_t port, Nanoseconds now) noexcept;
  CaptureRecord* reserve(std::uint32_t bytes) noexcept;
  std::uint8_t captures_of(SessionIndex session) const noexcept;
  void received(Burst& burst) noexcept;
  void looked_up(Burst& burst) noexcept;
  void finished(Burst& burst) noexcept;
  void publish() noexcept;

  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte, Free> ring_;
  const CaptureTable* table_ = nullptr;
  std::array<std::uint8_t, kPortsMax> by_port_{};  ///< captures of each port
  std::uint8_t with_drops_ = 0;                    ///< captures that want drops
  bool of_ports_ = false;
  std::uint64_t write_ = 0;  ///< behind the newest copy, pending ones too
  std::uint32_t sending_[kSendingMax];
  unsigned sending_count_ = 0;
  Counter lost_[kCapturesMax][kPortsMax];
  alignas(kCacheLine) std::atomic<std::uint64_t> tail_{0};  ///< copies before it are complete
  alignas(kCacheLine) std::atomic<std::uint64_t> head_{0};  ///< copies before it were taken
};

}  // namespace sluice
