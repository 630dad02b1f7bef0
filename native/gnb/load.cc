// The load generator of a Gnb: templates, pacing, and batches that the kernel splits (GSO).
#include <arpa/inet.h>
#include <linux/udp.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "gnb/gnb.h"
#include "wire/gtpu.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

namespace sluice::gnb {
namespace {

constexpr unsigned kBatch = 32;  // datagrams that one system call sends
constexpr std::size_t kTunnelBytes = 16;
constexpr std::size_t kIpv6Bytes = 40;
constexpr std::size_t kSequenceBytes = 8;
constexpr std::size_t kInnerBytesMax = 1900;  // 32 of them fit one GSO send
constexpr std::uint16_t kFirstSourcePort = 20000;

double now_s() noexcept {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void sleep_s(double seconds) noexcept {
  const double bounded = std::min(seconds, 0.01);
  timespec t{0, static_cast<long>(bounded * 1e9)};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &t, nullptr);
}

/// An address in network byte order, 4 or 16 bytes.
struct Address {
  std::array<std::byte, 16> bytes{};
  bool is_v6 = false;
};

bool parse_address(const std::string& text, Address& out) noexcept {
  if (inet_pton(AF_INET, text.c_str(), out.bytes.data()) == 1) return true;
  out.is_v6 = true;
  return inet_pton(AF_INET6, text.c_str(), out.bytes.data()) == 1;
}

/// One UE as the generator needs it.
struct Source {
  const UeTunnel* ue;
  Address address;
};

/// Makes the datagrams of one batch and sends them with one call.
class Batch {
 public:
  Batch(const LoadConfig& load, const Address& to) noexcept : load_(load), to_(to) {}
  std::size_t datagram_bytes() const noexcept { return kTunnelBytes + load_.inner_bytes; }

  void put(unsigned position, const Source& from, std::uint64_t sequence) noexcept {
    std::byte* const start = bytes_.data() + position * datagram_bytes();
    const wire::PscFields container{.type = wire::kPscUplink, .qfi = from.ue->qfi};
    wire::write_gpdu(start, from.ue->upf_teid, static_cast<std::uint16_t>(load_.inner_bytes),
                     &container);
    write_inner(start + kTunnelBytes, from.address, sequence);
  }

  /// @return whether the kernel took all of it.
  bool send(int socket, const Endpoint& upf, unsigned count) noexcept {
    iovec vector{bytes_.data(), count * datagram_bytes()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    msghdr message{};
    message.msg_name = const_cast<sockaddr_storage*>(&upf.storage);
    message.msg_namelen = upf.length;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (count > 1) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = IPPROTO_UDP;
      header->cmsg_type = UDP_SEGMENT;
      header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
      const auto size = static_cast<std::uint16_t>(datagram_bytes());
      std::memcpy(CMSG_DATA(header), &size, sizeof size);
    }
    return sendmsg(socket, &message, MSG_DONTWAIT) >= 0;
  }

 private:
  void write_inner(std::byte* ip, const Address& from, std::uint64_t sequence) noexcept {
    const std::size_t header = from.is_v6 ? kIpv6Bytes : wire::kIpv4Bytes;
    const auto udp_bytes = static_cast<std::uint16_t>(load_.inner_bytes - header);
    std::byte* const udp = ip + header;
    const auto port = static_cast<std::uint16_t>(kFirstSourcePort + sequence % load_.flows);
    wire::write_udp(udp, port, load_.to_port, udp_bytes);
    wire::store64(udp + wire::kUdpBytes, sequence);
    if (!from.is_v6) {
      wire::write_ipv4(ip, {.source = wire::load32(from.bytes.data()),
                            .destination = wire::load32(to_.bytes.data()),
                            .total_length = static_cast<std::uint16_t>(load_.inner_bytes)});
      return;
    }
    wire::store32(ip, 0x60000000);
    wire::store16(ip + 4, udp_bytes);
    wire::store16(ip + 6, wire::kProtocolUdp << 8 | 64);
    std::memcpy(ip + 8, from.bytes.data(), 16);
    std::memcpy(ip + 24, to_.bytes.data(), 16);
    wire::fill_udp_checksum(udp, udp_bytes,
                            wire::pseudo_header_v6(ip + 8, ip + 24, wire::kProtocolUdp, udp_bytes));
  }

