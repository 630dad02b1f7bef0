#include "datagram/listening.h"

#include <linux/filter.h>
#include <sys/random.h>

#include <bit>
#include <functional>
#include <numeric>

#include "datagram/heartbeat.h"

namespace sluice::datagram {
namespace {

/// The kernel's choice among sockets of one name, by a datagram's payload and IP header. The
/// sources' classes depend on a random number, so that nobody can choose whose to be in.
/// @return 0 for what is too short to have a type, which the thread refuses.
std::vector<sock_filter> program_for(std::uint32_t family) {
  static_assert(std::has_single_bit(Listening::kSources));
  constexpr unsigned kShift = 32 - std::countr_zero(Listening::kSources);
  constexpr auto network = [](int at) { return static_cast<std::uint32_t>(SKF_NET_OFF + at); };
  std::uint32_t key = 0;
  // Fails only before the system's generator has started, long before there is a UPF.
  [[maybe_unused]] const auto n = getrandom(&key, sizeof(key), 0);
  std::vector<sock_filter> program;
  const auto add = [&](unsigned code, std::uint32_t k) {
    program.push_back({static_cast<std::uint16_t>(code), 0, 0, k});
  };
  if (family == 6) {
    constexpr int kSource = 8;
    add(BPF_LD | BPF_W | BPF_ABS, network(kSource));
    for (int word = 1; word < 4; ++word) {
      add(BPF_MISC | BPF_TAX, 0);
      add(BPF_LD | BPF_W | BPF_ABS, network(kSource + 4 * word));
      add(BPF_ALU | BPF_XOR | BPF_X, 0);
    }
  } else {
    constexpr int kSource = 12;
    add(BPF_LD | BPF_W | BPF_ABS, network(kSource));
  }
  add(BPF_ALU | BPF_MUL | BPF_K, key | 1);
  add(BPF_ALU | BPF_RSH | BPF_K, kShift);
  add(BPF_MISC | BPF_TAX, 0);
  add(BPF_LD | BPF_B | BPF_ABS, 1);  // the message type
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kHeartbeatRequestType, 1, 0));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kHeartbeatResponseType, 0, 2));
  add(BPF_LD | BPF_IMM, Listening::kSources);
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
  add(BPF_LD | BPF_IMM, 0);
  add(BPF_ALU | BPF_ADD | BPF_X, 0);
  add(BPF_RET | BPF_A, 0);
  return program;
}

/// Without it the kernel shares out by a hash of its own, of ports and addresses.
void share_out(const UdpSocket& socket) {
  std::vector<sock_filter> program = program_for(socket.family());
  const sock_fprog sharing{static_cast<std::uint16_t>(program.size()), program.data()};
  setsockopt(socket.fd(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &sharing, sizeof(sharing));
}

}  // namespace

Result<Listening> Listening::open(const Address& address, std::uint16_t port) {
  {
    // Whoever has the name, also one that would share it, refuses this one.
    auto alone = UdpSocket::open(address, port);
    if (!alone) return alone.error();
    port = alone.value().port();
  }
  Listening out;
  while (out.sockets_.size() < 2 * kSources) {
    auto socket = UdpSocket::open(address, port, /*shared=*/true);
    if (!socket) return socket.error();
    out.sockets_.push_back(std::move(socket).value());
  }
  share_out(out.sender());
  return out;
}

Result<UdpSocket> Listening::connect(const Address& peer, std::uint16_t port) {
  // Sockets may have one name if all say so when one is bound. These do at no other time: the
  // name is to be nobody else's.
  for (const UdpSocket& socket : sockets_) socket.share_name(true);
  auto made = UdpSocket::connect(sender(), peer, port);
  for (const UdpSocket& socket : sockets_) socket.share_name(false);
  return made;
}

std::uint64_t Listening::dropped() const noexcept {
  return std::transform_reduce(sockets_.begin(), sockets_.end(), std::uint64_t{0}, std::plus<>(),
                               [](const UdpSocket& socket) { return socket.dropped(); });
}

}  // namespace sluice::datagram
