// ESP: whatever comes is refused, unless it is genuine; of a genuine one, any trailer. Threads:
// one.
#include <algorithm>
#include <cstring>
#include <vector>

#include "crypto/esp/association.h"
#include "fuzz/expect.h"

namespace sluice::crypto {
namespace {
constexpr std::byte kKey[kSm4KeyBytes] = {std::byte{1}};
constexpr std::byte kSalt[kEspSaltBytes] = {std::byte{2}};
constexpr std::byte kAuthKey[kEspAuthKeyBytes] = {std::byte{3}};
constexpr EspSuite kSuites[] = {EspSuite::Sm4Gcm16, EspSuite::Sm4CbcSm3_96, EspSuite::Sm4CbcSm3_128,
                                EspSuite::Sm4CbcSm3_256};
using Bytes = std::vector<std::byte>;

EspParameters parameters(std::uint8_t choice) {
  return {.spi = 7,
          .suite = kSuites[choice % 4],
          .key = kKey,
          .salt = kSalt,
          .auth_key = kAuthKey,
          .extended_sequence = (choice & 4) != 0};
}

/// Opens bytes, and looks at what is promised of the result.
EspStatus open(const EspParameters& of, Bytes esp) {
  EspInbound association(of, 64);
  EspOpenJob job{&association, esp};
  esp_open({&job, 1});
  const bool is_open = job.status == EspStatus::Ok;
  fuzz::expect(is_open == (association.window().newest() != 0));
  fuzz::expect(is_open || job.packet.empty());
  if (!job.packet.empty()) {
    fuzz::expect(job.packet.data() >= esp.data());
    fuzz::expect(job.packet.data() + job.packet.size() <= esp.data() + esp.size());
  }
  return job.status;
}

/// A genuine GCM packet of number 1 around any plain text, its trailer included.
void try_trailer(std::span<const std::byte> plain) {
  const EspParameters of = parameters(0);
  Bytes esp(kEspHeaderBytes + 8 + plain.size() + kSm4TagBytes);
  esp[3] = std::byte{7};
  esp[7] = esp[15] = std::byte{1};
  std::copy(plain.begin(), plain.end(), esp.begin() + 16);
  std::byte nonce[kSm4GcmIvBytes];
  std::memcpy(nonce, kSalt, sizeof kSalt);
  std::memcpy(nonce + sizeof kSalt, esp.data() + kEspHeaderBytes, 8);
  const Sm4GcmKey key(of.key);
  sm4_gcm_seal(key, nonce, std::span<const std::byte>(esp).first(8),
               std::span<const std::byte>(esp).subspan(16, plain.size()), esp.data() + 16,
               esp.data() + 16 + plain.size());
  const EspStatus status = open(of, esp);
  if (plain.size() < 4 || plain.size() % 4 != 0)
    return fuzz::expect(status == EspStatus::Truncated);
  const auto padding = static_cast<std::size_t>(plain[plain.size() - 2]);
  bool is_padding = padding + 2 <= plain.size();
  for (std::size_t i = 0; is_padding && i < padding; ++i) {
    is_padding = plain[plain.size() - 2 - padding + i] == static_cast<std::byte>(i + 1);
  }
  fuzz::expect(status == (is_padding ? EspStatus::Ok : EspStatus::NotGenuine));
}

/// Sealed, perhaps touched at one place, and opened.
void try_round(std::uint8_t choice, std::uint8_t at, std::span<const std::byte> packet) {
  const EspParameters of = parameters(choice);
  EspOutbound sender(of, {});
  Bytes room(kEspHeadRoom + packet.size() + kEspTailRoom);
  std::copy(packet.begin(), packet.end(), room.begin() + kEspHeadRoom);
  EspSealJob job{&sender, std::span(room).subspan(kEspHeadRoom, packet.size()), 4};
  esp_seal({&job, 1});
  fuzz::expect(job.status == EspStatus::Ok);
  fuzz::expect(job.esp.data() >= room.data());
  fuzz::expect(job.esp.data() + job.esp.size() <= room.data() + room.size());
  Bytes esp(job.esp.begin(), job.esp.end());
  const bool touches = at >= 4 && at < esp.size();
  if (touches) esp[at] ^= std::byte{1};
  const EspStatus status = open(of, esp);
  // A number that was touched may become 0, which is none.
  if (touches) return fuzz::expect(status != EspStatus::Ok);
  fuzz::expect(status == EspStatus::Ok);
}
}  // namespace
}  // namespace sluice::crypto

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::crypto;
  if (size < 2) return 0;
  const auto rest = std::as_bytes(std::span(data + 2, size - 2));
  switch (data[0] >> 6) {
    case 0:
      sluice::fuzz::expect(open(parameters(data[0]), Bytes(rest.begin(), rest.end())) !=
                           EspStatus::Ok);
      break;
    case 1:
      try_trailer(rest);
      break;
    default:
      try_round(data[0], data[1], rest);
  }
  return 0;
}
