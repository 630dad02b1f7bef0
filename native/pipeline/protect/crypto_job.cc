#include "pipeline/protect/crypto_job.h"

namespace sluice {
namespace {

void point_to(Packet& packet, std::span<std::byte> data) noexcept {
  packet.offset = static_cast<std::uint16_t>(data.data() - reinterpret_cast<std::byte*>(&packet));
  packet.length = static_cast<std::uint16_t>(data.size());
}

}  // namespace

void do_jobs(std::span<CryptoJob> jobs) noexcept {
  crypto::EspSealJob seals[kCryptoBurst];
  crypto::EspOpenJob opens[kCryptoBurst];
  std::size_t sealed = 0, opened = 0;
  for (const CryptoJob& job : jobs) {
    Packet& packet = *job.packet;
    if (job.seals != nullptr) {
      seals[sealed++] = {&job.seals->esp, {packet.data(), packet.length}, job.next_header};
    } else {
      opens[opened++] = {&job.opens->esp, {packet.data() + job.offset, job.bytes}};
    }
  }
  if (sealed != 0) crypto::esp_seal({seals, sealed});
  if (opened != 0) crypto::esp_open({opens, opened});
  sealed = opened = 0;
  for (CryptoJob& job : jobs) {
    if (job.seals != nullptr) {
      const crypto::EspSealJob& done = seals[sealed++];
      job.status = done.status;
      if (done.status == crypto::EspStatus::Ok) point_to(*job.packet, done.esp);
      continue;
    }
    const crypto::EspOpenJob& done = opens[opened++];
    job.status = done.status;
    job.next_header = done.next_header;
    if (done.status == crypto::EspStatus::Ok) point_to(*job.packet, done.packet);
  }
}

crypto::EspLook look_into(CryptoJob& job) noexcept {
  Packet& packet = *job.packet;
  const auto look = crypto::esp_look(job.opens->esp, {packet.data() + job.offset, job.bytes});
  job.status = look.status;
  job.next_header = look.next_header;
  if (look.status == crypto::EspStatus::Ok) point_to(packet, look.packet);
  return look;
}

}  // namespace sluice
