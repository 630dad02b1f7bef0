#include "datagram/datagrams.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "base/clock.h"
#include "base/topology.h"
#include "datagram/heartbeat.h"
#include "datagram/tempo.h"

namespace sluice::datagram {
namespace {

constexpr std::uint64_t kHeartbeatSet = std::uint64_t{1} << 32;
/// Batches of one socket before the others, and those that wait, have their turn.
constexpr unsigned kBatchesInTurn = 4;
/// Sockets with something in them that one look finds; the next look begins with the others.
constexpr int kReadyMax = 64;
/// A socket that takes no more is tried again after this.
constexpr int kRetryMs = 1;

// Values of sleep_.
constexpr std::uint32_t kAwake = 0, kAsleep = 1, kWantsRoom = 2;

int fd_of(const epoll_event& event) noexcept {
  return static_cast<int>(event.data.u64 & 0xffffffff);
}

void write_one(int event_fd) noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(event_fd, &one, sizeof(one));
}

HalfSipHash<> random_hash() {
  std::array<std::uint32_t, 2> key{};
  // Fails only before the system's generator has started, long before there is a UPF.
  [[maybe_unused]] const auto n = getrandom(key.data(), sizeof(key), 0);
  return {key[0], key[1]};
}

}  // namespace

struct Datagrams::Thread {
  Thread(std::uint32_t chunks, HalfSipHash<> key, const std::shared_ptr<ShedCounts>& strangers)
      : hash(key), turns(chunks, key, strangers) {}

  HalfSipHash<> hash;
  Turns turns;
  AllowList allowed;
  std::uint32_t settings_version = 0;
  ReceiveBatch received;
  SendBatch sending;
  SendBatch answers;
  std::array<HeartbeatResponse, kBatch> answer_bytes;
  std::array<epoll_event, kReadyMax> events;
  std::span<const epoll_event> ready;
  bool send_full = false;  // a socket took no more
  Tempo tempo;
};

Datagrams::Datagrams(DatagramsConfig config)
    : config_(std::move(config)),
      send_memory_(static_cast<std::byte*>(std::aligned_alloc(kCacheLine, kSendRingBytes)),
                   [](std::byte* memory) { std::free(memory); }),
      up_(config_.ring.data(), config_.ring.size()),
      down_(send_memory_.get(), kSendRingBytes),
      peer_sockets_(config_.peer_port) {}

Result<std::unique_ptr<Datagrams>> Datagrams::open(DatagramsConfig config) {
  std::unique_ptr<Datagrams> out(new Datagrams(std::move(config)));
  for (std::size_t i = 0; i < out->config_.listen.size(); ++i) {
    const auto& [host, port] = out->config_.listen[i];
    const std::string field = "listen[" + std::to_string(i) + "]";
    const Address address = parse_address(host);
    if (address.family == 0) return Error{"\"" + host + "\" is no IP address", field};
    auto listening = Listening::open(address, port);
    if (!listening) return Error{listening.error().message, field};
    out->listening_.push_back(std::move(listening).value());
  }
  out->wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  out->watch_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (out->wake_fd_ < 0 || out->watch_fd_ < 0) return Error{strerrorname_np(errno), ""};
  for (std::uint32_t local = 0; local < out->listening_.size(); ++local) {
    for (const UdpSocket& socket : out->listening_[local].sockets()) out->watch(socket.fd(), local);
  }
  out->watch(out->wake_fd_, 0);
  out->thread_ = std::thread([datagrams = out.get()] { datagrams->run(); });
  return out;
}

Datagrams::~Datagrams() {
  stop();
  for (const int fd : {wake_fd_, watch_fd_}) {
    if (fd >= 0) close(fd);
  }
}

void Datagrams::stop() noexcept {
  if (!thread_.joinable()) return;
  stop_.store(true, std::memory_order_seq_cst);
  write_one(wake_fd_);
  thread_.join();
  peer_sockets_.close();
  listening_.clear();
}

