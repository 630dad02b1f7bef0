// The words of every layer: strong numbers, results of set-up calls, and the drop reasons
// (drop_reason.def is their one list). Nothing here has state, so any thread may use it.
// Start here; the other headers of this folder add clocks, timers and topology.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace sluice {

inline constexpr std::size_t kCacheLine = 64;

/// GTP-U tunnel endpoint identifier in host order; 0 is never a tunnel of ours.
enum class Teid : std::uint32_t {};
/// Nanoseconds: a point on the monotonic clock of the machine, or a span.
using Nanoseconds = std::uint64_t;
/// Ports of a node: bit n is the port of index n.
using PortMask = std::uint16_t;
inline constexpr unsigned kPortsMax = 16;  ///< width of PortMask

/// What leaves by a port is sealed first when this is added to the port's index.
inline constexpr std::uint8_t kProtectedPort = kPortsMax;
constexpr bool is_protected(std::uint8_t port) noexcept { return port / kPortsMax == 1; }
/// The port itself.
constexpr std::uint8_t plain_port(std::uint8_t port) noexcept {
  return is_protected(port) ? static_cast<std::uint8_t>(port - kProtectedPort) : port;
}

/// Why a packet did not leave. kNone means that it did.
enum class DropReason : std::uint8_t {
  None = 0,
#define SLUICE_DROP_REASON(name, label, text) name,
#include "base/drop_reason.def"
#undef SLUICE_DROP_REASON
  Count
};
inline constexpr std::size_t kDropReasons = static_cast<std::size_t>(DropReason::Count);

/// Label of a reason in metrics, JSON and captures; static storage. Threads: any.
const char* drop_reason_label(DropReason reason) noexcept;
/// One sentence for people; static storage. Threads: any.
const char* drop_reason_text(DropReason reason) noexcept;

/// An operating error of a set-up call: what to tell the person, and on which field.
struct Error {
  std::string message;  ///< a sentence that names the thing and what to do
  std::string field;    ///< configuration path such as "ports[0].device", or empty
};

/// Value or error of a set-up call; the packet path itself returns verdicts.
template <typename T>
class Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  explicit operator bool() const noexcept { return state_.index() == 0; }
  T& value() & { return *std::get_if<0>(&state_); }
  T&& value() && { return std::move(*std::get_if<0>(&state_)); }
  const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};
struct Ok {};
using Status = Result<Ok>;

}  // namespace sluice
