// Wire codecs: bytes of Ethernet, IP, UDP and GTP-U to numbers and back.
// Pure functions over the caller's bytes: no allocation, no state, any thread. A parse
// function returns a DropReason (None: well-formed) and writes its out struct only then.
// Start with gtpu.h (N3) and inner.h (what the rules match); this file has the loads
// and stores of network byte order that all of them use.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice::wire {

namespace detail {
template <typename T>
inline T load_raw(const std::byte* bytes) noexcept {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}
template <typename T>
inline void store_raw(std::byte* bytes, T value) noexcept {
  std::memcpy(bytes, &value, sizeof(T));
}
inline constexpr bool kLittle = std::endian::native == std::endian::little;
}  // namespace detail

constexpr std::uint16_t swap16(std::uint16_t v) noexcept { return __builtin_bswap16(v); }
constexpr std::uint32_t swap32(std::uint32_t v) noexcept { return __builtin_bswap32(v); }
constexpr std::uint64_t swap64(std::uint64_t v) noexcept { return __builtin_bswap64(v); }

/// Loads of big-endian numbers at any alignment. Bounds: the caller has checked them.
inline std::uint8_t load8(const std::byte* bytes) noexcept {
  return static_cast<std::uint8_t>(*bytes);
}
inline std::uint16_t load16(const std::byte* bytes) noexcept {
  const auto value = detail::load_raw<std::uint16_t>(bytes);
  return detail::kLittle ? swap16(value) : value;
}
inline std::uint32_t load32(const std::byte* bytes) noexcept {
  const auto value = detail::load_raw<std::uint32_t>(bytes);
  return detail::kLittle ? swap32(value) : value;
}
inline std::uint64_t load64(const std::byte* bytes) noexcept {
  const auto value = detail::load_raw<std::uint64_t>(bytes);
  return detail::kLittle ? swap64(value) : value;
}

/// Stores of big-endian numbers at any alignment. Bounds: the caller has checked them.
inline void store8(std::byte* bytes, std::uint8_t value) noexcept {
  *bytes = static_cast<std::byte>(value);
}
inline void store16(std::byte* bytes, std::uint16_t value) noexcept {
  detail::store_raw(bytes, detail::kLittle ? swap16(value) : value);
}
inline void store32(std::byte* bytes, std::uint32_t value) noexcept {
  detail::store_raw(bytes, detail::kLittle ? swap32(value) : value);
}
inline void store64(std::byte* bytes, std::uint64_t value) noexcept {
  detail::store_raw(bytes, detail::kLittle ? swap64(value) : value);
}

}  // namespace sluice::wire
