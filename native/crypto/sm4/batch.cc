#include "crypto/sm4/batch.h"

#include <algorithm>
#include <cstring>

#include "crypto/secret.h"
#include "crypto/sm4/key_columns.h"

namespace sluice::crypto {
namespace {
/// With so few messages left, each is done alone: a step of all streams takes about as long as
/// sixteen of one stream's.
constexpr unsigned kAloneMax = 3;
/// So many keys take their columns one by one; more of them by a transposition of all.
constexpr unsigned kOneByOneMax = 3;

/// Messages of GCM in the streams of a tier, step by step: of each, first the block of its tag with
/// the begin of its data, then stream_bytes at a time.
class GcmStreams {
 public:
  GcmStreams(std::span<Sm4GcmJob> jobs, const sm4::Kernels& kernels) noexcept
      : jobs_(jobs), kernels_(kernels), step_(kernels.stream_bytes) {}
  ~GcmStreams() {
    wipe(parts_, sizeof parts_);
    wipe(masks_, sizeof masks_);
  }

  /// @return  how many hold.
  std::size_t run() noexcept {
    for (unsigned i = 0; i < sm4::kStreams; ++i) admit(i);
    while (active_ > kAloneMax || (active_ != 0 && next_ < jobs_.size())) step();
    for (unsigned i = 0; i < sm4::kStreams; ++i) {
      if (streams_[i].job != nullptr) finish_alone(i);
    }
    return held_;
  }

 private:
  struct Stream {
    Sm4GcmJob* job = nullptr;
    std::size_t done = 0;  ///< bytes of its data
    bool has_begun = false;
  };

  /// The next message takes a stream.
  void admit(unsigned at) noexcept {
    Stream& stream = streams_[at];
    stream = {};
    if (next_ == jobs_.size()) return;
    stream.job = &jobs_[next_++];
    new_[new_count_++] = at;
    ++active_;
    const Sm4GcmJob& job = *stream.job;
    sm4::gcm_first_counter(job.key->powers(), {job.iv, kSm4GcmIvBytes}, counters_[at], kernels_);
    if (job.opens) hash(job, hashes_[at]);
  }

  /// Keys of new messages take their columns: few one by one, else all at once.
  void set_keys() noexcept {
    if (new_count_ > kOneByOneMax) {
      const sm4::Schedule* keys[sm4::kStreams];
      // A stream without a message has any key.
      const sm4::Schedule* any = &streams_[new_[0]].job->key->schedule();
      for (unsigned i = 0; i < sm4::kStreams; ++i) {
        const Sm4GcmJob* job = streams_[i].job;
        keys[i] = job != nullptr ? &job->key->schedule() : any;
      }
      keys_.set_sixteen(0, keys);
    } else {
      for (unsigned i = 0; i < new_count_; ++i) {
        keys_.set(new_[i], streams_[new_[i]].job->key->schedule());
      }
    }
    new_count_ = 0;
  }

  /// GHASH of a whole message's ciphertext.
  void hash(const Sm4GcmJob& job, std::byte* out) noexcept {
    sm4::gcm_hash(job.key->powers(), job.aad, job.data, out, kernels_);
  }

  void step() noexcept {
    set_keys();
    std::byte* at[sm4::kStreams];
    for (unsigned i = 0; i < sm4::kStreams; ++i) at[i] = place_of(i);
    kernels_.ctr_streams(keys_.get(), counters_, at);
    for (unsigned i = 0; i < sm4::kStreams; ++i) {
      if (streams_[i].job != nullptr) take(i, at[i] == parts_[i]);
    }
  }
  /// Where a stream's next bytes are: in its data, or in its part where those do not fill a step.
  std::byte* place_of(unsigned i) noexcept {
    const Stream& stream = streams_[i];
    std::byte* const part = parts_[i];
    if (stream.job == nullptr) return part;
    const std::span<std::byte> left = stream.job->data.subspan(stream.done);
    if (!stream.has_begun) {
      std::memset(part, 0, kSm4BlockBytes);
      copy(part + kSm4BlockBytes, left.data(), std::min(left.size(), step_ - kSm4BlockBytes));
      return part;
    }
    if (left.size() >= step_) return left.data();
    copy(part, left.data(), left.size());
    return part;
  }
  static void copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
    if (bytes != 0) std::memcpy(to, from, bytes);
  }
  /// After a step: what it made of a stream's part goes back.
  void take(unsigned i, bool was_part) noexcept {
    Stream& stream = streams_[i];
    const std::span<std::byte> left = stream.job->data.subspan(stream.done);
    std::size_t taken = std::min(left.size(), step_);
    const std::byte* from = parts_[i];
    if (!stream.has_begun) {
      std::memcpy(masks_[i], from, kSm4BlockBytes);
      from += kSm4BlockBytes;
      taken = std::min(left.size(), step_ - kSm4BlockBytes);
      stream.has_begun = true;
    }
    if (was_part) copy(left.data(), from, taken);
    stream.done += taken;
    if (stream.done < stream.job->data.size()) return;
    close(i);
    admit(i);
  }

