#include "smf/smf.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/topology.h"
#include "datagram/heartbeat.h"
#include "smf/message.h"

namespace sluice::smf {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;
/// How long the thread sleeps while nothing is due; it is woken for a load.
constexpr Nanoseconds kIdle = 1'000'000'000;
/// How exactly a rate and T1 are kept.
constexpr Nanoseconds kTick = 1'000'000;

Nanoseconds nanoseconds(double seconds) noexcept {
  return static_cast<Nanoseconds>(seconds * kNanosecondsPerSecond);
}

void write_one(int event_fd) noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(event_fd, &one, sizeof(one));
}

}  // namespace

/// A load on its way; the thread's stack.
struct Smf::Running {
  const Load& load;
  Nanoseconds start;
  Nanoseconds t1;
  std::uint32_t begun = 0;  // sessions that were looked at
  /// How long there is surely nothing to send.
  Nanoseconds until_next(Nanoseconds now) const noexcept {
    if (load.rate <= 0 || begun >= load.count) return kTick;
    const Nanoseconds next = due(begun);
    return next > now ? std::min(next - now, kTick) : kTick;
  }
  Nanoseconds due(std::uint32_t n) const noexcept {
    return start + static_cast<Nanoseconds>(n / load.rate * kNanosecondsPerSecond);
  }
};

Result<std::unique_ptr<Smf>> Smf::open(const SmfConfig& config) {
  auto socket = datagram::UdpSocket::open(config.bind, config.bind_port);
  if (!socket) return Error{socket.error().message, "bind"};
  std::unique_ptr<Smf> out(new Smf(config, std::move(socket).value()));
  out->wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (out->wake_fd_ < 0) return Error{"cannot make an event descriptor", ""};
  out->thread_ = std::thread([smf = out.get()] { smf->run(); });
  return out;
}

Smf::Smf(const SmfConfig& config, datagram::UdpSocket socket)
    : config_(config),
      socket_(std::move(socket)),
      target_(datagram::socket_address(config.target, config.target_port)),
      up_seids_(config.sessions_max) {}

Smf::~Smf() { stop(); }

void Smf::stop() noexcept {
  if (!thread_.joinable()) return;
  stop_load();
  // Relaxed, here and in stop_load(): the write below orders nothing but wakes the reader.
  stop_.store(true, std::memory_order_relaxed);
  write_one(wake_fd_);
  thread_.join();
  close(wake_fd_);
}

void Smf::stop_load() noexcept { stopping_load_.store(true, std::memory_order_relaxed); }

Status Smf::start_load(Load load) {
  if (running()) return Error{"a load is running", ""};
  const std::size_t size = load.request.size();
  if (size < kNodeHeaderBytes || size > kRequestBytesMax ||
      size < header_bytes(load.request.data())) {
    return Error{"a request has 16 to 2048 octets", "request"};
  }
  for (const Patch& patch : load.patches) {
    const std::size_t width = patch.kind == Patch::Kind::CpSeid ? 8 : 4;
    if (patch.offset + width > size) return Error{"a patch is outside the request", "patches"};
  }
  const bool of_session = header_bytes(load.request.data()) == kSessionHeaderBytes;
  const std::uint64_t end = std::uint64_t{load.first} + load.count;
  if (of_session ? end > up_seids_.size() : load.count != 1) {
    return Error{"there are no such sessions", "count"};
  }
  load.window = std::clamp<std::uint32_t>(load.window, 1, kPlaces / 2);
  load.tries = std::max<std::uint32_t>(load.tries, 1);
  load_ = std::move(load);
  outcome_ = {};
  answered_.store(0, std::memory_order_relaxed);
  stopping_load_.store(false, std::memory_order_relaxed);
  // Release: pairs with the acquire in run(): load_ and outcome_ come before it.
  running_.store(true, std::memory_order_release);
  write_one(wake_fd_);
  return Ok{};
}

// --- the thread ------------------------------------------------------------------------------