  const LoadConfig& load_;
  const Address& to_;
  std::array<std::byte, kBatch*(kTunnelBytes + kInnerBytesMax)> bytes_{};
};

std::vector<Source> sources_of(const std::vector<UeTunnel>& ues, bool is_v6) {
  std::vector<Source> sources;
  for (const UeTunnel& ue : ues) {
    Address address;
    const std::string& text = is_v6 ? ue.ipv6 : ue.ipv4;
    if (!text.empty() && parse_address(text, address)) sources.push_back({&ue, address});
  }
  return sources;
}

}  // namespace

Status Gnb::start_load(const LoadConfig& load) {
  Address to;
  if (!parse_address(load.to, to)) return Error{"\"" + load.to + "\" is no IP address", "to"};
  const std::size_t least =
      (to.is_v6 ? kIpv6Bytes : wire::kIpv4Bytes) + wire::kUdpBytes + kSequenceBytes;
  if (load.inner_bytes < least || load.inner_bytes > kInnerBytesMax) {
    return Error{"packets have " + std::to_string(least) + " to " + std::to_string(kInnerBytesMax) +
                     " bytes",
                 "size"};
  }
  if (!(load.packets_per_s > 0)) return Error{"the rate must be more than 0", "pps"};
  if (load.flows == 0 || load.flows > 40000) return Error{"1 to 40000 flows", "flows"};
  if (sources_of(config_.ues, to.is_v6).empty()) {
    return Error{"no session has an address of the destination's family", "sessions"};
  }
  if (load_running()) return Error{"a load is running already", ""};
  stop_load();  // joins the thread of the load before
  load_stopping_.store(false, std::memory_order_relaxed);
  load_running_.store(true, std::memory_order_relaxed);
  loader_ = std::thread([this, load] { run_load(load); });
  return Ok{};
}

void Gnb::stop_load() noexcept {
  load_stopping_.store(true, std::memory_order_relaxed);
  if (loader_.joinable()) loader_.join();
}

void Gnb::run_load(const LoadConfig& load) noexcept {
  Address to;
  parse_address(load.to, to);
  const std::vector<Source> sources = sources_of(config_.ues, to.is_v6);
  const auto batch = std::make_unique<Batch>(load, to);
  const auto total = static_cast<std::uint64_t>(load.packets_per_s * load.seconds);
  const double start = now_s();
  std::uint64_t made = 0;
  std::size_t at = 0;
  while (made < total && !load_stopping_.load(std::memory_order_relaxed)) {
    const double elapsed = now_s() - start;
    // Past the end only the last batch still goes: a rate that is not reached shows as such.
    if (elapsed >= load.seconds && total - made > kBatch) break;
    const auto due = std::min(total, static_cast<std::uint64_t>(elapsed * load.packets_per_s) + 1);
    if (due <= made) {
      sleep_s(static_cast<double>(made + 1) / load.packets_per_s - elapsed);
      continue;
    }
    const auto wanted = static_cast<unsigned>(std::min<std::uint64_t>(kBatch, due - made));
    const Endpoint& upf = sources[at].ue->upf;
    unsigned count = 0;
    while (count < wanted && sources[at].ue->upf == upf) {
      batch->put(count, sources[at], made + count);
      at = at + 1 == sources.size() ? 0 : at + 1;
      ++count;
    }
    made += count;
    if (batch->send(socket_, upf, count)) {
      counters_.uplink_packets.fetch_add(count, std::memory_order_relaxed);
      counters_.uplink_bytes.fetch_add(std::uint64_t{count} * load.inner_bytes,
                                       std::memory_order_relaxed);
    } else {
      counters_.send_failed.fetch_add(count, std::memory_order_relaxed);
    }
  }
  load_seconds_ = now_s() - start;
  load_running_.store(false, std::memory_order_release);  // pairs with load_running()
}

}  // namespace sluice::gnb
