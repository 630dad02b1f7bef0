#include "crypto/known_esp_answers.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "crypto/esp/association.h"

namespace sluice::crypto {
namespace {

using Key = std::array<std::byte, kSm4KeyBytes>;
using Salt = std::array<std::byte, kEspSaltBytes>;
using AuthKey = std::array<std::byte, kEspAuthKeyBytes>;

struct Suite {
  EspSuite suite;
  const char* name;
  std::uint32_t spi;
  Key key;
  Salt salt;
  AuthKey auth_key;
  std::string_view packet;  ///< in hexadecimal digits, from the SPI to the ICV
  std::size_t inner_bytes;  ///< of what is inside

  EspParameters parameters() const noexcept {
    return {.spi = spi,
            .suite = suite,
            .key = key,
            .salt = salt,
            .auth_key = auth_key,
            .extended_sequence = false};
  }
};

constexpr unsigned digit(char letter) noexcept {
  return static_cast<unsigned>(letter <= '9' ? letter - '0' : letter - 'a' + 10);
}
constexpr std::byte byte_at(std::string_view hex, std::size_t i) noexcept {
  return static_cast<std::byte>(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
}
template <class Array>
constexpr Array from_hex(std::string_view hex) noexcept {
  Array bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(hex, i);
  return bytes;
}

// Source: a Linux 6.1 kernel (test/vectors/crypto/linux).
constexpr std::string_view kLinux96 =
    "00001001000000024349f0d7583ce34a723c76e394fa098003f076d1613ab45c1a547ce7a4f1d0b98e8d9f25e639"
    "4da2709c4f8b0b6acc0793d82e89e07d69d9a28e1acd30ccd09d0899558e00a6ccf1f38d7e9451726c971cb2fc3f"
    "fcd9648cf85ebe6e0b92cd4eab320538d41cedd0726e01f6";
constexpr std::string_view kLinux128 =
    "000010010000000299d18ab4017697953e93a39bbaa08fafdc98bf0d1bad755830747db41d27fc884de17ade69cf"
    "36b1f01a042163de4e62c02f9426f64d3ddee35fdabfcfed91016edb360ef04b9cb26096f25228190b2e154e365a"
    "a253739862aafb6a0fd02a99790d3300b0cb11d141cfe680e61b93de";
constexpr std::string_view kLinux256 =
    "0000100100000002cf83d0262ac69a92bf9b4e360c9b938280ea4c9cc1f0a6521d6364d3374c71f011faef497d1c"
    "b4a74f5c0d8da429afdb45230c9ac15bb500b1cd6878953af17fa42f253b505330924c70fd11838279a62c9f6cc9"
    "7f915f5c4c4b33ad1071d831e5dee3d0928e6d4d977b7f24583f549de25f65ab76fd5e3359e5f597eb900019";
constexpr Key kLinuxKey = from_hex<Key>("0123456789abcdeffedcba9876543210");
constexpr AuthKey kLinuxAuthKey =
    from_hex<AuthKey>("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
// Linux has no SM4-GCM in ESP. Source: test/vectors/crypto/sluice, which OpenSSL's SM4 and
// sm-crypto-v2 open.
constexpr Key kGcmKey = from_hex<Key>("27a29c1d7a1f81e508b1c79ac75fc531");
constexpr Salt kGcmSalt = from_hex<Salt>("31daa03b");
constexpr std::string_view kGcmPacket =
    "aaae600eff28ce6700000000ff28ce677439c0ef00f680c529960233645942d247182fe6f3bdef2a451c0b273fad"
    "d5aa04b6463666c2e5e3";

constexpr Suite of_linux(EspSuite suite, const char* name, std::string_view packet) noexcept {
  return {suite, name, 0x1001, kLinuxKey, {}, kLinuxAuthKey, packet, 68};
}

constexpr Suite kSuites[] = {
    {EspSuite::Sm4Gcm16, "SM4-GCM-16", 0xaaae600e, kGcmKey, kGcmSalt, {}, kGcmPacket, 20},
    of_linux(EspSuite::Sm4CbcSm3_96, "SM4-CBC, SM3-96", kLinux96),
    of_linux(EspSuite::Sm4CbcSm3_128, "SM4-CBC, SM3-128", kLinux128),
    of_linux(EspSuite::Sm4CbcSm3_256, "SM4-CBC, SM3-256", kLinux256),
};

// Room for any packet of this file.
constexpr std::size_t kRoom = 192;
constexpr std::size_t kPlainBytes = 61;
using Room = std::array<std::byte, kRoom>;

/// The packet opens, and once.
bool opens(EspInbound& association, std::span<const std::byte> esp, std::size_t inner_bytes,
           Tier tier) noexcept {
  Room room;
  const auto copy = std::span(room).first(esp.size());
  std::ranges::copy(esp, copy.begin());
  EspOpenJob first{&association, copy};
  esp_open({&first, 1}, tier);
  const bool is_right =
      first.status == EspStatus::Ok && first.next_header == 4 && first.packet.size() == inner_bytes;
  std::ranges::copy(esp, copy.begin());
  EspOpenJob again{&association, copy};
  esp_open({&again, 1}, tier);
  return is_right && again.status == EspStatus::Replayed && again.packet.empty();
}

bool packet_holds(const Suite& suite, Tier tier) noexcept {
  Room esp;
  const std::size_t bytes = suite.packet.size() / 2;
  for (std::size_t i = 0; i < bytes; ++i) esp[i] = byte_at(suite.packet, i);
  EspInbound association(suite.parameters(), 64, tier);
  return opens(association, std::span(esp).first(bytes), suite.inner_bytes, tier);
}

constexpr std::size_t kSealed = 4;

/// Seals packets in one batch. @return whether they were, with the numbers behind `last`.
bool seal(EspOutbound& association, std::uint64_t last, std::span<Room> rooms,
          std::span<EspSealJob> jobs, Tier tier) noexcept {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    rooms[i].fill(std::byte{0x45});
    jobs[i] = {&association, std::span(rooms[i]).subspan(kEspHeadRoom, kPlainBytes), 4};
  }
  esp_seal(jobs, tier);
  return std::ranges::all_of(jobs, [&](const EspSealJob& job) {
    constexpr std::size_t kNumberAt = 4;
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 4 && !job.esp.empty(); ++i) {
      number = number << 8 | static_cast<std::uint64_t>(job.esp[kNumberAt + i]);
    }
    return job.status == EspStatus::Ok && number == ++last;
  });
}

/// Packets of one content under one key, the later ones by an association that was made anew
/// behind the last number of the first: no initialization vector comes twice, and what was sealed
/// opens.
bool vectors_differ(const Suite& suite, Tier tier) noexcept {
  constexpr std::uint64_t kLast = 0xfffe;
  std::array<Room, 2 * kSealed> rooms;
  std::array<EspSealJob, 2 * kSealed> jobs;
  const auto both = std::span(jobs);
  EspOutbound before(suite.parameters(), {}, EspUse{.number = kLast}, tier);
  if (!seal(before, kLast, std::span(rooms).first(kSealed), both.first(kSealed), tier))
    return false;
  const std::uint64_t reached = before.last_number();
  EspOutbound after(suite.parameters(), {}, EspUse{.number = reached}, tier);
  if (!seal(after, reached, std::span(rooms).last(kSealed), both.last(kSealed), tier)) return false;
  const std::size_t iv_bytes = esp_shape(suite.suite).iv;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto iv = jobs[i].esp.subspan(kEspHeaderBytes, iv_bytes);
    for (std::size_t j = 0; j < i; ++j) {
      if (std::ranges::equal(iv, jobs[j].esp.subspan(kEspHeaderBytes, iv_bytes))) return false;
    }
  }
  EspInbound receiver(suite.parameters(), 64, tier);
  return opens(receiver, jobs[0].esp, kPlainBytes, tier) &&
         opens(receiver, jobs.back().esp, kPlainBytes, tier);
}

}  // namespace

void add_esp_answers(Tier tier, std::vector<KnownAnswer>& answers) {
  for (const Suite& suite : kSuites) {
    answers.push_back(
        {"ESP", suite.name, tier, packet_holds(suite, tier) && vectors_differ(suite, tier)});
  }
}

}  // namespace sluice::crypto
