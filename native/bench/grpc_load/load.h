// The loads: unary calls on lanes, and batches on one stream. Each creates and deletes
// sessions of its own in turn, checks every answer, and measures from the first byte queued
// to the whole answer. One thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"
#include "bench/grpc_load/http2_client.h"

namespace sluice::load {

struct LoadOptions {
  std::size_t lanes = 1;  ///< unary: calls in flight; stream: messages in flight
  std::size_t batch = 1;  ///< operations a message
  double warmup_s = 1;
  double measured_s = 5;
  std::uint64_t first_index = 0;  ///< names begin here
  std::string name_prefix;
};

struct LoadOutcome {
  std::uint64_t operations = 0;
  double seconds = 0;
  std::vector<std::uint64_t> latencies_ns;  ///< one a call or message, sorted
  std::uint64_t next_index = 0;             ///< names below have been used

  double rate() const { return seconds > 0 ? static_cast<double>(operations) / seconds : 0; }
  /// Milliseconds below which this share of the calls ended.
  double latency_ms(double share) const;
};

/// CreateSession and DeleteSession in turn on each lane.
Result<LoadOutcome> run_unary(Http2Client& client, const LoadOptions& options);
/// Batches of creations, then of the same deletions, on one StreamSessions call.
Result<LoadOutcome> run_stream(Http2Client& client, const LoadOptions& options);
/// Creates `count` sessions over one stream and leaves them; progress on standard error.
Result<LoadOutcome> run_fill(Http2Client& client, const LoadOptions& options, std::uint64_t count);

}  // namespace sluice::load
