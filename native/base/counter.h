// Figures that one thread writes and any thread may read while it does: no lock, no fence.
// An addition is a plain load, add and store, because the writer is alone.
#pragma once
#include <atomic>
#include <cstdint>

namespace sluice {

/// Owner: the thread that counts. Copies and reads are a moment's view, from any thread.
template <typename T>
class Figure {
 public:
  Figure() = default;
  Figure(T value) noexcept : value_(value) {}  // NOLINT: a figure stands for its value
  Figure(const Figure& other) noexcept : value_(other.load()) {}
  Figure& operator=(const Figure& other) noexcept { return *this = other.load(); }
  // Relaxed, here and below: pairs with whoever reads, and figures order nothing else.
  Figure& operator=(T value) noexcept {
    value_.store(value, std::memory_order_relaxed);
    return *this;
  }
  Figure& operator+=(T n) noexcept { return *this = load() + n; }
  Figure& operator-=(T n) noexcept { return *this = load() - n; }
  Figure& operator++() noexcept { return *this += 1; }
  T load() const noexcept { return value_.load(std::memory_order_relaxed); }
  operator T() const noexcept { return load(); }  // NOLINT: as above

 private:
  std::atomic<T> value_{};
  static_assert(std::atomic<T>::is_always_lock_free);
};

using Counter = Figure<std::uint64_t>;

}  // namespace sluice