void Smf::run() noexcept {
  name_this_thread("sluice-smf");
  while (!stop_.load(std::memory_order_relaxed)) {
    // Acquire: pairs with the release in start_load().
    if (running_.load(std::memory_order_acquire)) run_load();
    receive(Clock::machine().now());
    wait(kIdle);
  }
}

void Smf::run_load() noexcept {
  const Nanoseconds start = Clock::machine().now();
  Running load{load_, start, nanoseconds(load_.t1_s)};
  const Nanoseconds end = start + nanoseconds(load_.seconds_max);
  Nanoseconds now = start;
  Nanoseconds last_answer = start;
  transactions_.clear();
  while (load.begun < load_.count || transactions_.under_way() > 0) {
    if (stopping_load_.load(std::memory_order_relaxed) || now >= end) {
      outcome_.timed_out = now >= end;
      outcome_.lost += transactions_.under_way();
      break;
    }
    const bool sent = send_due(load, now);
    const std::uint64_t before = answered_.load(std::memory_order_relaxed);
    const bool received = receive(now);
    now = Clock::machine().now();
    if (answered_.load(std::memory_order_relaxed) != before) last_answer = now;
    send_again(load, now);
    if (!sent && !received) wait(load.until_next(now));
    now = Clock::machine().now();
  }
  outcome_.seconds = static_cast<double>(last_answer - start) / kNanosecondsPerSecond;
  // Release: pairs with the acquire in running().
  running_.store(false, std::memory_order_release);
}

bool Smf::send_due(Running& load, Nanoseconds now) noexcept {
  const Load& what = load.load;
  const bool establishes = message_type(what.request.data()) == kEstablishmentRequest;
  const bool of_session = header_bytes(what.request.data()) == kSessionHeaderBytes;
  bool moved = false;
  while (load.begun < what.count && transactions_.under_way() < what.window && !sending_.full()) {
    const Nanoseconds due = what.rate > 0 ? load.due(load.begun) : now;
    if (due > now) break;
    const std::uint32_t session = what.first + load.begun;
    moved = true;
    if (of_session && !establishes && up_seids_[session] == 0) {
      ++outcome_.skipped;
      ++load.begun;
      continue;
    }
    Transaction* const transaction = transactions_.begin(session, due);
    if (transaction == nullptr) break;
    ++load.begun;
    ++outcome_.sent;
    queue(load, *transaction, now);
  }
  flush();
  return moved;
}

void Smf::send_again(Running& load, Nanoseconds now) noexcept {
  while (Transaction* const late = now > load.t1 ? transactions_.expired(now - load.t1) : nullptr) {
    if (late->tries >= load.load.tries) {
      ++outcome_.lost;
      transactions_.end(*late);
      continue;
    }
    ++outcome_.retransmitted;
    queue(load, *late, now);
    if (sending_.full()) flush();
  }
  flush();
}

void Smf::queue(Running& load, Transaction& transaction, Nanoseconds now) noexcept {
  const Load& what = load.load;
  std::byte* const bytes = request_bytes_[sending_.count()].data();
  std::memcpy(bytes, what.request.data(), what.request.size());
  const std::uint32_t session = transaction.session;
  const bool establishes = message_type(bytes) == kEstablishmentRequest;
  set_sequence(bytes, transaction.sequence);
  if (header_bytes(bytes) == kSessionHeaderBytes && !establishes) {
    wire::store64(bytes + 4, up_seids_[session]);
  }
  for (const Patch& patch : what.patches) {
    std::byte* const at = bytes + patch.offset;
    switch (patch.kind) {
      case Patch::Kind::CpSeid:
        wire::store64(at, config_.cp_seid_base + session);
        break;
      case Patch::Kind::Session:
        wire::store32(at, wire::load32(at) + session);
        break;
      case Patch::Kind::Sequence:
        wire::store32(at, wire::load32(at) + transaction.sequence);
        break;
    }
  }
  sending_.add(target_, bytes, what.request.size());
  transactions_.sent(transaction, now);
}

void Smf::flush() noexcept {
  if (sending_.count() == 0) return;
  const auto outcome = sending_.send(socket_.fd());
  // As if the network had lost them: they are sent again when nobody answers.
  outcome_.refused_by_system += outcome.failed + outcome.left;
}

