// A CP function for loads: messages that were encoded beforehand are sent with a session's
// numbers patched in, from one socket, by one native thread that also answers what the UPF
// asks. It knows only as much of PFCP as that takes. Start at Smf::start_load(); the commands
// are in src/tools/smf/.
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/types.h"
#include "datagram/udp_socket.h"
#include "smf/latency.h"
#include "smf/transactions.h"

namespace sluice::smf {

/// What of a template depends on the session or the message.
struct Patch {
  enum class Kind : std::uint8_t {
    CpSeid,    ///< 8 octets: the session's CP SEID
    Session,   ///< 4 octets: what stands there plus the session's number
    Sequence,  ///< 4 octets: what stands there plus the sequence number
  };
  Kind kind = Kind::Session;
  std::uint32_t offset = 0;
};

/// One kind of request to many sessions, or a single one that is of no session.
struct Load {
  std::vector<std::byte> request;  ///< a whole message; its header's SEID is filled in
  std::vector<Patch> patches;
  std::uint32_t first = 0;  ///< number of the first session
  std::uint32_t count = 1;
  double rate = 0;            ///< requests a second; 0: as fast as the window lets
  std::uint32_t window = 64;  ///< requests under way at most
  double t1_s = 1;            ///< until a request is sent again, or given up
  std::uint32_t tries = 4;    ///< times that a request is sent at most; 1: never again
  double seconds_max = 60;    ///< then the load ends, whatever there is left
};

/// What became of it; complete once Smf::running() is false.
struct LoadOutcome {
  std::uint64_t sent = 0;     ///< requests, without those sent again
  std::uint64_t skipped = 0;  ///< sessions that the UPF does not have
  std::uint64_t retransmitted = 0;
  std::uint64_t lost = 0;   ///< requests without an answer
  std::uint64_t stray = 0;  ///< answers that nobody waited for (duplicates among them)
  std::uint64_t refused_by_system = 0;
  std::array<std::uint64_t, 256> causes{};  ///< answers by their cause; [0]: they had none
  Latencies latencies;
  double seconds = 0;  ///< from the first request to the last answer
  bool timed_out = false;
};

struct SmfConfig {
  datagram::Address target;
  std::uint16_t target_port = 8805;
  datagram::Address bind;
  std::uint16_t bind_port = 0;
  std::uint64_t cp_seid_base = 0;  ///< CP SEID of session 0
  std::uint32_t sessions_max = 0;
  std::uint32_t recovery_time_stamp = 0;  ///< NTP seconds, in answers to Heartbeat Requests
};

/// Owner: the thread that opened it.
class Smf {
 public:
  /// An error's field is "bind", its message begins with the name of the system's code.
  static Result<std::unique_ptr<Smf>> open(const SmfConfig& config);
  ~Smf();
  Smf(const Smf&) = delete;
  Smf& operator=(const Smf&) = delete;

  /// Begins a load; one at a time. An error names "request", "patches" or "count".
  Status start_load(Load load);
  bool running() const noexcept {
    // Acquire: pairs with the release at the end of run_load().
    return running_.load(std::memory_order_acquire);
  }
  /// Ends a load before its time; running() tells when it has.
  void stop_load() noexcept;
  const LoadOutcome& outcome() const noexcept { return outcome_; }
  /// Answers of the load under way, for progress; a moment's view.
  std::uint64_t answered() const noexcept { return answered_.load(std::memory_order_relaxed); }
  std::uint64_t heartbeats() const noexcept { return heartbeats_.load(std::memory_order_relaxed); }
  std::uint64_t reports() const noexcept { return reports_.load(std::memory_order_relaxed); }
  std::uint16_t port() const noexcept { return socket_.port(); }
  void stop() noexcept;

 private:
  static constexpr std::size_t kRequestBytesMax = 2048;
  static constexpr std::size_t kPlaces = 1 << 17;
  struct Running;

  Smf(const SmfConfig& config, datagram::UdpSocket socket);
  void run() noexcept;
  void run_load() noexcept;
  bool send_due(Running& load, Nanoseconds now) noexcept;
  void send_again(Running& load, Nanoseconds now) noexcept;
  void queue(Running& load, Transaction& transaction, Nanoseconds now) noexcept;
  void flush() noexcept;
  bool receive(Nanoseconds now) noexcept;
  void take(std::span<const std::byte> bytes, const sockaddr_storage& from,
            Nanoseconds now) noexcept;
  void take_response(std::span<const std::byte> bytes, std::size_t header,
                     Nanoseconds now) noexcept;
  void answer_report(std::span<const std::byte> bytes, const sockaddr_storage& from) noexcept;
  void wait(Nanoseconds nanoseconds) noexcept;

  const SmfConfig config_;
  datagram::UdpSocket socket_;
  const datagram::SocketAddress target_;
  int wake_fd_ = -1;
  std::vector<std::uint64_t> up_seids_;  // the thread's; 0: the UPF has no such session
  Transactions transactions_{kPlaces};
  datagram::ReceiveBatch received_;
  datagram::SendBatch sending_, answers_;
  std::array<std::array<std::byte, kRequestBytesMax>, datagram::kBatch> request_bytes_;
  std::array<std::array<std::byte, 32>, datagram::kBatch> answer_bytes_;

  Load load_;            // the owner's until running_, then the thread's
  LoadOutcome outcome_;  // the thread's while running_
  std::atomic<std::uint64_t> answered_{0}, heartbeats_{0}, reports_{0};
  std::atomic<bool> running_{false}, stopping_load_{false}, stop_{false};
  std::thread thread_;
};

}  // namespace sluice::smf
