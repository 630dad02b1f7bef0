#include "port/afxdp/afxdp_port.h"

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "port/afxdp/redirect_program.h"
#include "port/bpf.h"
#include "port/device_source_ports.h"
#include "port/netlink/redirect_target.h"

namespace sluice {
namespace {

constexpr std::uint32_t kMtuMax = XdpSocket::kFrameBytesMax - kLinkBytes;
/// Each socket keeps up to two rings full of packets: with more of them the pool would run dry.
constexpr unsigned kQueuesAWorker = 2;

/// One ethtool question about a device; 0 or an errno.
int ask_ethtool(const std::string& device, void* question) noexcept {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  ifreq request{};
  std::memcpy(request.ifr_name, device.data(), std::min<std::size_t>(device.size(), IFNAMSIZ - 1));
  request.ifr_data = static_cast<char*>(question);
  const int error = ::ioctl(fd, SIOCETHTOOL, &request) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

/// Receive queues that the device has; one where its driver does not say.
unsigned queues_of(const std::string& device) noexcept {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (ask_ethtool(device, &channels) != 0) return 1;
  return std::max(channels.combined_count + channels.rx_count, 1U);
}

/// Whether the device takes VLAN tags off before anybody sees them.
bool strips_vlans(const std::string& device) noexcept {
  ethtool_value flags{};
  flags.cmd = ETHTOOL_GFLAGS;
  return ask_ethtool(device, &flags) == 0 && (flags.data & ETH_FLAG_RXVLAN) != 0;
}

int make_socket_map(unsigned queues) noexcept {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  attr.map_type = BPF_MAP_TYPE_XSKMAP;
  attr.key_size = attr.value_size = 4;
  attr.max_entries = queues;
  const long fd = ::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

int put_socket(int map, std::uint32_t queue, int fd) noexcept {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  attr.map_fd = static_cast<std::uint32_t>(map);
  attr.key = reinterpret_cast<std::uint64_t>(&queue);
  attr.value = reinterpret_cast<std::uint64_t>(&fd);
  return ::syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof attr) == 0 ? 0 : errno;
}

Error program_error(const std::string& device, int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return {
          "no permission for an XDP program; run as root, or give the program CAP_NET_ADMIN and "
          "CAP_BPF",
          "driver"};
    case EBUSY:
    case EEXIST:
      return {device + " has an XDP program already, of another port or program (ip link show " +
                  device + "); stop that program, or take it off: ip link set " + device +
                  " xdp off",
              "device"};
    default:
      return {"the XDP program cannot be put before " + device + ": " + std::strerror(error),
              "driver"};
  }
}

}  // namespace

Status AfxdpPort::check_config() const {
  if (config_.device.empty()) {
    return Error{"an afxdp port needs the interface that it takes, such as eth1", "device"};
  }
  if (config_.role == PortRole::Access && config_.addresses.empty()) {
    return Error{"an access port needs at least one local address", "addresses"};
  }
  if (config_.role == PortRole::Core && config_.ue_pools.empty()) {
    return Error{
        "an afxdp port of role core needs the pools of UE addresses: what goes to them is its own, "
        "all else is the kernel's",
        "uePools"};
  }
  return check_device_source_ports(config_);
}

/// The device, or the one below it if it is a VLAN.
Status AfxdpPort::find_device(unsigned workers) {
  const unsigned named = ::if_nametoindex(config_.device.c_str());
  if (named == 0) {
    return Error{"there is no interface " + config_.device + " (ip link lists those there are)",
                 "device"};
  }
  auto watch = NextHopWatch::start(named, workers);
  if (!watch) return watch.error();
  watch_ = std::move(watch).value();
  interface_ = watch_->link().parent != 0 ? watch_->link().parent : named;
  char name[IF_NAMESIZE] = "";
  carrier_ = ::if_indextoname(interface_, name) != nullptr ? name : config_.device;
  return Ok{};
}

Status AfxdpPort::check_link() {
  const LinkState& link = watch_->link();
  if (!link.is_ethernet) {
    return Error{config_.device + " is no Ethernet interface; use a socket or tun port", "device"};
  }
  if (!link.is_up) {
    return Error{config_.device + " is down; set it up: ip link set " + config_.device + " up",
                 "device"};
  }
  if (link.vlan != 0 && strips_vlans(carrier_)) {
    return Error{carrier_ + " takes VLAN tags off before XDP sees them; keep them: ethtool -K " +
                     carrier_ + " rxvlan off",
                 "device"};
  }
  const std::uint32_t most = kMtuMax - (link.vlan != 0 ? kVlanBytes : 0);
  if (link.mtu > most) {
    return Error{"the MTU of " + config_.device + " is " + std::to_string(link.mtu) +
                     ", and a packet holds " + std::to_string(most) + "; ip link set " +
                     config_.device + " mtu " + std::to_string(most),
                 "device"};
  }
  std::uint16_t& mtu = config_.role == PortRole::Access ? config_.outer_mtu : config_.mtu;
  if (mtu == 0) mtu = static_cast<std::uint16_t>(link.mtu);
  if (mtu > link.mtu) {
    return Error{"is more than the MTU of " + config_.device + ", " + std::to_string(link.mtu) +
                     "; leave it out, or raise that",
                 "mtu"};
  }
  return Ok{};
}

/// Queue q of the device is worker q's, modulo their number.
Status AfxdpPort::open_queues(std::span<PoolCache* const> caches) {
  const auto workers = static_cast<unsigned>(caches.size());
  device_queues_ = queues_of(carrier_);
  if (device_queues_ < workers) {
    return Error{carrier_ + " has " + std::to_string(device_queues_) + " receive queues for " +
                     std::to_string(workers) + " workers, and each needs one: ethtool -L " +
                     carrier_ + " combined " + std::to_string(workers) +
                     " (a veth: rx N tx N), or lower workers.count",
                 "device"};
  }
  if (device_queues_ > kQueuesAWorker * workers) {
    return Error{carrier_ + " has " + std::to_string(device_queues_) + " receive queues for " +
                     std::to_string(workers) +
                     " workers, and each holds packets of the pool: "
                     "ethtool -L " +
                     carrier_ + " combined " + std::to_string(workers),
                 "device"};
  }
  sockets_ = make_socket_map(device_queues_);
  if (sockets_ < 0) return program_error(carrier_, -sockets_);
  for (unsigned w = 0; w < workers; ++w) {
    std::vector<std::unique_ptr<XdpSocket>> sockets;
    for (unsigned q = w; q < device_queues_; q += workers) {
      auto opened = XdpSocket::open(*caches[w], interface_, q, config_.busy_poll);
      if (!opened) return opened.error();
      if (const int error = put_socket(sockets_, q, opened.value()->fd()); error != 0) {
        return program_error(carrier_, error);
      }
      sockets.push_back(std::move(opened).value());
    }
    auto kernel = KernelSender::open(config_.device);
    if (!kernel) return kernel.error();
    queues_.push_back(std::make_unique<AfxdpQueue>(index_, *caches[w], std::move(sockets),
                                                   watch_->box(w), std::move(kernel).value(),
                                                   interface_));
    if (const int error = queues_.back()->start(); error != 0) {
      return Error{std::string("no file descriptor for a queue: ") + std::strerror(error),
                   "driver"};
    }
  }
  return Ok{};
}

Status AfxdpPort::make_lent() {
  if (!config_.forward_in_driver) return Ok{};
  if (watch_->link().vlan != 0) {
    return Error{
        config_.device + " is a VLAN, whose tags the driver hook does not write; leave it out",
        "forwardInDriver"};
  }
  auto made = LentFlows::create(config_.lent_pin);
  if (made) {
    lent_ = std::move(made).value();
  } else {
    lent_obstacle_ = made.error().message;
  }
  return Ok{};
}

Status AfxdpPort::attach() {
  const int program = load_program(
      redirect_program(config_, watch_->link().vlan, sockets_, lent_.get()), BPF_PROG_TYPE_XDP);
  if (program < 0) return program_error(carrier_, -program);
  while_busy([&] {
    link_ = attach_program(program, interface_, XDP_FLAGS_DRV_MODE);
    return link_ < 0 ? -link_ : 0;
  });
  is_native_ = link_ >= 0;
  // A driver without a hook of its own, or without one for this MTU.
  if (link_ < 0 && link_ != -EBUSY && link_ != -EEXIST && link_ != -EPERM) {
    link_ = attach_program(program, interface_, XDP_FLAGS_SKB_MODE);
  }
  ::close(program);
  return link_ >= 0 ? Status{Ok{}} : Status{program_error(carrier_, -link_)};
}

Status AfxdpPort::open(std::span<PoolCache* const> caches) {
  close();
  Status status = check_config();
  if (status) status = XdpSocket::available();  // before anything is begun
  if (status) status = find_device(static_cast<unsigned>(caches.size()));
  if (status) status = check_link();
  if (status) status = open_queues(caches);
  if (status) status = make_lent();
  if (status) status = attach();
  if (status) {
    source_ports_ = device_source_ports(config_);
  } else {
    close();
  }
  return status;
}

void AfxdpPort::close() noexcept {
  for (int* fd : {&link_, &sockets_}) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
  queues_.clear();
  lent_.reset();
  watch_.reset();
  source_ports_.clear();
  is_native_ = false;
}

std::map<std::string, std::string> AfxdpPort::capabilities() const {
  std::map<std::string, std::string> found{
      {"device", config_.device},
      {"mtu", std::to_string(config_.role == PortRole::Access ? config_.outer_mtu : config_.mtu)},
      {"queues", std::to_string(device_queues_)},
      {"steering", "device"},
      {"xdp", is_native_ ? "native" : "generic"},
  };
  if (config_.forward_in_driver) found["forwardInDriver"] = shortcoming().empty() ? "yes" : "no";
  const bool is_open = !queues_.empty();
  found["zeroCopy"] = is_open && queues_[0]->socket(0).is_zero_copy() ? "yes" : "no";
  if (config_.busy_poll) {
    found["busyPoll"] = is_open && queues_[0]->socket(0).polls_busily() ? "yes" : "no";
  }
  if (is_open && watch_->link().vlan != 0) {
    found["vlan"] = std::to_string(watch_->link().vlan) + " on " + carrier_;
  }
  return found;
}

std::string AfxdpPort::shortcoming() const {
  if (!config_.forward_in_driver || queues_.empty()) return {};
  if (lent_ == nullptr) return "its driver forwards nothing: " + lent_obstacle_;
  const std::string obstacle =
      obstacle_to_redirects(config_.device, RedirectTarget(interface_).ask());
  return obstacle.empty() ? obstacle : "nothing is forwarded by the driver to here: " + obstacle;
}

}  // namespace sluice