  void close(unsigned i) noexcept {
    Sm4GcmJob& job = *streams_[i].job;
    if (!job.opens) hash(job, hashes_[i]);
    std::byte tag[kSm4TagBytes];
    for (std::size_t b = 0; b < kSm4TagBytes; ++b) tag[b] = hashes_[i][b] ^ masks_[i][b];
    if (job.opens) {
      job.holds = equal_in_constant_time(tag, job.tag, kSm4TagBytes);
      if (!job.holds && !job.data.empty()) wipe(job.data.data(), job.data.size());
      wipe(tag, sizeof tag);
    } else {
      job.holds = true;
      std::memcpy(job.tag, tag, kSm4TagBytes);
    }
    held_ += job.holds ? 1 : 0;
    --active_;
    streams_[i].job = nullptr;
  }

  /// The rest of a message, by the kernel for one stream.
  void finish_alone(unsigned i) noexcept {
    Stream& stream = streams_[i];
    const sm4::Schedule& key = stream.job->key->schedule();
    if (!stream.has_begun) {
      std::memset(masks_[i], 0, kSm4BlockBytes);
      kernels_.ctr(key, counters_[i], masks_[i], masks_[i], kSm4BlockBytes);
    }
    const std::span<std::byte> left = stream.job->data.subspan(stream.done);
    if (!left.empty()) kernels_.ctr(key, counters_[i], left.data(), left.data(), left.size());
    close(i);
  }

  std::span<Sm4GcmJob> jobs_;
  const sm4::Kernels& kernels_;
  std::size_t step_;
  std::size_t next_ = 0;  ///< of the jobs, the first that has no stream yet
  std::size_t held_ = 0;
  unsigned active_ = 0;
  unsigned new_[sm4::kStreams];  ///< streams whose keys are not in their columns yet
  unsigned new_count_ = 0;
  Stream streams_[sm4::kStreams];
  sm4::KeyColumns keys_{sm4::kStreams, kernels_};
  std::byte counters_[sm4::kStreams][kSm4BlockBytes] = {};
  std::byte hashes_[sm4::kStreams][kSm4BlockBytes];
  std::byte masks_[sm4::kStreams][kSm4BlockBytes];
  alignas(64) std::byte parts_[sm4::kStreams][sm4::kStreamBytesMax] = {};
};

/// Chains of CBC side by side, a block of each a step.
class CbcChains {
 public:
  CbcChains(std::span<const Sm4CbcJob> jobs, const sm4::Kernels& kernels) noexcept
      : jobs_(jobs), kernels_(kernels), keys_(kernels.chains, kernels) {}

  void run() noexcept {
    while (active_ < kernels_.chains && admit(active_, active_)) ++active_;
    if (active_ != 0) set_all_keys();
    while (active_ > kernels_.chains_alone || (active_ != 0 && next_ < jobs_.size())) {
      steps(blocks_left());
      replace_ended();
    }
    for (const Chain& chain : chains()) {
      std::memcpy(chain.job->chain, chain.block, kSm4BlockBytes);
      kernels_.encrypt_chain(chain.job->key->encrypts(), chain.job->chain, chain.at, chain.at,
                             static_cast<std::size_t>(chain.end - chain.at) / kSm4BlockBytes);
    }
  }

