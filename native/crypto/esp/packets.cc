// Packets of ESP, in groups that share the kernels' lanes: those of GCM in one batch; those of CBC
// in one of SM4 and one of HMAC-SM3.
#include <algorithm>
#include <cstring>

#include "crypto/esp/association.h"
#include "crypto/secret.h"
#include "crypto/sm3/batch.h"
#include "crypto/sm4/batch.h"

namespace sluice::crypto {
namespace {
constexpr std::size_t kGroup = 64;
constexpr std::size_t kAadMax = 12;

void store32(std::byte* at, std::uint32_t number) noexcept {
  number = __builtin_bswap32(number);
  std::memcpy(at, &number, sizeof number);
}
void store64(std::byte* at, std::uint64_t number) noexcept {
  store32(at, static_cast<std::uint32_t>(number >> 32));
  store32(at + 4, static_cast<std::uint32_t>(number));
}
std::uint32_t load32(const std::byte* at) noexcept {
  std::uint32_t number;
  std::memcpy(&number, at, sizeof number);
  return __builtin_bswap32(number);
}

/// What GCM authenticates beside the ciphertext: SPI and number, the whole one if it is extended.
/// Source: RFC 4106 section 5.
std::size_t write_aad(std::byte* aad, std::uint32_t spi, std::uint64_t number,
                      bool extended) noexcept {
  store32(aad, spi);
  if (!extended) {
    store32(aad + 4, static_cast<std::uint32_t>(number));
    return 8;
  }
  store64(aad + 4, number);
  return 12;
}

/// The nonce of GCM: salt and initialization vector. Source: RFC 4106 section 4.
void write_nonce(std::byte* nonce, const EspKeys& keys, const std::byte* iv) noexcept {
  std::memcpy(nonce, keys.salt(), kEspSaltBytes);
  std::memcpy(nonce + kEspSaltBytes, iv, kSm4GcmIvBytes - kEspSaltBytes);
}

/// Room for what the kernels' jobs point to, one group at a time.
struct Group {
  Sm4GcmJob gcm[kGroup];
  Sm4CbcJob cbc[kGroup];
  Sm3Job sm3[kGroup];
  std::byte aad[kGroup][kAadMax];
  std::byte nonce[kGroup][kSm4GcmIvBytes];
  std::byte chain[kGroup][kSm4BlockBytes];
  std::byte code[kGroup][kSm3DigestBytes];
  std::size_t of_gcm[kGroup], of_cbc[kGroup];  ///< which job of the group each is
  std::uint64_t number[kGroup];
  std::size_t gcm_count = 0, cbc_count = 0;

