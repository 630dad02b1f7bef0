#include "crypto/sm3/batch.h"

#include <algorithm>
#include <cstring>

#include "crypto/secret.h"

namespace sluice::crypto {
namespace {
using sm3::kBlockBytes;
using sm3::kMaxLanes;
using sm3::kStateWords;

/// A job is up to three stretches of blocks: whole blocks of its message, its padded rest, and the
/// outer hash of an HMAC.
enum class Stretch : std::uint8_t { Whole, Rest, Outer };

/// A job under way.
struct Lane {
  const Sm3Job* job = nullptr;  ///< null: idle
  const std::byte* next = nullptr;
  std::size_t blocks = 0;  ///< that the present stretch still has
  Stretch stretch = Stretch::Whole;
  std::byte buffer[2 * kBlockBytes];
};

class Lanes {
 public:
  Lanes(std::span<const Sm3Job> jobs, const sm3::Kernels& kernels) noexcept
      : kernels_(kernels), waiting_(jobs) {}
  ~Lanes() {
    wipe(states_, sizeof states_);
    for (unsigned i = 0; i < kernels_.lanes; ++i) wipe(lanes_[i].buffer, sizeof lanes_[i].buffer);
  }
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  void run() noexcept {
    for (unsigned i = 0; i < kernels_.lanes && !waiting_.empty(); ++i) start_next(i);
    while (active_ > kFew) step();
    for (unsigned i = 0; i < kernels_.lanes; ++i) finish_alone(i);
  }

 private:
  /// Jobs that are done sooner one by one: a step of all lanes takes the time of about two
  /// blocks of one stream, however few of them are used.
  static constexpr unsigned kFew = 2;

  /// Takes as many blocks in every lane as the shortest stretch has.
  void step() noexcept {
    std::size_t count = SIZE_MAX;
    const std::byte* readable = nullptr;
    for (unsigned i = 0; i < kernels_.lanes; ++i) {
      if (lanes_[i].job == nullptr || lanes_[i].blocks >= count) continue;
      count = lanes_[i].blocks;
      readable = lanes_[i].next;
    }
    const std::byte* blocks[kMaxLanes];
    for (unsigned i = 0; i < kernels_.lanes; ++i) {
      // An idle lane computes what nobody looks at, of bytes that are there.
      blocks[i] = lanes_[i].job == nullptr ? readable : lanes_[i].next;
    }
    kernels_.compress_lanes(states_, blocks, count);
    for (unsigned i = 0; i < kernels_.lanes; ++i) {
      Lane& lane = lanes_[i];
      if (lane.job == nullptr) continue;
      lane.next += count * kBlockBytes;
      lane.blocks -= count;
      if (lane.blocks == 0 && !next_stretch(i)) end(i);
    }
  }

  void finish_alone(unsigned index) noexcept {
    Lane& lane = lanes_[index];
    if (lane.job == nullptr) return;
    do {
      Sm3State state = state_of(index);
      kernels_.compress(state.words, lane.next, lane.blocks);
      set_state(index, state);
      wipe(&state, sizeof state);
    } while (next_stretch(index));
    lane.job = nullptr;
  }

  void start_next(unsigned index) noexcept {
    Lane& lane = lanes_[index];
    lane.job = &waiting_.front();
    waiting_ = waiting_.subspan(1);
    ++active_;
    set_state(index, lane.job->key == nullptr ? kSm3Initial : lane.job->key->inner());
    lane.stretch = Stretch::Whole;
    lane.next = lane.job->message.data();
    lane.blocks = lane.job->message.size() / kBlockBytes;
    if (lane.blocks == 0) next_stretch(index);
  }

  void end(unsigned index) noexcept {
    lanes_[index].job = nullptr;
    --active_;
    if (!waiting_.empty()) start_next(index);
  }

  /// Makes the stretch behind the one that is over ready; if there is none, writes the outcome and
  /// returns false.
  bool next_stretch(unsigned index) noexcept {
    Lane& lane = lanes_[index];
    const Sm3Job& job = *lane.job;
    lane.next = lane.buffer;
    if (lane.stretch == Stretch::Whole) {
      const std::size_t rest = job.message.size() % kBlockBytes;
      std::copy_n(job.message.data() + (job.message.size() - rest), rest, lane.buffer);
      const std::size_t before = job.key == nullptr ? 0 : kBlockBytes;
      lane.blocks = sm3::pad(lane.buffer, rest, before + job.message.size());
      lane.stretch = Stretch::Rest;
      return true;
    }
    Sm3State state = state_of(index);
    if (lane.stretch == Stretch::Rest && job.key != nullptr) {
      sm3::write_digest(lane.buffer, state);
      lane.blocks = sm3::pad(lane.buffer, kSm3DigestBytes, kBlockBytes + kSm3DigestBytes);
      set_state(index, job.key->outer());
      lane.stretch = Stretch::Outer;
      return true;
    }
    sm3::write_digest(job.out, state);
    return false;
  }

  Sm3State state_of(unsigned index) const noexcept {
    Sm3State state;
    for (std::size_t i = 0; i < kStateWords; ++i) {
      state.words[i] = states_[i * kernels_.lanes + index];
    }
    return state;
  }
  void set_state(unsigned index, const Sm3State& state) noexcept {
    for (std::size_t i = 0; i < kStateWords; ++i) {
      states_[i * kernels_.lanes + index] = state.words[i];
    }
  }

  const sm3::Kernels& kernels_;
  std::span<const Sm3Job> waiting_;
  unsigned active_ = 0;
  Lane lanes_[kMaxLanes];
  alignas(64) std::uint32_t states_[kStateWords * kMaxLanes] = {};
};
}  // namespace

void sm3_batch(std::span<const Sm3Job> jobs, Tier tier) noexcept {
  const sm3::Kernels& kernels = sm3::kernels(tier);
  if (kernels.lanes > 1) {
    Lanes(jobs, kernels).run();
    return;
  }
  for (const Sm3Job& job : jobs) {
    if (job.key != nullptr) {
      HmacSm3 code(*job.key, tier);
      code.update(job.message);
      code.finish(job.out);
    } else {
      Sm3 hash(tier);
      hash.update(job.message);
      hash.finish(job.out);
    }
  }
}

}  // namespace sluice::crypto
