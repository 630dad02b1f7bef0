// Driver "pcap": replays a capture file and writes what is sent into another one.
// The first queue receives; every queue sends. Link headers are stripped; frames of which no
// packet can be made are skipped and counted by reason. Reading and writing files may block,
// so that this driver is for replay and tests, not for traffic.
// Threads: rx(), tx() and flush() belong to the queue's worker; the rest of PcapPort's own
// calls may be made by any thread.
#pragma once
#include <atomic>
#include <vector>

#include "memory/packet_pool.h"
#include "port/capture/capture_file.h"
#include "port/port.h"

namespace sluice {

class PcapQueue;

class PcapPort final : public Port {
 public:
  static constexpr Nanoseconds kNever = ~Nanoseconds{0};

  PcapPort(PortConfig config, std::uint8_t index);
  ~PcapPort() override;
  Status open(std::span<PoolCache* const> caches) override;
  PortQueue& queue(unsigned worker) noexcept override;
  /// Writes out what is buffered; output_status() is meaningful afterwards.
  void close() noexcept override;
  std::map<std::string, std::string> capabilities() const override;

  /// Capture time, since 1970, of the frame that rx() delivers next; kNever at the end.
  Nanoseconds next_time() const noexcept {
    // Acquire: pairs with the release in PcapQueue, so that a fault that ended it is seen too.
    return next_time_.load(std::memory_order_acquire);
  }
  /// Whether rx() has delivered all that the input has, or none is configured.
  bool exhausted() const noexcept { return next_time() == kNever; }
  /// From now on the port lives at this time, since 1970: later frames wait, and what is sent
  /// carries it. Before the first call no frame waits, and what is sent carries the wall clock.
  void set_time(Nanoseconds now) noexcept {
    // Relaxed: pairs with the loads in PcapQueue; the number stands for itself.
    now_.store(now, std::memory_order_relaxed);
  }
  /// Frames skipped: no IP in them (TruncatedPacket, UnknownEthertype, BadIpVersion), or
  /// larger than a packet buffer takes (MtuExceeded).
  std::uint64_t skipped(DropReason reason) const noexcept {
    // Relaxed: pairs with the store in PcapQueue; a figure, nothing is handed over by it.
    return skipped_[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
  }
  /// Ok, or where and why the input ended early. Meaningful once exhausted().
  Status input_status() const;
  /// Ok, or why the output could not be written. Thread: control, while no worker runs.
  Status output_status() const;

 private:
  friend class PcapQueue;
  Status open_output();

  std::vector<std::unique_ptr<PcapQueue>> queues_;
  std::unique_ptr<CaptureReader> reader_;
  std::array<std::atomic<std::uint64_t>, kDropReasons> skipped_{};  ///< by the first worker alone
  std::atomic<Nanoseconds> next_time_{kNever};
  std::atomic<Nanoseconds> now_{0};
  std::atomic<bool> input_failed_{false};
  Status output_status_ = Ok{};
};

/// Makes a port of driver "pcap". Errors: neither file nor output_file, or both the same.
Result<std::unique_ptr<Port>> make_pcap_port(const PortConfig& config, std::uint8_t index);

}  // namespace sluice