// --- the control thread ---------------------------------------------------------------------

unsigned Datagrams::receive(Header* out, unsigned max) noexcept {
  for (;;) {
    unsigned count = 0;
    while (count < max) {
      const Header* const header = up_.next();
      if (header == nullptr) break;
      out[count++] = *header;
    }
    if (count > 0 || !thread_.joinable()) return count;
    // Pairs with ring_bell(): both change the word in one step, so that either the thread sees
    // it set, or what it committed before is seen here.
    armed_.exchange(true, std::memory_order_seq_cst);
    if (up_.empty()) return 0;
    // Something came in between; whoever takes the word back has to see to it.
    if (!armed_.exchange(false, std::memory_order_seq_cst)) return 0;
  }
}

void Datagrams::release() noexcept {
  up_.release();
  if (sleep_.fetch_add(0, std::memory_order_acq_rel) == kWantsRoom) write_one(wake_fd_);
}

bool Datagrams::send(std::uint32_t local, const Address& to, std::uint32_t port,
                     const std::byte* bytes, std::size_t length) noexcept {
  Header* header = nullptr;
  if (local < listening_.size() && length <= kDatagramBytesMax) header = down_.reserve(length);
  if (header == nullptr) {
    ++send_full_;
    return false;
  }
  header->family = to.family;
  header->address = to.words;
  header->port = port;
  header->local = local;
  if (length > 0) std::memcpy(DatagramRing::payload(header), bytes, length);
  down_.commit();
  return true;
}

void Datagrams::flush() noexcept {
  if (down_.drained()) return;
  // Pairs with sleep(), as in release(): both change the word in one step; either the sleeper
  // sees what was done before this, or this sees the sleeper.
  if (sleep_.fetch_add(0, std::memory_order_acq_rel) != kAwake) write_one(wake_fd_);
}

void Datagrams::set_heartbeat(std::uint32_t recovery_time_stamp) noexcept {
  // Relaxed, as progress_: one word that orders nothing.
  heartbeat_.store(kHeartbeatSet | recovery_time_stamp, std::memory_order_relaxed);
}

void Datagrams::progress() noexcept {
  progress_.store(Clock::machine().now(), std::memory_order_relaxed);
}

void Datagrams::set_allowed(AllowList allowed) {
  const std::lock_guard lock(settings_mutex_);
  settings_.allowed = std::move(allowed);
  settings_version_.fetch_add(1, std::memory_order_release);
}

void Datagrams::set_peers(const std::vector<Address>& peers) {
  std::vector<Peer> next;
  for (const Address& address : peers) {
    const auto same = [&](const Peer& peer) { return peer.address == address; };
    const auto known = std::find_if(peers_.begin(), peers_.end(), same);
    next.push_back(known != peers_.end() ? *known : Peer{address, std::make_shared<ShedCounts>()});
  }
  peers_ = std::move(next);
  const std::lock_guard lock(settings_mutex_);
  settings_.peers = peers_;
  settings_version_.fetch_add(1, std::memory_order_release);
}

std::vector<std::uint16_t> Datagrams::ports() const {
  std::vector<std::uint16_t> out;
  for (const Listening& one : listening_) out.push_back(one.port());
  return out;
}

std::uint64_t Datagrams::socket_full() const noexcept {
  std::uint64_t out = 0;
  for (const Listening& one : listening_) out += one.dropped();
  const std::lock_guard lock(settings_mutex_);
  return out + peer_sockets_.dropped();
}

std::vector<SourceShed> Datagrams::shed_by_source() const {
  std::vector<SourceShed> out;
  const auto add = [&](std::string address, const ShedCounts& shed) {
    if (shed[0] + shed[1] + shed[2] == 0) return;
    out.push_back({std::move(address), {shed[0], shed[1], shed[2]}});
  };
  add("", *strangers_shed_);
  for (const Peer& peer : peers_) add(address_text(peer.address), *peer.shed);
  return out;
}

