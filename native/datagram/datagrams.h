// UDP for the control plane: several sockets, one thread that receives and sends in batches,
// answers heartbeats while the control thread makes progress, and keeps what waits in fair and
// bounded queues (turns.h). Between the two threads lies a ring each way (datagram_ring.h).
// Life of a received datagram: Datagrams::receive_from → take → Turns → ring up → receive().
// Owner: the control thread; what its thread has for itself is in Datagrams::Thread.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/counter.h"
#include "datagram/allow_list.h"
#include "datagram/peer_sockets.h"
#include "datagram/queue/turns.h"
#include "datagram/udp_socket.h"

namespace sluice::datagram {

/// How long one progress() counts.
inline constexpr Nanoseconds kProgress = 5'000'000'000;

struct ListenAddress {
  std::string host;  ///< IPv4 or IPv6 as text
  std::uint16_t port = 0;
};

struct DatagramsConfig {
  std::vector<ListenAddress> listen;
  /// Memory of the ring up, which the control thread may look into: aligned to 64, a power of
  /// two of at least DatagramRing::kBytesMin; it outlives the Datagrams.
  std::span<std::byte> ring;
  /// Called by the thread, once after receive() returned 0 and something came.
  std::function<void()> wake;
  std::uint16_t peer_port = 8805;  ///< that peers send from
  /// Octets × 512 of waiting datagrams.
  std::uint32_t waiting_chunks = 32'768;
};

/// Written by the thread, read by anyone.
struct DatagramCounters {
  Counter received, received_bytes;
  Counter sent, sent_bytes, send_failed;
  Counter heartbeats_answered;
  Counter not_allowed;
  Figure<std::uint32_t> waiting;
  ShedCounts shed;
};
/// Of one source; `address` is empty for those that are no peers.
struct SourceShed {
  std::string address;
  std::array<std::uint64_t, kClasses> shed;
};

class Datagrams {
 public:
  /// Binds the sockets and starts the thread. An error's field is "listen[n]", and its message
  /// begins with the name of the system's code.
  static Result<std::unique_ptr<Datagrams>> open(DatagramsConfig config);
  ~Datagrams();
  Datagrams(const Datagrams&) = delete;
  Datagrams& operator=(const Datagrams&) = delete;

  // All functions below: the control thread.

  /// Headers of the next datagrams, whose payloads stay in the ring until release(). 0: none,
  /// and wake will be called when there are.
  unsigned receive(Header* out, unsigned max) noexcept;
  void release() noexcept;
  /// Queues a copy. False: the ring is full (counted) or there is no such socket.
  bool send(std::uint32_t local, const Address& to, std::uint32_t port, const std::byte* bytes,
            std::size_t length) noexcept;
  /// Wakes the thread for what was queued, if it sleeps.
  void flush() noexcept;

  /// NTP seconds in answers to Heartbeat Requests.
  void set_heartbeat(std::uint32_t recovery_time_stamp) noexcept;
  void progress() noexcept;
  void set_allowed(AllowList allowed);
  void set_peers(const std::vector<Address>& peers);
  void set_observed(bool observed) noexcept {
    // Relaxed: orders nothing; a datagram sooner or later does not matter.
    observed_.store(observed, std::memory_order_relaxed);
  }

  std::vector<std::uint16_t> ports() const;
  const DatagramCounters& counters() const noexcept { return counters_; }
  std::uint64_t send_full() const noexcept { return send_full_; }
  /// Datagrams that the system dropped because a socket's buffer was full.
  std::uint64_t socket_full() const noexcept;
  std::vector<SourceShed> shed_by_source() const;

  /// Sends what was queued and ends the thread; sockets are closed. Idempotent.
  void stop() noexcept;

 private:
  static constexpr std::size_t kSendRingBytes = 1 << 20;
  /// What only the thread touches, once it runs.
  struct Thread;
  /// What the control thread gives the thread to take over.
  struct Settings {
    AllowList allowed;
    std::vector<Peer> peers;
  };

  explicit Datagrams(DatagramsConfig config);
  void run() noexcept;
  /// @param local  as below
  void watch(int fd, std::uint32_t local) noexcept;
  void take_settings(Thread& own, Nanoseconds now);
  /// @param local  index of the listening address
  /// @return whether there may be more
  bool receive_from(Thread& own, int fd, std::uint32_t local, Nanoseconds now) noexcept;
  void take(Thread& own, std::uint32_t local, unsigned i, Nanoseconds now) noexcept;
  bool answers_heartbeat(Nanoseconds now) const noexcept;
  void send_queued(Thread& own) noexcept;
  /// @return how many the socket had no room for
  unsigned send_batch(Thread& own, SendBatch& batch, std::uint32_t local) noexcept;
  void sleep(Thread& own, int timeout_ms) noexcept;
  /// Finds out which sockets have something.
  void wait(Thread& own, int timeout_ms) noexcept;
  bool has_work(const Thread& own) const noexcept;
  void ring_bell() noexcept;

  const DatagramsConfig config_;
  std::vector<Listening> listening_;
  std::unique_ptr<std::byte[], void (*)(std::byte*)> send_memory_;
  DatagramRing up_, down_;
  DatagramCounters counters_;
  std::shared_ptr<ShedCounts> strangers_shed_ = std::make_shared<ShedCounts>();
  std::vector<Peer> peers_;  // the control thread's list
  std::uint64_t send_full_ = 0;

  mutable std::mutex settings_mutex_;
  PeerSockets peer_sockets_;  // the thread's, which changes it under the mutex
  Settings settings_;         // under the mutex
  std::atomic<std::uint32_t> settings_version_{
      0};                                    // release: after settings_, acquire by the thread
  std::atomic<std::uint64_t> heartbeat_{0};  // kHeartbeatSet and the time stamp
  std::atomic<Nanoseconds> progress_{0};
  std::atomic<bool> observed_{false};
  std::atomic<bool> armed_{true};        // the control thread wants to be woken
  std::atomic<std::uint32_t> sleep_{0};  // whether the thread sleeps, and what may wake it
  std::atomic<bool> stop_{false};
  int wake_fd_ = -1;
  int watch_fd_ = -1;  ///< epoll's: all sockets, and wake_fd_
  std::thread thread_;
};

}  // namespace sluice::datagram
