// Security associations of ESP in tunnel mode, and packets sealed and opened with them in batches,
// in place. An association belongs to one thread, so that its sequence numbers and its window need
// no lock and order is kept. Sources: RFC 4303, RFC 4106 (the shape of SM4-GCM-16), GM/T 0022
// (SM4-CBC with HMAC-SM3); docs/decisions/0027.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/counter.h"
#include "crypto/esp/replay_window.h"
#include "crypto/sm3/sm3.h"
#include "crypto/sm4/sm4.h"

namespace sluice::crypto {

enum class EspSuite : std::uint8_t { Sm4Gcm16, Sm4CbcSm3_96, Sm4CbcSm3_128, Sm4CbcSm3_256 };

inline constexpr std::size_t kEspHeaderBytes = 8;   ///< SPI and sequence number
inline constexpr std::size_t kEspTrailerBytes = 2;  ///< length of the padding, next header
inline constexpr std::size_t kEspSaltBytes = 4;
inline constexpr std::size_t kEspAuthKeyBytes = 32;  ///< of HMAC-SM3
inline constexpr std::size_t kEspHeadRoom = kEspHeaderBytes + kSm4BlockBytes;
/// Padding, its length and the next header, and the longest ICV, for any suite.
inline constexpr std::size_t kEspTailRoom = kSm4BlockBytes + 1 + kSm3DigestBytes;

/// Bytes of a suite's initialization vector and ICV, and what the ciphertext is a multiple of.
struct EspShape {
  std::size_t iv, icv, block;
};
EspShape esp_shape(EspSuite suite) noexcept;
/// Padding before its length and the next header, for so many bytes inside.
constexpr std::size_t esp_padding(const EspShape& shape, std::size_t bytes) noexcept {
  return (shape.block - (bytes + kEspTrailerBytes) % shape.block) % shape.block;
}
/// From the SPI to the ICV, for so many bytes inside.
std::size_t esp_sealed_bytes(EspSuite suite, std::size_t bytes) noexcept;

/// What both ends of an association know. Keys are copied where they are prepared, not kept.
struct EspParameters {
  std::uint32_t spi = 0;
  EspSuite suite = EspSuite::Sm4Gcm16;
  std::span<const std::byte, kSm4KeyBytes> key;
  std::span<const std::byte, kEspSaltBytes> salt;         ///< of GCM
  std::span<const std::byte, kEspAuthKeyBytes> auth_key;  ///< of HMAC-SM3
  bool extended_sequence = true;
};

/// How much of an association is used: its last sequence number, which is how many packets it has
/// sealed at most, and their bytes.
struct EspUse {
  std::uint64_t number = 0, bytes = 0;
};

/// How long an association lasts, from its first packet; 0: no limit but that of its sequence
/// numbers.
struct EspLifetime {
  std::uint64_t packets_soft = 0, packets_hard = 0;
  std::uint64_t bytes_soft = 0, bytes_hard = 0;
};

enum class EspStatus : std::uint8_t {
  Ok,
  Expired,    ///< sealed: the association has reached its hard lifetime or its last number
  Truncated,  ///< shorter than its suite's least, or of no whole blocks
  Replayed,   ///< its number has come, or is before the window
  NotGenuine  ///< its ICV does not hold, or its padding is none: nothing says which
};

/// The prepared keys of an association.
class EspKeys {
 public:
  EspKeys(const EspParameters& parameters, Tier tier) noexcept;
  ~EspKeys();
  EspKeys(const EspKeys&) = delete;
  EspKeys& operator=(const EspKeys&) = delete;

  EspSuite suite() const noexcept { return suite_; }
  const Sm4GcmKey& gcm() const noexcept { return *gcm_; }
  const Sm4Key& cbc() const noexcept { return *cbc_; }
  const HmacSm3Key& auth() const noexcept { return *auth_; }
  const std::byte* salt() const noexcept { return salt_; }
  /// Fetches what sealing a small packet takes of them.
  void prefetch() const noexcept;

