#include "gnb/gnb.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "wire/gtpu.h"

namespace sluice::gnb {
namespace {

constexpr unsigned kBurst = 64;
constexpr std::size_t kBufferBytes = 9344;  // a jumbo frame with its tunnel header
constexpr std::size_t kHeaderBytes = 16;    // GTP-U with a PDU Session Container
constexpr std::uint64_t kWakeTag = ~0ull, kSocketTag = ~1ull;
constexpr int kSocketBufferBytes = 8 << 20;

void add(std::atomic<std::uint64_t>& counter, std::uint64_t n) noexcept {
  counter.fetch_add(n, std::memory_order_relaxed);
}

std::string system_error(const std::string& what) { return what + ": " + std::strerror(errno); }

}  // namespace

/// Room for one burst in each direction; lives on the mover's heap, made once.
struct Gnb::Buffers {
  std::array<std::array<std::byte, kBufferBytes>, kBurst> bytes;
  std::array<mmsghdr, kBurst> messages;
  std::array<iovec, kBurst> vectors;
  std::array<Endpoint, kBurst> peers;
};

bool Endpoint::operator==(const Endpoint& other) const noexcept {
  return length == other.length && std::memcmp(&storage, &other.storage, length) == 0;
}

Result<Endpoint> make_endpoint(const std::string& address, std::uint16_t port, const char* field) {
  Endpoint out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.length = sizeof(sockaddr_in);
    return out;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out.length = sizeof(sockaddr_in6);
    return out;
  }
  return Error{"\"" + address + "\" is no IP address", field};
}

Result<int> open_tun(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return Error{"the device name \"" + name + "\" must have 1 to 15 characters", "device"};
  }
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return Error{system_error("cannot open /dev/net/tun"), "device"};
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::memcpy(request.ifr_name, name.c_str(), name.size());
  if (ioctl(fd, TUNSETIFF, &request) < 0) {
    Error error{system_error("cannot make the TUN device " + name), "device"};
    close(fd);
    return error;
  }
  return fd;
}

Gnb::Gnb(GnbConfig config) : config_(std::move(config)) {
  ue_by_teid_.reserve(config_.ues.size());
  for (std::uint32_t i = 0; i < config_.ues.size(); ++i) {
    ue_by_teid_[static_cast<std::uint32_t>(config_.ues[i].own_teid)] = i;
  }
}

Result<std::unique_ptr<Gnb>> Gnb::open(GnbConfig config) {
  std::unique_ptr<Gnb> gnb(new Gnb(std::move(config)));
  Status bound = gnb->bind_socket();
  Status started = bound ? gnb->start_thread() : Status(Ok{});
  if (bound && started) return gnb;
  for (UeTunnel& ue : gnb->config_.ues) ue.tun_fd = -1;  // they stay the caller's
  return bound ? started.error() : bound.error();
}

Status Gnb::bind_socket() {
  auto endpoint = make_endpoint(config_.bind_address, config_.udp_port, "bind");
  if (!endpoint) return endpoint.error();
  const Endpoint& local = endpoint.value();
  socket_ = socket(local.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return Error{system_error("cannot make a UDP socket"), "bind"};
  // Best effort: without privilege the kernel caps the size, which only costs bursts.
  setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBufferBytes, sizeof(int));
  setsockopt(socket_, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBufferBytes, sizeof(int));
  if (bind(socket_, reinterpret_cast<const sockaddr*>(&local.storage), local.length) < 0) {
    const bool taken = errno == EADDRINUSE;
    std::string message = system_error("cannot bind " + config_.bind_address + " port " +
                                       std::to_string(config_.udp_port));
    if (taken) message += "; another gNB or UPF has it, choose another address with --bind";
    return Error{std::move(message), "bind"};
  }
  return Ok{};
}

Status Gnb::start_thread() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (epoll_ < 0 || wake_ < 0) return Error{system_error("cannot make an event queue"), ""};
  const auto watch = [this](int fd, std::uint64_t tag) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag;
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
  };
  bool ok = watch(socket_, kSocketTag) && watch(wake_, kWakeTag);
  for (std::size_t i = 0; ok && i < config_.ues.size(); ++i) {
    if (config_.ues[i].tun_fd >= 0) ok = watch(config_.ues[i].tun_fd, i);
  }
  if (!ok) return Error{system_error("cannot watch the TUN devices"), "ues"};
  mover_ = std::thread([this] { move_packets(); });
  return Ok{};
}

Gnb::~Gnb() { stop(); }

void Gnb::stop() noexcept {
  stop_load();
  if (wake_ >= 0) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
  }
  if (mover_.joinable()) mover_.join();
  for (int* fd : {&socket_, &epoll_, &wake_}) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
  for (UeTunnel& ue : config_.ues) {
    if (ue.tun_fd >= 0) close(ue.tun_fd);
    ue.tun_fd = -1;
  }
}

void Gnb::move_packets() noexcept {
  const auto buffers = std::make_unique<Buffers>();
  std::array<epoll_event, 32> events;
  for (;;) {
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    if (ready < 0 && errno != EINTR) return;
    for (int i = 0; i < ready; ++i) {
      const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
      if (tag == kWakeTag) return;
      if (tag == kSocketTag) {
        // One more burst while there is one, so that a flood costs few epoll calls;
        // then the UEs have their turn.
        for (int more = 0; more < 8 && move_downlink(*buffers); ++more) {
        }
      } else {
        move_uplink(config_.ues[tag], *buffers);
      }
    }
  }
}