bool Smf::receive(Nanoseconds now) noexcept {
  const unsigned count = received_.receive(socket_.fd());
  for (unsigned i = 0; i < count; ++i) take(received_.bytes(i), received_.from(i), now);
  if (answers_.count() > 0) answers_.send(socket_.fd());
  return count > 0;
}

void Smf::take(std::span<const std::byte> bytes, const sockaddr_storage& from,
               Nanoseconds now) noexcept {
  if (!is_whole(bytes)) return;
  const std::uint8_t type = message_type(bytes.data());
  if (type == kHeartbeatRequest) {
    if (!datagram::is_heartbeat_request(bytes.data(), bytes.size())) return;
    std::uint32_t port = 0;
    const datagram::Address source = datagram::address_of(from, port);
    std::byte* const answer = answer_bytes_[answers_.count()].data();
    datagram::HeartbeatResponse response;
    datagram::write_heartbeat_response(bytes.data(), config_.recovery_time_stamp, response);
    std::memcpy(answer, response.data(), response.size());
    answers_.add(datagram::socket_address(source, port), answer, response.size());
    heartbeats_.fetch_add(1, std::memory_order_relaxed);
  } else if (type == kReportRequest) {
    answer_report(bytes, from);
  } else if (is_response(type) && running_.load(std::memory_order_relaxed)) {
    // Other requests of the UPF, such as Node Reports, get no answer: many SMFs give none.
    take_response(bytes, header_bytes(bytes.data()), now);
  }
}

void Smf::take_response(std::span<const std::byte> bytes, std::size_t header,
                        Nanoseconds now) noexcept {
  Transaction* const transaction = transactions_.find(sequence_of(bytes.data()));
  const std::uint8_t request = message_type(load_.request.data());
  if (transaction == nullptr || message_type(bytes.data()) != request + 1) {
    ++outcome_.stray;
    return;
  }
  const Answer answer = read_answer(bytes.subspan(header));
  ++outcome_.causes[answer.cause];
  if (answer.cause == kAccepted && request == kEstablishmentRequest) {
    up_seids_[transaction->session] = answer.up_seid;
  } else if (request == kDeletionRequest) {
    // Whatever the answer is, there is nothing more to be asked of this session.
    up_seids_[transaction->session] = 0;
  }
  outcome_.latencies.add(now > transaction->due ? now - transaction->due : 0);
  transactions_.end(*transaction);
  answered_.fetch_add(1, std::memory_order_relaxed);
}

void Smf::answer_report(std::span<const std::byte> bytes, const sockaddr_storage& from) noexcept {
  if (header_bytes(bytes.data()) != kSessionHeaderBytes) return;
  const std::uint64_t session = wire::load64(bytes.data() + 4) - config_.cp_seid_base;
  const std::uint64_t up_seid = session < up_seids_.size() ? up_seids_[session] : 0;
  std::uint32_t port = 0;
  const datagram::Address source = datagram::address_of(from, port);
  std::byte* const answer = answer_bytes_[answers_.count()].data();
  const std::size_t length = write_report_response(bytes.data(), up_seid, answer);
  answers_.add(datagram::socket_address(source, port), answer, length);
  reports_.fetch_add(1, std::memory_order_relaxed);
}

void Smf::wait(Nanoseconds nanoseconds) noexcept {
  std::array<pollfd, 2> polled = {pollfd{socket_.fd(), POLLIN, 0}, pollfd{wake_fd_, POLLIN, 0}};
  constexpr Nanoseconds kSecond = 1'000'000'000;
  const timespec timeout{static_cast<time_t>(nanoseconds / kSecond),
                         static_cast<long>(nanoseconds % kSecond)};
  ppoll(polled.data(), polled.size(), &timeout, nullptr);
  std::uint64_t rings;
  if (polled[1].revents != 0) {
    [[maybe_unused]] const auto n = read(wake_fd_, &rings, sizeof(rings));
  }
}

}  // namespace sluice::smf
