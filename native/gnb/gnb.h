// A small gNB with UEs, to try a UPF with: TUN devices on one side, GTP-U on the other.
// One thread moves packets between both and answers Echo; a load adds a second thread
// that makes uplink packets by itself. Start with Gnb::open(). This is a tool for tests
// and demonstrations: it shares the codecs of wire/ with the UPF and nothing else.
#pragma once
#include <netinet/in.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/types.h"

namespace sluice::gnb {

/// An IPv4 or IPv6 socket address, made from text once.
struct Endpoint {
  sockaddr_storage storage{};
  socklen_t length = 0;
  bool operator==(const Endpoint& other) const noexcept;
};
/// @return the error names `field` when the text is no address.
Result<Endpoint> make_endpoint(const std::string& address, std::uint16_t port, const char* field);

/// One UE's tunnel: what goes up, and what comes down to it.
struct UeTunnel {
  int tun_fd = -1;  ///< owned by the Gnb from open() on; -1: a UE of a load, downlink is counted
  Teid own_teid{};  ///< where the UPF sends this UE's packets
  Teid upf_teid{};
  Endpoint upf;
  std::uint8_t qfi = 0;
  std::string ipv4, ipv6;  ///< the UE's addresses; a load needs one of them
};

struct GnbConfig {
  std::string bind_address = "127.0.0.2";
  std::uint16_t udp_port = 2152;
  std::vector<UeTunnel> ues;
};

/// What a load sends: UDP packets of one size from all UEs in turn, at one rate.
struct LoadConfig {
  double packets_per_s = 1000;
  unsigned inner_bytes = 64;  ///< size of the inner IP packet
  double seconds = 10;
  unsigned flows = 1;  ///< inner source ports per UE
  std::string to;      ///< inner destination; its family picks the UE address
  std::uint16_t to_port = 9;
};

/// Words of the threads of a Gnb that anyone may read (relaxed; they pair with nothing).
struct GnbCounters {
  std::atomic<std::uint64_t> uplink_packets{0}, uplink_bytes{0};
  std::atomic<std::uint64_t> downlink_packets{0}, downlink_bytes{0};
  std::atomic<std::uint64_t> echo_requests{0}, echo_responses{0}, end_markers{0};
  std::atomic<std::uint64_t> error_indications{0}, unknown_teid{0}, malformed{0},
      wrong_container{0};
  std::atomic<std::uint64_t> send_failed{0};     ///< the kernel took no more; the packet is lost
  std::atomic<std::uint64_t> uplink_refused{0};  ///< no IP, or larger than a tunnel can carry
};

/// Owner: the thread that opened it; its own threads touch only the sockets and counters.
class Gnb {
 public:
  /// Binds the socket, takes over the TUN descriptors of `config` and starts the mover.
  /// An error names "bind" or "ues[n].upf"; the TUN descriptors are then still the caller's.
  static Result<std::unique_ptr<Gnb>> open(GnbConfig config);
  ~Gnb();
  Gnb(const Gnb&) = delete;
  Gnb& operator=(const Gnb&) = delete;

  /// Starts a load; one at a time. An error names "to", "size", "pps" or "sessions".
  Status start_load(const LoadConfig& load);
  /// Ends a load before its time and waits for it; nothing happens when none runs.
  void stop_load() noexcept;
  bool load_running() const noexcept { return load_running_.load(std::memory_order_acquire); }
  /// Seconds that the last load took from its first packet to its last.
  double load_seconds() const noexcept { return load_seconds_; }
  const GnbCounters& counters() const noexcept { return counters_; }
  /// Sends an Echo Request to each UPF of the tunnels.
  void send_echo_requests() noexcept;
  /// Ends both threads and closes all descriptors. Idempotent.
  void stop() noexcept;

 private:
  struct Buffers;
  explicit Gnb(GnbConfig config);
  Status bind_socket();
  Status start_thread();
  void move_packets() noexcept;
  void move_uplink(UeTunnel& ue, Buffers& buffers) noexcept;
  bool move_downlink(Buffers& buffers) noexcept;
  void take_datagram(const std::byte* bytes, std::size_t n, const Endpoint& from) noexcept;
  void take_gpdu(const std::byte* bytes, std::size_t n, Teid teid) noexcept;
  /// @param load  lives as long as the thread that runs this: std::thread keeps its copy.
  void run_load(const LoadConfig& load) noexcept;

  GnbConfig config_;
  std::unordered_map<std::uint32_t, std::uint32_t> ue_by_teid_;  // read-only once started
  int socket_ = -1, epoll_ = -1, wake_ = -1;
  std::thread mover_, loader_;
  std::atomic<bool> load_stopping_{false};  // set by stop_load(), read by the loader
  std::atomic<bool> load_running_{false};   // release by the loader after load_seconds_
  double load_seconds_ = 0;
  GnbCounters counters_;
};

/// Makes a TUN device without packet information in the current network namespace; it is
/// gone when the descriptor is closed. An error names "device".
Result<int> open_tun(const std::string& name);

}  // namespace sluice::gnb
