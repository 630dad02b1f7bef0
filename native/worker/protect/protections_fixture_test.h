// A protection whose two ends are one packet path, and the sessions in front of and behind it.
#pragma once
#include "worker/workers_fixture_test.h"

namespace sluice::test {

inline constexpr std::uint32_t kSpi = 0x1001, kFarN9Teid = 0x00c0fff0;
inline constexpr std::uint16_t kNumber = 7;
inline constexpr SessionIndex kFirst = 3 * 64 + 5, kSecond = 9 * 64 + 5;
inline const std::uint32_t kFirstTeid = direct_teid(3, 5, 1), kSecondTeid = direct_teid(9, 5, 1);

inline AssociationSettings association(std::uint32_t spi) {
  AssociationSettings a;
  a.spi = spi;
  for (std::size_t i = 0; i < a.key.size(); ++i) a.key[i] = static_cast<std::byte>(spi + i);
  a.auth_key.fill(static_cast<std::byte>(spi));
  a.allowed = {~std::uint64_t{0}, ~std::uint64_t{0}};
  return a;
}

inline ProtectionSettings protection(unsigned workers = 1) {
  ProtectionSettings p;
  p.number = kNumber;
  p.local = p.peer = {{10, 0, 0, 1}, false};
  for (std::uint32_t w = 0; w < workers; ++w) {
    p.outbound.push_back(association(kSpi + w));
    p.inbound.push_back(association(kSpi + w));
  }
  return p;
}

/// From the gNB into the protected tunnel that leads to the second session.
inline SessionSpec first_session(std::uint32_t teid = kFirstTeid, std::uint32_t ue = kUe,
                                 std::uint32_t second = kSecondTeid) {
  SessionSpec s = plain_session(teid, ue);
  FarSpec& far = s.fars[0];
  far.tunnel = true;
  far.ipv4 = kN3;
  far.teid = second;
  far.protection = kNumber;
  return s;
}

/// Out of the protected tunnel to N6.
inline SessionSpec second_session(std::uint32_t teid = kSecondTeid, std::uint32_t ue = kUe) {
  SessionSpec s = plain_session(teid, ue);
  s.pdrs[0].protection = kNumber;
  // UE addresses are one session's only: this one is found by its tunnel.
  s.ue_ipv4 = 0;
  s.pdrs.resize(1);
  s.fars.resize(1);
  return s;
}

/// What a peer with the keys of an association could send, whatever it is.
class OtherSender {
 public:
  Bytes seal(Bytes inside, std::uint8_t next_header, unsigned tos = 0) {
    const std::size_t bytes = inside.size();
    inside.insert(inside.begin(), kHead, std::byte{0});
    inside.resize(inside.size() + crypto::kEspTailRoom);
    crypto::EspSealJob job{&end_.esp, std::span(inside).subspan(kHead, bytes), next_header};
    crypto::esp_seal({&job, 1});
    const auto esp_bytes = static_cast<unsigned>(job.esp.size());
    const std::byte* const start = end_.write_outer(job.esp.data(), esp_bytes, tos, false);
    return Bytes(start, static_cast<const std::byte*>(job.esp.data() + esp_bytes));
  }

 private:
  static constexpr std::size_t kHead = crypto::kEspHeadRoom + sizeof(EspOuter::header);
  static crypto::EspParameters parameters(const AssociationSettings& a) {
    return {.spi = a.spi, .key = a.key, .salt = a.salt, .auth_key = a.auth_key};
  }
  static constexpr LocalAddress kAt{.words = {kN3}, .is_v6 = false, .port = 0};
  AssociationSettings association_ = association(kSpi);
  OutboundEnd end_{make_esp_outer(kAt, kAt, false), parameters(association_), {}, {}};
};

}  // namespace sluice::test
