// Captures as the control thread sees them: it makes rings and tables, has errands put them in
// force, empties the rings and writes pcapng. Everything here is the control thread's, but for
// TableErrand::run(). Start at Captures::turn().
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipeline/observe/capture_tap.h"
#include "port/capture/pcapng_blocks.h"
#include "worker/worker.h"

namespace sluice {

struct CaptureRequest {
  SessionIndex session = kNoSession;  ///< either this …
  PortMask ports = 0;                 ///< … or everything on these ports
  bool drops = false;                 ///< packets that are dropped, too
  std::uint16_t snap = 0;             ///< bytes of a packet at most; 0: all of them
  std::uint64_t packets_max = 0;      ///< 0: no limit
};

/// Why a capture has no more; the values of CaptureEnd in src/datapath/datapath.ts.
enum class CaptureEnd : std::uint8_t { Running = 0, Count = 1, SessionGone = 2, Stopped = 3 };

struct CaptureRead {
  std::vector<std::byte> pcapng;  ///< what came since the last read; whole blocks
  /// The blocks that would end the file here; empty once they are in `pcapng`.
  std::vector<std::byte> trailer;
  std::uint64_t packets = 0;  ///< copies in all of them so far
  std::uint64_t lost = 0;     ///< copies that found no room, so far
  CaptureEnd end = CaptureEnd::Running;
  bool in_force = false;  ///< every worker copies
};

/// Of all captures since the start.
struct CaptureTotals {
  std::uint64_t running = 0;
  std::uint64_t packets = 0;  ///< copies delivered
  std::uint64_t lost = 0;     ///< copies that found no room
};

class Captures {
 public:
  /// Bytes that wait for a reader; what comes beyond is lost.
  static constexpr std::size_t kWaitingMax = 8u << 20;

  /// @param threads  false: workers run on this thread, and errands with them.
  Captures(std::span<const std::unique_ptr<Worker>> workers, Sessions& sessions,
           std::vector<std::string> port_names, bool threads, std::function<Nanoseconds()> now);
  ~Captures();

  /// @return a number for read() and stop(). Error: kCapturesMax of them run.
  Result<unsigned> start(const CaptureRequest& request);
  /// What is there; the file's end with it when the capture has ended.
  CaptureRead read(unsigned capture);
  /// Ends it. The next read() has the rest, and after it the number is nobody's.
  void stop(unsigned capture);
  /// Ends the captures of a session that was deleted.
  void session_gone(SessionIndex session);
  CaptureTotals totals() const noexcept;
  bool idle() const noexcept { return lanes_idle_ && used_ == 0; }
  /// Brings everything one step on. Called with each poll and each read.
  void turn();
  /// No worker runs any more: what is there is taken, and every capture ends.
  void workers_ended();

 private:
  struct Capture {
    bool used = false;
    CaptureRequest request;
    std::string session_name;
    CaptureEnd end = CaptureEnd::Running;
    Nanoseconds started = 0;
    std::uint64_t version = 0;  ///< of the table that began or ended it
    std::uint64_t packets = 0;
    std::uint64_t received[kPortsMax] = {}, lost[kPortsMax] = {}, lost_before[kPortsMax] = {};
    std::vector<std::byte> waiting;
  };
  struct TableErrand final : Errand {
    void run(Worker& worker, Nanoseconds now) noexcept override;
    Sessions* sessions = nullptr;
    CaptureTap* tap = nullptr;  ///< null: nobody looks on any more
    const CaptureTable* before = nullptr;
    std::unique_ptr<CaptureTable> table;
    std::uint64_t version = 0;
  };
  struct Lane {
    Worker* worker = nullptr;
    std::unique_ptr<CaptureTap> tap;
    std::unique_ptr<CaptureTable> table;
    std::unique_ptr<TableErrand> errand;  ///< made, maybe posted
    bool posted = false;
    std::uint64_t version = 0;
  };

  void change();
  void post(Lane& lane);
  bool in_force(std::uint64_t version) const;
  void drain();
  void deliver(const CaptureRecord& record);
  void finish(Capture& capture, CaptureEnd end);
  /// Lost of one capture, and what its number has lost in the rings, ever.
  std::uint64_t lost_by(unsigned capture, unsigned port) const noexcept;
  std::uint64_t lost_of(unsigned capture, unsigned port) const noexcept;
  std::vector<std::byte> trailer_of(unsigned capture) const;
  std::string comment(const CaptureRecord& record) const;
  template <typename F>
  static void append(std::vector<std::byte>& to, std::size_t room, F&& write);

  std::vector<Lane> lanes_;
  Sessions& sessions_;
  std::vector<std::string> port_names_;
  bool threads_;
  std::function<Nanoseconds()> now_;  ///< the clock of the packet path
  bool lanes_idle_ = true;
  bool ended_ = false;
  Capture captures_[kCapturesMax];
  CaptureTotals ended_totals_;  ///< without those that run
  unsigned used_ = 0;
  unsigned next_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace sluice