void Gnb::move_uplink(UeTunnel& ue, Buffers& buffers) noexcept {
  const wire::PscFields container{.type = wire::kPscUplink, .qfi = ue.qfi};
  unsigned count = 0;
  std::uint64_t bytes = 0;
  while (count < kBurst) {
    std::byte* const start = buffers.bytes[count].data();
    const ssize_t n = read(ue.tun_fd, start + kHeaderBytes, kBufferBytes - kHeaderBytes);
    if (n < 0 && errno == EBADFD) {
      // The namespace with the device is gone: nothing will ever come from it again.
      epoll_ctl(epoll_, EPOLL_CTL_DEL, ue.tun_fd, nullptr);
    }
    if (n <= 0) break;
    wire::write_gpdu(start, ue.upf_teid, static_cast<std::uint16_t>(n), &container);
    buffers.vectors[count] = {start, static_cast<std::size_t>(n) + kHeaderBytes};
    msghdr& header = buffers.messages[count].msg_hdr;
    header = {};
    header.msg_name = &ue.upf.storage;
    header.msg_namelen = ue.upf.length;
    header.msg_iov = &buffers.vectors[count];
    header.msg_iovlen = 1;
    bytes += static_cast<std::uint64_t>(n);
    ++count;
  }
  add(counters_.uplink_packets, count);
  add(counters_.uplink_bytes, bytes);
  for (unsigned sent = 0; sent < count;) {
    const int n = sendmmsg(socket_, &buffers.messages[sent], count - sent, 0);
    if (n > 0) {
      sent += static_cast<unsigned>(n);
      continue;
    }
    // One datagram that cannot go (no route, socket full, a pending ICMP error) is
    // counted and left out; those behind it are tried.
    add(errno == EMSGSIZE ? counters_.uplink_refused : counters_.send_failed, 1);
    ++sent;
  }
}

bool Gnb::move_downlink(Buffers& buffers) noexcept {
  for (unsigned i = 0; i < kBurst; ++i) {
    buffers.vectors[i] = {buffers.bytes[i].data(), kBufferBytes};
    msghdr& header = buffers.messages[i].msg_hdr;
    header = {};
    header.msg_name = &buffers.peers[i].storage;
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_iov = &buffers.vectors[i];
    header.msg_iovlen = 1;
  }
  const int n = recvmmsg(socket_, buffers.messages.data(), kBurst, MSG_DONTWAIT, nullptr);
  for (int i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    buffers.peers[at].length = buffers.messages[at].msg_hdr.msg_namelen;
    take_datagram(buffers.bytes[at].data(), buffers.messages[at].msg_len, buffers.peers[at]);
  }
  return n == static_cast<int>(kBurst);
}

void Gnb::take_datagram(const std::byte* bytes, std::size_t n, const Endpoint& from) noexcept {
  wire::GtpuHeader header;
  if (wire::parse_gtpu(bytes, n, header) != DropReason::None) {
    add(counters_.malformed, 1);
    return;
  }
  switch (header.type) {
    case wire::kGtpuEchoRequest: {
      std::array<std::byte, wire::kEchoResponseBytes> answer;
      wire::write_echo_response(answer.data(), header.sequence);
      add(counters_.echo_requests, 1);
      if (sendto(socket_, answer.data(), answer.size(), MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&from.storage), from.length) < 0) {
        add(counters_.send_failed, 1);
      }
      break;
    }
    case wire::kGtpuEchoResponse:
      add(counters_.echo_responses, 1);
      break;
    case wire::kGtpuErrorIndication:
      add(counters_.error_indications, 1);
      break;
    case wire::kGtpuEndMarker:
      add(counters_.end_markers, 1);
      break;
    case wire::kGtpuGpdu:
      if (header.has_psc && header.psc_type != wire::kPscDownlink)
        add(counters_.wrong_container, 1);
      take_gpdu(bytes + header.payload_offset, header.payload_length, header.teid);
      break;
    default:
      add(counters_.malformed, 1);
  }
}

void Gnb::take_gpdu(const std::byte* bytes, std::size_t n, Teid teid) noexcept {
  const auto found = ue_by_teid_.find(static_cast<std::uint32_t>(teid));
  if (found == ue_by_teid_.end()) {
    add(counters_.unknown_teid, 1);
    return;
  }
  add(counters_.downlink_packets, 1);
  add(counters_.downlink_bytes, n);
  const UeTunnel& ue = config_.ues[found->second];
  if (ue.tun_fd >= 0 && write(ue.tun_fd, bytes, n) < 0) add(counters_.send_failed, 1);
}

void Gnb::send_echo_requests() noexcept {
  // S flag set; TEID 0; sequence 1; no information elements.
  constexpr std::array<std::uint8_t, 12> kRequest = {0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0};
  const Endpoint* before = nullptr;
  for (const UeTunnel& ue : config_.ues) {
    if (before != nullptr && *before == ue.upf) continue;
    before = &ue.upf;
    sendto(socket_, kRequest.data(), kRequest.size(), MSG_DONTWAIT,
           reinterpret_cast<const sockaddr*>(&ue.upf.storage), ue.upf.length);
  }
}

}  // namespace sluice::gnb
