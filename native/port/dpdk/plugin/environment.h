// DPDK's environment (EAL) in this process: begun once, with as little as it can do with, and there
// until the process ends, because DPDK cannot begin a second time.
// Threads: control.
#pragma once
#include <cstddef>
#include <string>

#include "port/dpdk/plugin.h"

namespace sluice::dpdk {

/// Begins it if need be. Empty, or why not.
std::string begin_environment();

/// Lines of DPDK's log since the last call that say of an error, the oldest first; at most a few.
std::string take_complaints();

/// The pool's memory made known to DPDK, for as long as an object lives. Several may share it.
class ExternalMemory {
 public:
  explicit ExternalMemory(const DpdkPool& pool) noexcept;
  ~ExternalMemory();
  ExternalMemory(const ExternalMemory&) = delete;
  ExternalMemory& operator=(const ExternalMemory&) = delete;

  /// 0 or an errno.
  int error() const noexcept { return error_; }
  /// Whole pages.
  std::byte* start() const noexcept { return start_; }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::byte* start_;
  std::size_t bytes_;
  int error_ = 0;
};

}  // namespace sluice::dpdk
