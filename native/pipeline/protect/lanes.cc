// Packets on their way to crypto lanes, and back: they are inside meanwhile, and go on where they
// would have without lanes.
#include <algorithm>
#include <bit>

#include "pipeline/pipeline.h"

namespace sluice {
namespace {

/// Done packets that are taken back in one turn: the outputs have room for them beside others.
constexpr unsigned kBackPerTurn = PacketList::kMax / 2;

std::uint32_t spi_of(const CryptoJob& job) noexcept {
  return job.seals != nullptr ? job.seals->esp.spi() : job.opens->esp.spi();
}
PacketsAway& away_of(const CryptoJob& job) noexcept {
  return job.seals != nullptr ? job.seals->away : job.opens->away;
}

}  // namespace

/// Packets of an association go by one lane, whoever serves it. @param jobs  at most kCryptoBurst
void Pipeline::send_to_lanes(std::span<const CryptoJob> jobs) noexcept {
  CryptoJob group[kCryptoBurst];
  std::uint64_t left =
      jobs.size() == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << jobs.size()) - 1;
  while (left != 0) {
    const auto lane_of = [&](const CryptoJob& job) {
      return (std::uint64_t{spi_of(job) * 0x9e3779b1u} * lanes_.size()) >> 32;
    };
    const auto at = lane_of(jobs[static_cast<unsigned>(std::countr_zero(left))]);
    unsigned n = 0;
    for (std::uint64_t rest = left; rest != 0; rest &= rest - 1) {
      const auto i = static_cast<unsigned>(std::countr_zero(rest));
      if (lane_of(jobs[i]) != at) continue;
      group[n++] = jobs[i];
      left &= ~(std::uint64_t{1} << i);
    }
    // Before the lane has them: the count is one thread's.
    for (unsigned i = 0; i < n; ++i) away_of(group[i]).add(1);
    const unsigned taken = lanes_[at]->put(worker_, group, n);
    if (taken != 0) lanes_[at]->wake();
    for (unsigned i = taken; i < n; ++i) {
      away_of(group[i]).remove(1);
      drop(&group[i].packet, 1, DropReason::LaneFull);
    }
    inside_ -= n - taken;
  }
}

unsigned Pipeline::take_back(Nanoseconds now) noexcept {
  unsigned total = 0;
  if (++lane_turn_ >= lanes_.size()) lane_turn_ = 0;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    CryptoLane& lane = *lanes_[(lane_turn_ + i) % lanes_.size()];
    for (CryptoJob jobs[kCryptoBurst]; total < kBackPerTurn;) {
      const unsigned n = lane.take_back(worker_, jobs, kCryptoBurst);
      if (n == 0) break;
      total += n;
      come_back({jobs, n}, now);
    }
  }
  return total;
}

void Pipeline::come_back(std::span<const CryptoJob> jobs, Nanoseconds now) noexcept {
  now_ = now;
  CryptoJob opened[kCryptoBurst];
  unsigned n = 0;
  for (const CryptoJob& job : jobs) {
    Packet* packet = job.packet;
    if (job.lost) {
      inside_ -= 1;
      drop(&packet, 1, DropReason::LaneLost);
    } else if (job.seals != nullptr) {
      inside_ -= 1;
      finish_sealed(job);
    } else {
      opened[n++] = job;
    }
  }
  if (n != 0) finish_opened({opened, n}, now);
  // Last, since an end may go when none of its packets is away.
  for (const CryptoJob& job : jobs) away_of(job).remove(1);
}

bool Pipeline::has_done() const noexcept {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [this](const CryptoLane* lane) { return lane->has_done(worker_); });
}

}  // namespace sluice
