#include "port/pcap_port.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <ctime>

namespace sluice {

namespace {
constexpr unsigned kBurst = 64;
/// Frames and blocks that one rx() passes at most without delivering a packet.
constexpr unsigned kSkipsMax = 256;
/// Loops without a packet to send after which what is buffered is written out.
constexpr unsigned kQuietLoops = 1024;

Nanoseconds wall_clock() noexcept {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<Nanoseconds>(time.tv_sec) * 1'000'000'000 +
         static_cast<Nanoseconds>(time.tv_nsec);
}

bool is_same_file(const std::string& a, const std::string& b) noexcept {
  struct stat first{};
  struct stat second{};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}
}  // namespace

/// Owner: its worker. The reader is only set for the first queue, the writer if there is output.
class PcapQueue final : public PortQueue {
 public:
  PcapQueue(PcapPort& port, PoolCache* cache, CaptureReader* reader)
      : port_(port), cache_(cache), reader_(reader) {
    if (reader_ != nullptr) advance(~0U);
  }
  void write_to(std::unique_ptr<CaptureWriter> writer) noexcept { writer_ = std::move(writer); }

  unsigned rx(Packet** packets, unsigned max) noexcept override {
    if (reader_ == nullptr || state_ == State::Ended) return 0;
    // Relaxed: pairs with set_time(); the number stands for itself.
    const Nanoseconds now = port_.now_.load(std::memory_order_relaxed);
    if (state_ == State::Ready && now != 0 && frame_.time > now) return 0;
    const unsigned room = cache_->allocate(packets, std::min(max, kBurst));
    if (room == 0) {
      count(counters_.rx_no_buffer, 1);
      return 0;
    }
    unsigned n = 0;
    std::uint64_t bytes = 0;
    unsigned skips = kSkipsMax;
    if (state_ == State::Skipping) skips = advance(skips);
    while (n < room && state_ == State::Ready && (now == 0 || frame_.time <= now)) {
      deliver(*packets[n]);
      bytes += packets[n]->length;
      ++n;
      skips = advance(skips);
    }
    cache_->free(packets + n, room - n);
    count(counters_.rx_packets, n);
    count(counters_.rx_bytes, bytes);
    return n;
  }

  unsigned tx(Packet* const* packets, unsigned offered) noexcept override {
    // Relaxed: pairs with set_time(); the number stands for itself.
    Nanoseconds now = port_.now_.load(std::memory_order_relaxed);
    if (now == 0 && writer_ != nullptr) now = wall_clock();
    std::uint64_t bytes = 0;
    unsigned failed = 0;
    for (unsigned i = 0; i < offered; ++i) {
      const Packet& packet = *packets[i];
      if (writer_ == nullptr || writer_->append(0, now, packet.data(), packet.length)) {
        bytes += packet.length;
      } else {
        ++failed;
      }
    }
    cache_->free(packets, offered);
    quiet_ = 0;
    count(counters_.tx_packets, offered - failed);
    count(counters_.tx_bytes, bytes);
    if (failed != 0) count(counters_.tx_errors, failed);
    return offered;
  }

  void flush() noexcept override {
    if (writer_ == nullptr || writer_->buffered() == 0 || ++quiet_ < kQuietLoops) return;
    writer_->flush();
    quiet_ = 0;
  }

  /// Writes out the rest. Thread: control, while no worker runs.
  Status finish() noexcept {
    if (writer_ != nullptr && !writer_->flush()) return writer_->error();
    return Ok{};
  }

 private:
  enum class State : std::uint8_t { Skipping, Ready, Ended };

  void deliver(Packet& packet) noexcept {
    const bool is_access = port_.config().role == PortRole::Access;
    packet = Packet{};
    packet.offset = is_access ? kAccessDataOffset : kCoreDataOffset;
    packet.length = static_cast<std::uint16_t>(found_.length);
    packet.port = port_.index();
    std::memcpy(packet.data(), frame_.data + found_.offset, found_.length);
  }

