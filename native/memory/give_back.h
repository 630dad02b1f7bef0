// Memory that is not needed for now, back to the system. Pure but for that; any thread.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace sluice {

/// Gives back the whole pages inside `bytes` octets of private anonymous memory; they stay
/// addressable and are zero when they are touched next. Nothing in there may be in use.
inline void give_back(std::byte* start, std::size_t bytes) noexcept {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(start) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(start) + bytes) / page * page;
  // A kernel that refuses leaves the memory as it is, which is right too.
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

}  // namespace sluice