  void add_gcm(std::size_t job, const EspKeys& keys, std::uint32_t spi, bool extended,
               std::span<std::byte> esp, bool opens) noexcept {
    const EspShape shape = esp_shape(keys.suite());
    const std::size_t n = gcm_count++;
    std::byte* const iv = esp.data() + kEspHeaderBytes;
    const std::size_t aad_bytes = write_aad(aad[n], spi, number[job], extended);
    write_nonce(nonce[n], keys, iv);
    const auto body = esp.subspan(kEspHeaderBytes + shape.iv);
    gcm[n] = {&keys.gcm(),
              nonce[n],
              std::span<const std::byte>(aad[n], aad_bytes),
              body.first(body.size() - shape.icv),
              body.data() + body.size() - shape.icv,
              opens};
    of_gcm[n] = job;
  }
  /// HMAC of everything before the ICV and, if it is extended, of the number's upper half behind
  /// it, which takes the place of the ICV meanwhile. Source: RFC 4303 section 3.3.2.1.
  std::size_t add_sm3(std::size_t job, const EspKeys& keys, bool extended,
                      std::span<std::byte> covered) noexcept {
    const std::size_t n = cbc_count++;
    of_cbc[n] = job;
    std::byte* const end = covered.data() + covered.size();
    if (extended) store32(end, static_cast<std::uint32_t>(number[job] >> 32));
    sm3[n] = {std::span<const std::byte>(covered.data(), covered.size() + (extended ? 4 : 0)),
              &keys.auth(), code[n]};
    return n;
  }
};

/// Lays a packet out, all but ciphertext and ICV; the association's number is taken.
void lay_out(EspSealJob& job, std::uint64_t number) noexcept {
  const EspOutbound& association = *job.association;
  const EspShape shape = esp_shape(association.keys().suite());
  std::byte* const packet = job.packet.data();
  std::byte* const start = packet - shape.iv - kEspHeaderBytes;
  const std::size_t padding = esp_padding(shape, job.packet.size());
  std::byte* at = packet + job.packet.size();
  for (std::size_t i = 1; i <= padding; ++i) *at++ = static_cast<std::byte>(i);
  *at++ = static_cast<std::byte>(padding);
  *at++ = static_cast<std::byte>(job.next_header);
  store32(start, association.spi());
  store32(start + 4, static_cast<std::uint32_t>(number));
  // To GCM the number is the vector. To CBC it is the block before the message, whose ciphertext is
  // the vector that is sent: nobody can foretell it without the key. Source: SP 800-38A appendix C.
  std::memset(start + kEspHeaderBytes, 0, shape.iv);
  store64(packet - 8, number);
  job.esp = {start, static_cast<std::size_t>(at - start) + shape.icv};
}

/// Associations are many, and rarely in a cache: what a group needs is fetched at once.
template <class Job>
void prefetch(std::span<Job> jobs) noexcept {
  for (const Job& job : jobs) __builtin_prefetch(job.association, 1);
  for (const Job& job : jobs) job.association->keys().prefetch();
}

void seal_group(std::span<EspSealJob> jobs, Tier tier) noexcept {
  prefetch(jobs);
  Group group;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EspSealJob& job = jobs[i];
    job.esp = {};
    group.number[i] = job.association->take_number(job.packet.size());
    job.status = group.number[i] == 0 ? EspStatus::Expired : EspStatus::Ok;
    if (job.status != EspStatus::Ok) continue;
    lay_out(job, group.number[i]);
    const EspOutbound& association = *job.association;
    const EspKeys& keys = association.keys();
    if (keys.suite() == EspSuite::Sm4Gcm16) {
      group.add_gcm(i, keys, association.spi(), association.extended(), job.esp, false);
      continue;
    }
    const std::size_t n = group.cbc_count;
    const auto covered = job.esp.first(job.esp.size() - esp_shape(keys.suite()).icv);
    std::memset(group.chain[n], 0, kSm4BlockBytes);
    group.cbc[n] = {&keys.cbc(), group.chain[n], covered.subspan(kEspHeaderBytes)};
    group.add_sm3(i, keys, association.extended(), covered);
  }
  sm4_gcm_batch(std::span(group.gcm, group.gcm_count), tier);
  sm4_cbc_encrypt_batch(std::span(group.cbc, group.cbc_count), tier);
  sm3_batch(std::span(group.sm3, group.cbc_count), tier);
  for (std::size_t n = 0; n < group.cbc_count; ++n) {
    EspSealJob& job = jobs[group.of_cbc[n]];
    const std::size_t icv = esp_shape(job.association->keys().suite()).icv;
    std::memcpy(job.esp.data() + job.esp.size() - icv, group.code[n], icv);
  }
}

/// The whole sequence number of a packet.
std::uint64_t number_of(const EspInbound& association, std::span<const std::byte> esp) noexcept {
  const std::uint32_t low = load32(esp.data() + 4);
  return association.extended() ? association.window().extended(low) : low;
}

/// The least that a packet of a suite has, and whole blocks. @return  false: it is not that.
bool is_whole(std::span<const std::byte> esp, const EspShape& shape) noexcept {
  const std::size_t around = kEspHeaderBytes + shape.iv + shape.icv;
  if (esp.size() < around + shape.block) return false;
  return (esp.size() - around) % shape.block == 0;
}

/// The plain text of a packet without its trailer; false: its padding is none.
template <class Opened>
bool take_off_trailer(std::span<std::byte> plain, Opened& opened) noexcept {
  const std::size_t rest = plain.size() - kEspTrailerBytes;
  const auto padding = static_cast<std::size_t>(plain[rest]);
  if (padding > rest) return false;
  const auto bytes = plain.subspan(rest - padding, padding);
  bool is_padding = true;
  for (std::size_t i = 0; i < padding; ++i) is_padding &= bytes[i] == static_cast<std::byte>(i + 1);
  if (!is_padding) return false;
  opened.next_header = static_cast<std::uint8_t>(plain[rest + 1]);
  opened.packet = plain.first(rest - padding);
  return true;
}

/// A genuine packet's plain text: its trailer goes, and its number into the window.
void accept(EspOpenJob& job, std::span<std::byte> plain, std::uint64_t number) noexcept {
  if (!take_off_trailer(plain, job)) {
    job.status = EspStatus::NotGenuine;
    return;
  }
  // The same packet may be in a group twice.
  if (job.association->window().take(number)) return;
  job.status = EspStatus::Replayed;
  job.packet = {};
}

/// Codes that were sent, kept while the upper halves of numbers have their places.
using SentCodes = std::byte[kGroup][kSm3DigestBytes];

/// The plain text of a genuine packet, in its place.
std::span<std::byte> decrypt_cbc(const EspKeys& keys, std::span<std::byte> esp,
                                 Tier tier) noexcept {
  const EspShape shape = esp_shape(keys.suite());
  std::byte* const iv = esp.data() + kEspHeaderBytes;
  const auto body =
      esp.subspan(kEspHeaderBytes + shape.iv, esp.size() - kEspHeaderBytes - shape.iv - shape.icv);
  sm4_cbc_decrypt(keys.cbc(), iv, body, body.data(), tier);
  return body;
}

void open_cbc(std::span<EspOpenJob> jobs, Group& group, const SentCodes& sent, Tier tier) noexcept {
  sm3_batch(std::span(group.sm3, group.cbc_count), tier);
  for (std::size_t n = 0; n < group.cbc_count; ++n) {
    EspOpenJob& job = jobs[group.of_cbc[n]];
    const EspKeys& keys = job.association->keys();
    if (!equal_in_constant_time(group.code[n], sent[n], esp_shape(keys.suite()).icv)) {
      job.status = EspStatus::NotGenuine;
      continue;
    }
    accept(job, decrypt_cbc(keys, job.esp, tier), group.number[group.of_cbc[n]]);
  }
}

void open_group(std::span<EspOpenJob> jobs, Tier tier) noexcept {
  prefetch(jobs);
  Group group;
  SentCodes sent;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EspOpenJob& job = jobs[i];
    EspInbound& association = *job.association;
    const EspKeys& keys = association.keys();
    const EspShape shape = esp_shape(keys.suite());
    job.status = EspStatus::Ok;
    job.packet = {};
    if (!is_whole(job.esp, shape)) {
      job.status = EspStatus::Truncated;
      continue;
    }
    group.number[i] = number_of(association, job.esp);
    if (!association.window().is_new(group.number[i])) {
      job.status = EspStatus::Replayed;
      continue;
    }
    if (keys.suite() == EspSuite::Sm4Gcm16) {
      group.add_gcm(i, keys, association.spi(), association.extended(), job.esp, true);
      continue;
    }
    const auto covered = job.esp.first(job.esp.size() - shape.icv);
    std::memcpy(sent[group.cbc_count], covered.data() + covered.size(), shape.icv);
    group.add_sm3(i, keys, association.extended(), covered);
  }
  sm4_gcm_batch(std::span(group.gcm, group.gcm_count), tier);
  for (std::size_t n = 0; n < group.gcm_count; ++n) {
    EspOpenJob& job = jobs[group.of_gcm[n]];
    if (group.gcm[n].holds) {
      accept(job, group.gcm[n].data, group.number[group.of_gcm[n]]);
    } else {
      job.status = EspStatus::NotGenuine;
    }
  }
  open_cbc(jobs, group, sent, tier);
}
}  // namespace