 private:
  EspSuite suite_;
  std::optional<Sm4GcmKey> gcm_;
  std::optional<Sm4Key> cbc_;
  std::optional<HmacSm3Key> auth_;
  std::byte salt_[kEspSaltBytes];
};

/// The sending end. Its figures may be read by any thread.
class EspOutbound {
 public:
  /// @param used  what may have been used with this key; the next packet has the number behind it,
  ///              so that no nonce comes twice, and no lifetime begins anew.
  EspOutbound(const EspParameters& parameters, const EspLifetime& lifetime, const EspUse& used = {},
              Tier tier = active_tier()) noexcept;

  /// Nothing beyond this is used, until it is set anew: whoever keeps account of an association
  /// over a restart has it written down first. Any thread.
  void use_up_to(const EspUse& allowed) noexcept;

  std::uint32_t spi() const noexcept { return spi_; }
  bool extended() const noexcept { return extended_; }
  const EspKeys& keys() const noexcept { return keys_; }
  std::uint64_t last_number() const noexcept { return number_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  /// Whether a soft lifetime is over, or the numbers left are fewer than 2^26: it is time to rekey.
  bool wants_rekeying() const noexcept;

  /// Whether it has come to the end of its life, and seals no more.
  bool has_expired() const noexcept;

  /// Whether a packet of that many bytes would get a number.
  bool may_take(std::size_t bytes) const noexcept {
    return !expired_ && number_ < number_allowed_ && bytes_ + bytes <= bytes_allowed_;
  }
  /// A number for a packet of that many bytes, or 0: the association has expired, or has used all
  /// that it is allowed.
  std::uint64_t take_number(std::size_t bytes) noexcept;

 private:
  std::uint64_t refuse(std::size_t bytes) noexcept;

  std::uint32_t spi_;
  bool extended_;
  EspLifetime lifetime_;
  EspUse end_;  ///< of its life: the hard lifetime, or the last number
  Counter number_, bytes_;
  Counter number_allowed_, bytes_allowed_;
  Figure<bool> expired_;  ///< a packet did not fit in what was left
  EspKeys keys_;
};

/// The receiving end.
class EspInbound {
 public:
  explicit EspInbound(const EspParameters& parameters, unsigned window = 1024,
                      Tier tier = active_tier()) noexcept;

  std::uint32_t spi() const noexcept { return spi_; }
  bool extended() const noexcept { return extended_; }
  const EspKeys& keys() const noexcept { return keys_; }
  const ReplayWindow& window() const noexcept { return window_; }
  ReplayWindow& window() noexcept { return window_; }

 private:
  std::uint32_t spi_;
  bool extended_;
  ReplayWindow window_;
  EspKeys keys_;
};

/// A packet to be sealed. Before it are kEspHeadRoom bytes, and behind it kEspTailRoom.
struct EspSealJob {
  EspOutbound* association;
  std::span<std::byte> packet;
  std::uint8_t next_header;  ///< 4: IPv4, 41: IPv6
  // Set by the call:
  EspStatus status = EspStatus::Ok;
  std::span<std::byte> esp;  ///< from the SPI to the ICV; empty unless Ok
};

/// Seals packets in their order, as many as there may be, in groups.
void esp_seal(std::span<EspSealJob> jobs, Tier tier = active_tier()) noexcept;

/// A packet to be opened, whose SPI is that of the association. Its bytes are overwritten in any
/// case.
struct EspOpenJob {
  EspInbound* association;
  std::span<std::byte> esp;  ///< from the SPI to the ICV
  // Set by the call:
  EspStatus status = EspStatus::Ok;
  std::span<std::byte> packet;  ///< empty unless Ok
  std::uint8_t next_header = 0;
};

/// What one packet would come to, without its number in the window: who does not own the
/// association may look, too.
struct EspLook {
  EspStatus status = EspStatus::Ok;  ///< as esp_open() has it
  bool genuine = false;              ///< whether its ICV holds, also of one that is replayed
  std::uint64_t number = 0;
  std::span<std::byte> packet;  ///< of a genuine one
  std::uint8_t next_header = 0;
};
EspLook esp_look(const EspInbound& association, std::span<std::byte> esp,
                 Tier tier = active_tier()) noexcept;

/// Opens packets. Only what is genuine moves a window.
void esp_open(std::span<EspOpenJob> jobs, Tier tier = active_tier()) noexcept;

}  // namespace sluice::crypto
