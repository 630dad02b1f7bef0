#include "port/tun/tun_port.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "port/address_text.h"
#include "port/tun/masquerade.h"
#include "port/tun/netlink.h"

namespace sluice {
namespace {

// Younger than the kernel headers that the oldest supported systems have (Linux 6.2).
constexpr unsigned kOffloadUdp4 = 0x20;
constexpr unsigned kOffloadUdp6 = 0x40;
constexpr unsigned kOffloadTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
constexpr std::uint16_t kMtuMin = 68;
constexpr std::uint16_t kMtuMinV6 = 1280;

bool is_device_name(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c < 127 && c != '/' && c != ':' && c != '%'; });
}

Error driver_error(int error) {
  if (error == ENOENT || error == ENXIO || error == ENODEV) {
    return {
        "no TUN driver here: /dev/net/tun is missing; run modprobe tun, give the container "
        "--device /dev/net/tun, or use driver: memory",
        "driver"};
  }
  if (error == EPERM || error == EACCES) {
    return {
        "making a TUN device needs CAP_NET_ADMIN; run as root, or run: setcap cap_net_admin+ep "
        "\"$(readlink -f \"$(command -v node)\")\" (in a container: --cap-add NET_ADMIN), or use "
        "driver: memory",
        "driver"};
  }
  return {std::string("the TUN driver refused: ") + std::strerror(error), "driver"};
}

// The pool's address without host bits, plus `host` in its last octet.
IpPrefix pool_address(const IpPrefix& pool, std::uint8_t host) {
  IpPrefix result = pool;
  const unsigned bytes = pool.address.is_v6 ? 16 : 4;
  for (unsigned i = 0; i < bytes; ++i) {
    const unsigned kept = std::clamp<int>(pool.length - static_cast<int>(i * 8), 0, 8);
    result.address.bytes[i] &= static_cast<std::uint8_t>(0xff00 >> kept);
  }
  result.address.bytes[bytes - 1] |= host;
  return result;
}

}  // namespace

Status TunPort::check_config() const {
  if (config_.role != PortRole::Core) {
    return Error{"a tun port carries plain IP packets; set role: core", "role"};
  }
  if (!is_device_name(config_.device)) {
    return Error{"\"" + config_.device +
                     "\" is no device name: 1 to 15 printable characters without '/', ':' and '%'",
                 "device"};
  }
  bool has_v6 = false;
  for (std::size_t i = 0; i < config_.ue_pools.size(); ++i) {
    const IpPrefix& pool = config_.ue_pools[i];
    has_v6 = has_v6 || pool.address.is_v6;
    if (pool.length > (pool.address.is_v6 ? 128 : 32)) {
      return Error{"a prefix length of " + std::to_string(pool.length) + " is impossible",
                   "uePools[" + std::to_string(i) + "]"};
    }
  }
  const std::uint16_t least = has_v6 ? kMtuMinV6 : kMtuMin;
  if (config_.mtu < least || config_.mtu > kPacketBytesMax) {
    return Error{"an MTU of " + std::to_string(config_.mtu) + " is not possible; choose " +
                     std::to_string(least) + " to " + std::to_string(kPacketBytesMax),
                 "mtu"};
  }
  return Ok{};
}

Result<int> TunPort::open_queue(bool is_first) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return driver_error(errno);
  ifreq request{};
  // Exclusively at first: else the device of another program would lend us a queue.
  const int flags =
      IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR | (is_first ? IFF_TUN_EXCL : 0);
  request.ifr_flags = static_cast<short>(flags);
  std::memcpy(request.ifr_name, config_.device.data(), config_.device.size());
  if (::ioctl(fd, TUNSETIFF, &request) == 0) return fd;
  const int error = errno;
  ::close(fd);
  if (error == EBUSY || error == EEXIST) {
    return Error{"the device " + config_.device +
                     " exists already; stop the program that has it, delete it (ip link delete " +
                     config_.device + "), or choose another name",
                 "device"};
  }
  return driver_error(error);
}