void esp_seal(std::span<EspSealJob> jobs, Tier tier) noexcept {
  for (std::size_t at = 0; at < jobs.size(); at += kGroup) {
    seal_group(jobs.subspan(at, std::min(kGroup, jobs.size() - at)), tier);
  }
}

void esp_open(std::span<EspOpenJob> jobs, Tier tier) noexcept {
  for (std::size_t at = 0; at < jobs.size(); at += kGroup) {
    open_group(jobs.subspan(at, std::min(kGroup, jobs.size() - at)), tier);
  }
}

EspLook esp_look(const EspInbound& association, std::span<std::byte> esp, Tier tier) noexcept {
  const EspKeys& keys = association.keys();
  const EspShape shape = esp_shape(keys.suite());
  EspLook look;
  if (!is_whole(esp, shape)) {
    look.status = EspStatus::Truncated;
    return look;
  }
  Group group;
  look.number = group.number[0] = number_of(association, esp);
  std::span<std::byte> plain;
  if (keys.suite() == EspSuite::Sm4Gcm16) {
    group.add_gcm(0, keys, association.spi(), association.extended(), esp, true);
    sm4_gcm_batch(std::span(group.gcm, 1), tier);
    look.genuine = group.gcm[0].holds;
    plain = group.gcm[0].data;
  } else {
    std::byte sent[kSm3DigestBytes];
    const auto covered = esp.first(esp.size() - shape.icv);
    std::memcpy(sent, covered.data() + covered.size(), shape.icv);
    group.add_sm3(0, keys, association.extended(), covered);
    sm3_batch(std::span(group.sm3, 1), tier);
    look.genuine = equal_in_constant_time(group.code[0], sent, shape.icv);
    if (look.genuine) plain = decrypt_cbc(keys, esp, tier);
  }
  look.genuine = look.genuine && take_off_trailer(plain, look);
  if (!association.window().is_new(look.number)) {
    look.status = EspStatus::Replayed;
  } else if (!look.genuine) {
    look.status = EspStatus::NotGenuine;
  }
  return look;
}

}  // namespace sluice::crypto