// --- the thread ------------------------------------------------------------------------------

void Datagrams::run() noexcept {
  name_this_thread("sluice-n4");
  const auto own = std::make_unique<Thread>(config_.waiting_chunks, random_hash(), strangers_shed_);
  prctl(PR_SET_TIMERSLACK, 1);  // a tick is not to become two
  while (!stop_.load(std::memory_order_relaxed)) {
    const Nanoseconds now = Clock::machine().now();
    take_settings(*own, now);
    const std::uint64_t before = counters_.received + counters_.sent;
    bool more = false;
    for (const epoll_event& event : own->ready) {
      const int fd = fd_of(event);
      if (fd == wake_fd_) continue;
      more |= receive_from(*own, fd, static_cast<std::uint32_t>(event.data.u64 >> 32), now);
    }
    const unsigned served = own->turns.serve(up_, now);
    if (served > 0) ring_bell();
    counters_.waiting = own->turns.waiting();
    send_queued(*own);
    own->tempo.count(counters_.received + counters_.sent - before);
    if (more) {
      wait(*own, 0);
    } else if (own->tempo.is_fast(now)) {
      const timespec tick{0, static_cast<long>(Tempo::kTick)};
      clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, nullptr);
      wait(*own, 0);
    } else {
      sleep(*own, own->send_full ? kRetryMs : -1);
    }
  }
  // What was flushed before the end goes out, as far as the sockets take it at once.
  send_queued(*own);
}

/// A socket that is closed is out of it by itself; one that is there already stays.
void Datagrams::watch(int fd, std::uint32_t local) noexcept {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = std::uint64_t{local} << 32 | static_cast<std::uint32_t>(fd);
  epoll_ctl(watch_fd_, EPOLL_CTL_ADD, fd, &event);
}

void Datagrams::wait(Thread& own, int timeout_ms) noexcept {
  const int n = epoll_wait(watch_fd_, own.events.data(), kReadyMax, timeout_ms);
  own.ready = {own.events.data(), static_cast<std::size_t>(std::max(n, 0))};
}

void Datagrams::take_settings(Thread& own, Nanoseconds now) {
  // Acquire: pairs with the release in set_allowed() and set_peers().
  const std::uint32_t version = settings_version_.load(std::memory_order_acquire);
  if (version == own.settings_version) return;
  own.settings_version = version;
  const std::lock_guard lock(settings_mutex_);
  own.allowed = settings_.allowed;
  own.turns.set_peers(settings_.peers);
  peer_sockets_.set(settings_.peers, listening_, [&](PeerSocket& one) {
    // What has come in by then was sent to us.
    receive_from(own, one.socket.fd(), one.local, now);
  });
  for (const PeerSocket& one : peer_sockets_.all()) watch(one.socket.fd(), one.local);
  own.ready = {};  // may name sockets that are closed now
}

bool Datagrams::receive_from(Thread& own, int fd, std::uint32_t local, Nanoseconds now) noexcept {
  for (unsigned batch = 0; batch < kBatchesInTurn; ++batch) {
    const unsigned count = own.received.receive(fd);
    for (unsigned i = 0; i < count; ++i) take(own, local, i, now);
    // An answer that the socket has no room for is lost, as on any network.
    if (own.answers.count() > 0) counters_.send_failed += send_batch(own, own.answers, local);
    if (count < kBatch) return false;
  }
  return true;
}

bool Datagrams::answers_heartbeat(Nanoseconds now) const noexcept {
  return heartbeat_.load(std::memory_order_relaxed) != 0 &&
         now < progress_.load(std::memory_order_relaxed) + kProgress;
}