 private:
  /// A message under way; the first active_ of chains_ are.
  struct Chain {
    const Sm4CbcJob* job;
    std::byte* at;
    std::byte* end;
    std::byte* block;  ///< the kernel's: between steps it has the last block of ciphertext
    unsigned column;
  };

  std::span<Chain> chains() noexcept { return std::span(chains_, active_); }

  /// The next message takes a column. @return  false: there is none.
  bool admit(unsigned column, unsigned place) noexcept {
    while (next_ < jobs_.size() && jobs_[next_].data.empty()) ++next_;
    if (next_ == jobs_.size()) return false;
    const Sm4CbcJob& job = jobs_[next_++];
    std::byte* const block = blocks_[column / sm4::kStreams +
                                     column % sm4::kStreams * (kernels_.chains / sm4::kStreams)];
    std::memcpy(block, job.chain, kSm4BlockBytes);
    chains_[place] = {&job, job.data.data(), job.data.data() + job.data.size(), block, column};
    return true;
  }

  void set_all_keys() noexcept {
    // A column without a message has any key.
    const sm4::Schedule* keys[sm4::kChainsMax];
    std::fill_n(keys, kernels_.chains, &chains_[0].job->key->encrypts());
    for (const Chain& chain : chains()) keys[chain.column] = &chain.job->key->encrypts();
    for (unsigned first = 0; first < kernels_.chains; first += sm4::kStreams) {
      keys_.set_sixteen(first, keys + first);
    }
  }

  std::size_t blocks_left() noexcept {
    std::ptrdiff_t least = chains_[0].end - chains_[0].at;
    for (const Chain& chain : chains()) least = std::min(least, chain.end - chain.at);
    return static_cast<std::size_t>(least) / kSm4BlockBytes;
  }
  void steps(std::size_t count) noexcept {
    for (; count != 0; --count) {
      for (const Chain& chain : chains()) add(chain.block, chain.at);
      kernels_.encrypt_chains(keys_.get(), blocks_[0]);
      for (Chain& chain : chains()) {
        std::memcpy(chain.at, chain.block, kSm4BlockBytes);
        chain.at += kSm4BlockBytes;
      }
    }
  }
  void replace_ended() noexcept {
    struct {
      unsigned column;
      const sm4::Schedule* key;
    } fresh[sm4::kChainsMax];
    unsigned count = 0;
    for (unsigned i = active_; i-- != 0;) {
      Chain& chain = chains_[i];
      if (chain.at != chain.end) continue;
      std::memcpy(chain.job->chain, chain.block, kSm4BlockBytes);
      if (admit(chain.column, i)) {
        fresh[count++] = {chain.column, &chain.job->key->encrypts()};
      } else {
        // The last one was looked at already, and goes on.
        chain = chains_[--active_];
      }
    }
    if (count > kOneByOneMax) return set_all_keys();
    for (unsigned n = 0; n < count; ++n) keys_.set(fresh[n].column, *fresh[n].key);
  }
  static void add(std::byte* to, const std::byte* from) noexcept {
    std::uint64_t a[2], b[2];
    std::memcpy(a, to, sizeof a);
    std::memcpy(b, from, sizeof b);
    a[0] ^= b[0];
    a[1] ^= b[1];
    std::memcpy(to, a, sizeof a);
  }

  std::span<const Sm4CbcJob> jobs_;
  const sm4::Kernels& kernels_;
  std::size_t next_ = 0;
  unsigned active_ = 0;
  Chain chains_[sm4::kChainsMax];
  sm4::KeyColumns keys_;
  alignas(64) std::byte blocks_[sm4::kChainsMax][kSm4BlockBytes] = {};
};
}  // namespace

std::size_t sm4_gcm_batch(std::span<Sm4GcmJob> jobs, Tier tier) noexcept {
  return GcmStreams(jobs, sm4::kernels(tier)).run();
}

void sm4_cbc_encrypt_batch(std::span<const Sm4CbcJob> jobs, Tier tier) noexcept {
  CbcChains(jobs, sm4::kernels(tier)).run();
}

}  // namespace sluice::crypto
