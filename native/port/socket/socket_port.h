// The N3/N9 side through the kernel: GTP-U over UDP sockets, for each address, source port
// and worker one. Sockets of one address and port share it (SO_REUSEPORT); a BPF program
// picks among them by the TEID. Owner: the control thread; the queues belong to the
// workers. Start at open().
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "port/bpf.h"
#include "port/port.h"
#include "port/socket/socket_queue.h"

namespace sluice {

class SocketPort final : public Port {
 public:
  SocketPort(PortConfig config, std::uint8_t index) : Port(std::move(config), index) {}
  ~SocketPort() override { close(); }

  /// Binds all sockets, or none. Errors are on "addresses[i]", "addresses", "udpPort",
  /// "sourcePorts" or "role".
  Status open(std::span<PoolCache* const> caches) override;
  PortQueue& queue(unsigned worker) noexcept override { return *queues_[worker]; }
  void close() noexcept override;
  std::span<const std::uint16_t> source_ports() const noexcept override { return source_ports_; }
  std::map<std::string, std::string> capabilities() const override;
  bool steer(std::span<const std::uint8_t, 256> bucket_owner) noexcept override;

 private:
  /// Sockets of each worker while they are being opened.
  using Sockets = std::vector<std::vector<LocalSocket>>;

  Status check_config() const;
  Status bind_main(Sockets& sockets);
  Status bind_source_port(Sockets& sockets);
  /// Binds one socket for each worker to an address. @param port  0: the kernel chooses one.
  /// @return 0 or an errno; `sockets` has more entries only on success.
  int bind_group(const IpAddress& address, std::uint16_t& port, Sockets& sockets);
  int make_socket(const IpAddress& address, bool is_wildcard);
  int bind_socket(int fd, const IpAddress& address, std::uint16_t& port);
  void attach_steering() noexcept;
  Error bind_error(std::size_t address, std::uint16_t port, int error) const;

  std::vector<std::unique_ptr<SocketQueue>> queues_;
  std::vector<std::uint16_t> source_ports_;
  BucketOwners owners_{};
  bool gro_ = false;
  bool gso_ = false;
  int receive_buffer_bytes_ = 0;
  std::string steering_ = "none";
};

}  // namespace sluice