void TunPort::set_offloads(int fd) noexcept {
  if (::ioctl(fd, TUNSETOFFLOAD, kOffloadTcp | kOffloadUdp4 | kOffloadUdp6) == 0) {
    offloads_ = {true, true};
  } else {
    offloads_ = {::ioctl(fd, TUNSETOFFLOAD, kOffloadTcp) == 0, false};
  }
}

Status TunPort::open_queues(std::span<PoolCache* const> caches) {
  for (PoolCache* cache : caches) {
    Result<int> fd = open_queue(queues_.empty());
    if (!fd) return fd.error();
    int header_bytes = sizeof(FrameHeader);
    ::ioctl(fd.value(), TUNSETVNETHDRSZ, &header_bytes);
    if (queues_.empty()) set_offloads(fd.value());
    queues_.push_back(std::make_unique<TunQueue>(fd.value(), index_, *cache, offloads_));
  }
  return Ok{};
}

void TunPort::attach_steering() noexcept {
  if (queues_.size() < 2) return;
  int program = load_program(tun_program(owners_));
  if (program < 0) {
    steering_ = std::string("kernel (bpf: ") + std::strerror(-program) + ")";
    return;
  }
  const bool attached = ::ioctl(queues_[0]->fd(), TUNSETSTEERINGEBPF, &program) == 0;
  steering_ = attached ? "ebpf" : std::string("kernel (tun: ") + std::strerror(errno) + ")";
  ::close(program);
}

Status TunPort::add_pool(Netlink& netlink, unsigned device, std::size_t pool) {
  const IpPrefix& prefix = config_.ue_pools[pool];
  // A network of one or two addresses has none to spare for this end.
  const bool has_host = prefix.length < (prefix.address.is_v6 ? 127 : 31);
  const IpPrefix address = pool_address(prefix, has_host ? 1 : 0);
  const int error =
      has_host ? netlink.add_address(device, address) : netlink.add_route(device, address);
  if (error == 0) return Ok{};
  std::string message = address_text(address.address) + "/" + std::to_string(address.length) +
                        " could not be given to " + config_.device + ": " + std::strerror(error);
  if (prefix.address.is_v6) message += "; if IPv6 is off: sysctl net.ipv6.conf.all.disable_ipv6=0";
  return Error{message, "uePools[" + std::to_string(pool) + "]"};
}

Status TunPort::configure_device() {
  const unsigned device = ::if_nametoindex(config_.device.c_str());
  Netlink netlink;
  int error = device == 0 ? errno : netlink.configure_link(device, config_.mtu);
  if (error != 0) {
    return Error{"the MTU of " + config_.device + " could not be set: " + std::strerror(error),
                 "mtu"};
  }
  error = netlink.set_link_up(device);
  if (error != 0) {
    return Error{config_.device + " could not be set up: " + std::strerror(error), "device"};
  }
  for (std::size_t i = 0; i < config_.ue_pools.size(); ++i) {
    if (Status status = add_pool(netlink, device, i); !status) return status;
  }
  if (!config_.masquerade) return Ok{};
  Status status = start_masquerade(config_.device, config_.ue_pools);
  masquerades_ = static_cast<bool>(status);
  return status;
}

Status TunPort::open(std::span<PoolCache* const> caches) {
  close();
  Status status = check_config();
  if (status) status = open_queues(caches);
  if (status) {
    attach_steering();
    status = configure_device();
  }
  if (!status) close();
  return status;
}

void TunPort::close() noexcept {
  if (masquerades_) stop_masquerade(config_.device);
  masquerades_ = false;
  queues_.clear();  // the device goes with its last descriptor
  steering_ = "none";
}

std::map<std::string, std::string> TunPort::capabilities() const {
  return {
      {"mtu", std::to_string(config_.mtu)},
      {"queues", std::to_string(queues_.size())},
      {"gso", offloads_.tcp ? "yes" : "no"},
      {"udpGso", offloads_.udp ? "yes" : "no"},
      {"steering", steering_},
      {"masquerade", masquerades_ ? "yes" : "no"},
  };
}

bool TunPort::steer(std::span<const std::uint8_t, 256> bucket_owner) noexcept {
  std::copy(bucket_owner.begin(), bucket_owner.end(), owners_.begin());
  attach_steering();
  return steering_ == "ebpf";
}

}  // namespace sluice