void Datagrams::take(Thread& own, std::uint32_t local, unsigned i, Nanoseconds now) noexcept {
  Header header;
  const Address from = address_of(own.received.from(i), header.port);
  if (!own.allowed.has(from)) {
    ++counters_.not_allowed;
    return;
  }
  const auto bytes = own.received.bytes(i);
  ++counters_.received;
  counters_.received_bytes += bytes.size();
  if (is_heartbeat_request(bytes.data(), bytes.size()) && answers_heartbeat(now)) {
    HeartbeatResponse& answer = own.answer_bytes[own.answers.count()];
    const std::uint64_t stamp = heartbeat_.load(std::memory_order_relaxed);
    write_heartbeat_response(bytes.data(), static_cast<std::uint32_t>(stamp), answer);
    own.answers.add(socket_address(from, header.port), answer.data(), answer.size());
    ++counters_.heartbeats_answered;
    if (!observed_.load(std::memory_order_relaxed)) return;
    header.flags = kAnswered;
  }
  header.family = from.family;
  header.address = from.words;
  header.local = local;
  header.length = static_cast<std::uint32_t>(bytes.size());
  header.datagram_class = static_cast<std::uint32_t>(class_of(bytes.data(), bytes.size()));
  const std::uint64_t hash = own.hash(bytes.data(), bytes.size());
  header.hash_low = static_cast<std::uint32_t>(hash);
  header.hash_high = static_cast<std::uint32_t>(hash >> 32);
  if (!own.turns.add(header, bytes.data(), now)) ++counters_.shed[header.datagram_class];
}

unsigned Datagrams::send_batch(Thread& own, SendBatch& batch, std::uint32_t local) noexcept {
  const SendBatch::Outcome outcome = batch.send(listening_[local].sender().fd());
  counters_.sent += outcome.sent;
  counters_.sent_bytes += outcome.sent_bytes;
  counters_.send_failed += outcome.failed;
  own.send_full |= outcome.left > 0;
  return outcome.left;
}

void Datagrams::send_queued(Thread& own) noexcept {
  own.send_full = false;
  while (!own.send_full) {
    std::uint32_t local = 0;
    std::array<std::uint64_t, kBatch + 1> positions;
    while (!own.sending.full()) {
      positions[own.sending.count()] = down_.read_position();
      const Header* const header = down_.next();
      if (header == nullptr) break;
      if (own.sending.count() > 0 && header->local != local) {
        down_.go_back(positions[own.sending.count()]);
        break;
      }
      local = header->local;
      own.sending.add(socket_address(header->source(), header->port), DatagramRing::payload(header),
                      header->length);
    }
    if (own.sending.count() == 0) break;
    const unsigned count = own.sending.count();
    const unsigned left = send_batch(own, own.sending, local);
    if (left > 0) down_.go_back(positions[count - left]);
    down_.release();
  }
}

void Datagrams::ring_bell() noexcept {
  // Pairs with receive(): see there.
  if (armed_.exchange(false, std::memory_order_seq_cst)) config_.wake();
}

bool Datagrams::has_work(const Thread& own) const noexcept {
  if (stop_.load(std::memory_order_seq_cst) || (!own.send_full && !down_.empty())) return true;
  // Acquire: as in take_settings().
  return settings_version_.load(std::memory_order_acquire) != own.settings_version;
}

void Datagrams::sleep(Thread& own, int timeout_ms) noexcept {
  const bool waiting = own.turns.waiting() > 0;
  // Pairs with release() and flush(): what they did before they looked is seen below.
  sleep_.exchange(waiting ? kWantsRoom : kAsleep, std::memory_order_acq_rel);
  const bool served = waiting && own.turns.serve(up_, Clock::machine().now()) > 0;
  if (served) ring_bell();
  const bool work = served || has_work(own);
  wait(own, work ? 0 : timeout_ms);
  sleep_.store(kAwake, std::memory_order_relaxed);
  const auto rung = [&](const epoll_event& event) { return fd_of(event) == wake_fd_; };
  if (std::none_of(own.ready.begin(), own.ready.end(), rung)) return;
  std::uint64_t rings;
  [[maybe_unused]] const auto n = read(wake_fd_, &rings, sizeof(rings));
}

}  // namespace sluice::datagram
