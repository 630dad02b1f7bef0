// Attributes of a message of netlink, as the kernel sends them. Threads: each reader its own.
#pragma once
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace sluice {

/// Attributes of a message by number; those above the last number are left out.
template <unsigned kLast>
class Attributes {
 public:
  Attributes(const void* first, std::size_t bytes) noexcept {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): RTA_NEXT wants it so, and reads only
    auto* at = reinterpret_cast<rtattr*>(const_cast<void*>(first));
    auto left = static_cast<int>(bytes);
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
      const unsigned type = at->rta_type & NLA_TYPE_MASK;
      if (type <= kLast) found_[type] = at;
    }
  }
  explicit Attributes(const rtattr* nest) noexcept
      : Attributes(RTA_DATA(nest), RTA_PAYLOAD(nest)) {}
  /// nullptr where it is missing or shorter than asked for.
  const std::byte* data(unsigned type, std::size_t bytes) const noexcept {
    const rtattr* at = found_[type];
    if (at == nullptr || RTA_PAYLOAD(at) < bytes) return nullptr;
    return reinterpret_cast<const std::byte*>(RTA_DATA(at));
  }
  template <class T>
  T value(unsigned type, T missing) const noexcept {
    const std::byte* from = data(type, sizeof(T));
    if (from != nullptr) std::memcpy(&missing, from, sizeof(T));
    return missing;
  }
  const rtattr* at(unsigned type) const noexcept { return found_[type]; }

 private:
  std::array<const rtattr*, kLast + 1> found_{};
};

/// The attributes behind the fixed part of a message.
template <unsigned kLast, class Fixed>
Attributes<kLast> attributes_of(const nlmsghdr& message) noexcept {
  const auto* const start = reinterpret_cast<const std::byte*>(&message);
  const std::size_t fixed = NLMSG_SPACE(sizeof(Fixed));
  const std::size_t bytes = message.nlmsg_len;
  return {start + fixed, bytes > fixed ? bytes - fixed : 0};
}
template <class Fixed>
const Fixed* fixed_of(const nlmsghdr& message) noexcept {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Fixed))) return nullptr;
  return static_cast<const Fixed*>(NLMSG_DATA(&message));
}

}  // namespace sluice
