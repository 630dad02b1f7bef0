// What a port is: a named door for packets with one queue per worker.
// Drivers: memory, pcap, socket, tun, afxdp, dpdk.
// A driver delivers and takes whole IP packets (an outer IP/UDP/GTP-U packet on an
// access port, a plain IP packet on a core port): link headers, kernel sockets and
// super-frames (GRO, TSO) are the driver's own affair, split at rx and joined at tx.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/counter.h"
#include "base/types.h"
#include "memory/lent_flow.h"
#include "memory/packet.h"

namespace sluice {

class PacketPool;
class PoolCache;

enum class PortRole : std::uint8_t { Access, Core };

/// An IP address in network byte order; IPv4 uses the first 4 bytes.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  bool is_v6 = false;
  bool operator==(const IpAddress&) const = default;
};
struct IpPrefix {
  IpAddress address;
  std::uint8_t length = 0;
};

inline constexpr std::uint16_t kClampToMtu = 0xffff;

struct PortConfig {
  std::string name;
  std::string driver;  ///< "memory", "pcap", "socket", "tun", "afxdp", "dpdk"
  PortRole role = PortRole::Access;
  std::vector<IpAddress> addresses;  ///< access: local GTP-U addresses; dpdk: answered for
  std::vector<IpAddress> advertise;  ///< access: each of them as peers know it; empty: the same
  std::vector<IpAddress> gateways;   ///< dpdk: the next hop, at most one a family
  std::vector<std::string> network_instances;  ///< "*" accepts any
  std::uint16_t udp_port = 2152;
  unsigned source_ports = 4;  ///< socket, afxdp, dpdk: how many flows are spread over; power of two
  bool esp_in_udp = false;    ///< socket: also UDP port 4500
  bool esp = false;           ///< afxdp: also ESP, by itself and in UDP port 4500
  bool busy_poll = false;     ///< afxdp: workers have the device look for packets themselves
  bool forward_in_driver = false;  ///< afxdp: packets of lent flows, memory/lent_flow.h
  std::string lent_pin;            ///< likewise: where they outlive the process; empty: nowhere
  std::string device;              ///< tun, afxdp: interface name; dpdk: its device
  std::uint16_t mtu = 1500;        ///< core
  std::uint16_t outer_mtu =
      0;  ///< access: of an outer packet; 0: no limit (afxdp, dpdk: the device's)
  bool decrements_ttl = false;
  std::uint16_t clamp_mss = 0;          ///< 0: no; kClampToMtu: what the MTU leaves
  std::vector<IpAddress> icmp_sources;  ///< core: at most one a family; else chosen
  std::vector<IpPrefix> ue_pools;
  bool masquerade = false;
  std::string file;         ///< pcap: capture to read, empty: none
  std::string output_file;  ///< pcap: capture to write, empty: none
};

/// Words that the queue's worker alone writes and anyone may read (relaxed).
struct alignas(kCacheLine) PortCounters {
  Counter rx_packets;
  Counter rx_bytes;
  Counter tx_packets;
  Counter tx_bytes;
  Counter tx_full;       ///< packets that tx() did not take
  Counter rx_missed;     ///< packets that the kernel or device had no room to keep for the port
  Counter rx_no_buffer;  ///< times rx stopped because the pool was empty
  /// Packets that are too big for a buffer, or malformed. Not in rx_packets.
  Counter rx_errors;
  Counter rx_ignored;  ///< frames of a device that are no IP packet for the node; in no other count
  Counter tx_errors;   ///< packets that tx() took and the kernel or device refused
};

/// What stands before a packet on a device, and for which destinations.
struct LinkWay {
  unsigned interface;
  std::array<std::uint8_t, 14> header;
  LentFlow::Range reach[3];  ///< the first, but for the others
};

/// One worker's end of a port. Owner: that worker's thread; nothing here blocks or throws.
class PortQueue {
 public:
  virtual ~PortQueue() = default;
  /// Receives up to `max` packets (at most 64), each set up by the driver: offset, length,
  /// port, flags. Returns how many. Never takes more than the pool has chunks for.
  virtual unsigned rx(Packet** packets, unsigned max) noexcept = 0;
  /// Sends packets in order and takes ownership of the first n, n being returned (the driver
  /// frees them to the pool when they are out). The rest stays with the caller.
  virtual unsigned tx(Packet* const* packets, unsigned count) noexcept = 0;
  /// Hands over what tx() joined or held back. Called after tx(), when packets left.
  virtual void flush() noexcept {}
  /// A descriptor that polls readable when rx() has something, or -1 (must be polled).
  virtual int wait_fd() const noexcept { return -1; }
  /// How a packet to an IPv4 address, in network order, leaves the device; false: not known, or
  /// not by headers that stay the same. Keeps the neighbour known.
  virtual bool way_to(std::uint32_t, LinkWay&) noexcept { return false; }
  /// Another value when way_to() may have other answers.
  virtual const void* ways() const noexcept { return nullptr; }
  /// Nothing of what tx() has taken waits for the device any more.
  virtual bool has_sent() const noexcept { return true; }
  const PortCounters& counters() const noexcept { return counters_; }
  /// Packets that the device's driver has forwarded by itself.
  void count_received(std::uint64_t packets, std::uint64_t bytes) noexcept {
    count(counters_.rx_packets, packets);
    count(counters_.rx_bytes, bytes);
  }
  void count_sent(std::uint64_t packets, std::uint64_t bytes) noexcept {
    count(counters_.tx_packets, packets);
    count(counters_.tx_bytes, bytes);
  }

 protected:
  static void count(Counter& counter, std::uint64_t n) noexcept { counter += n; }

  PortCounters counters_;
};

/// Owner: the control thread. Queues are valid until close().
class Port {
 public:
  Port(PortConfig config, std::uint8_t index) : config_(std::move(config)), index_(index) {}
  virtual ~Port() = default;
  /// Opens one queue per worker; each worker's cache is where its queue allocates and frees.
  /// An error names the field ("device", "addresses[0]", "file") and what to do.
  virtual Status open(std::span<PoolCache* const> caches) = 0;
  virtual PortQueue& queue(unsigned worker) noexcept = 0;
  virtual void close() noexcept = 0;
  /// UDP source ports a flow may use, power-of-two many; access ports only.
  virtual std::span<const std::uint16_t> source_ports() const noexcept { return {}; }
  /// Flows that its driver may forward by itself, null: it can't.
  virtual const LentTable* lent_flows() const noexcept { return nullptr; }
  /// Why it can't do all that it was asked for just now, and what to do; empty: it can.
  virtual std::string shortcoming() const { return {}; }
  /// What the driver found out: "gso": "yes", "mtu": "1500", "queues": "2" …
  virtual std::map<std::string, std::string> capabilities() const { return {}; }
  /// Says which worker owns a bucket, so that the driver can steer (kernel BPF programs).
  /// Called before open() and again whenever the table changes.
  /// @return whether packets come to their owners' queues; until open() that says nothing.
  virtual bool steer(std::span<const std::uint8_t, 256> bucket_owner) noexcept {
    (void)bucket_owner;
    return false;
  }
  /// What open() found out included.
  const PortConfig& config() const noexcept { return config_; }
  std::uint8_t index() const noexcept { return index_; }

 protected:
  PortConfig config_;
  std::uint8_t index_;
};

/// Interface of this machine that has the address; empty when none has it, or it is the loopback.
std::string device_of(const IpAddress& address);

/// Makes a port of the named driver; an unknown driver is an error on field "driver".
Result<std::unique_ptr<Port>> make_port(const PortConfig& config, std::uint8_t index);

}  // namespace sluice