  /// Whether a packet can be made of frame_; counts it as skipped if not.
  bool accept() noexcept {
    DropReason reason = find_ip_packet(frame_, found_);
    const bool is_access = port_.config().role == PortRole::Access;
    const std::size_t room = kChunkBytes - (is_access ? kAccessDataOffset : kCoreDataOffset);
    if (reason == DropReason::None && found_.length > room) reason = DropReason::MtuExceeded;
    if (reason == DropReason::None) return true;
    std::atomic<std::uint64_t>& skipped = port_.skipped_[static_cast<std::size_t>(reason)];
    // Relaxed, without a locked addition: this thread alone writes; pairs with skipped().
    skipped.store(skipped.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return false;
  }

  /// Goes on to the next frame of which a packet can be made, past at most `skips` others.
  /// Returns how many of them are left.
  unsigned advance(unsigned skips) noexcept {
    state_ = State::Skipping;
    for (; skips != 0 && state_ == State::Skipping; --skips) {
      switch (reader_->next(frame_)) {
        case CaptureReader::Step::Frame:
          if (accept()) state_ = State::Ready;
          break;
        case CaptureReader::Step::Other:
          break;
        case CaptureReader::Step::Fault:
          // Relaxed: published by the release below.
          port_.input_failed_.store(true, std::memory_order_relaxed);
          state_ = State::Ended;
          break;
        case CaptureReader::Step::End:
          state_ = State::Ended;
          break;
      }
    }
    // Release: pairs with the acquire in PcapPort::next_time().
    port_.next_time_.store(
        state_ == State::Ended ? PcapPort::kNever : std::min(frame_.time, PcapPort::kNever - 1),
        std::memory_order_release);
    return skips;
  }

  PcapPort& port_;
  PoolCache* cache_;
  CaptureReader* reader_;
  std::unique_ptr<CaptureWriter> writer_;
  CaptureFrame frame_{};
  CapturedPacket found_{};
  State state_ = State::Skipping;
  unsigned quiet_ = 0;
};

PcapPort::PcapPort(PortConfig config, std::uint8_t index) : Port(std::move(config), index) {}

PcapPort::~PcapPort() { PcapPort::close(); }

Status PcapPort::open(std::span<PoolCache* const> caches) {
  if (!config_.file.empty()) {
    auto reader = CaptureReader::open(config_.file);
    if (!reader) return reader.error();
    reader_ = std::move(reader).value();
  }
  for (PoolCache* cache : caches) {
    CaptureReader* const reader = queues_.empty() ? reader_.get() : nullptr;
    queues_.push_back(std::make_unique<PcapQueue>(*this, cache, reader));
  }
  // A file broken before its first packet is refused; a later fault ends the replay there.
  Status status = input_status();
  if (status && !config_.output_file.empty()) status = open_output();
  if (!status) queues_.clear();
  return status;
}

Status PcapPort::open_output() {
  auto created = CaptureWriter::create(config_.output_file, std::span(&config_.name, 1));
  if (!created) return created.error();
  for (std::size_t i = 1; i < queues_.size(); ++i) {
    auto shared = created.value()->share();
    if (!shared) return shared.error();
    queues_[i]->write_to(std::move(shared).value());
  }
  if (!queues_.empty()) queues_[0]->write_to(std::move(created).value());
  return Ok{};
}

PortQueue& PcapPort::queue(unsigned worker) noexcept { return *queues_[worker]; }

void PcapPort::close() noexcept {
  for (auto& queue : queues_) {
    const Status finished = queue->finish();
    if (!finished && output_status_) output_status_ = finished.error();
  }
  queues_.clear();
}

std::map<std::string, std::string> PcapPort::capabilities() const {
  return {{"queues", std::to_string(queues_.size())},
          {"file", config_.file},
          {"output_file", config_.output_file}};
}

Status PcapPort::input_status() const {
  // Relaxed: ordered by exhausted(), which the caller has asked first.
  if (input_failed_.load(std::memory_order_relaxed)) return reader_->error();
  return Ok{};
}

Status PcapPort::output_status() const { return output_status_; }

Result<std::unique_ptr<Port>> make_pcap_port(const PortConfig& config, std::uint8_t index) {
  if (config.file.empty() && config.output_file.empty()) {
    return Error{"port \"" + config.name + "\": driver pcap needs file, output_file or both",
                 "file"};
  }
  if (!config.file.empty() && is_same_file(config.file, config.output_file)) {
    return Error{config.output_file + ": is the input as well, and would be overwritten",
                 "output_file"};
  }
  return std::unique_ptr<Port>(std::make_unique<PcapPort>(config, index));
}

}  // namespace sluice
