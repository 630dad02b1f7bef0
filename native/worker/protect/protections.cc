#include "worker/protect/protections.h"

#include <algorithm>
#include <utility>

#include "worker/port_rules.h"

namespace sluice {
namespace {

crypto::EspParameters parameters_of(const ProtectionSettings& settings,
                                    const AssociationSettings& association) noexcept {
  return {.spi = association.spi,
          .suite = settings.suite,
          .key = association.key,
          .salt = association.salt,
          .auth_key = association.auth_key,
          .extended_sequence = settings.extended_sequence};
}

bool names(const std::vector<AssociationSettings>& list, std::uint32_t spi) noexcept {
  return std::any_of(list.begin(), list.end(), [spi](const auto& a) { return a.spi == spi; });
}

}  // namespace

Protections::Protections(unsigned workers, ProtectionUses& uses) : uses_(uses), lanes_(workers) {
  for (Lane& lane : lanes_) lane.table = std::make_unique<ProtectionTable>();
}

Protections::~Protections() = default;

void Protections::workers_run(std::span<const std::unique_ptr<Worker>> workers) {
  for (std::size_t w = 0; w < lanes_.size(); ++w) lanes_[w].worker = workers[w].get();
}

void Protections::workers_ended() {
  for (Lane& lane : lanes_) {
    lane.worker = nullptr;
    if (lane.posted) lane.posted = lane.errands.front()->done();
    turn(lane);
  }
}

void Protections::ChangeErrand::run(Worker&, Nanoseconds) noexcept { apply(); }

void Protections::ChangeErrand::apply() noexcept {
  if (changes_outbound) table->swap_outbound(number, outbound);
  for (const std::uint32_t spi : removed) ended.push_back(table->remove_inbound(spi));
  for (InboundPlace& place : added) table->add_inbound(std::move(place), local);
}

bool Protections::ChangeErrand::is_over() const noexcept {
  return (outbound == nullptr || outbound->away.none()) &&
         std::all_of(ended.begin(), ended.end(),
                     [](const auto& end) { return end == nullptr || end->away.none(); });
}

Status Protections::check(const ProtectionSettings& settings) const {
  if (settings.number == 0 || settings.number > kProtectionsMax) {
    return Error{"at most " + std::to_string(kProtectionsMax) + " protections", "number"};
  }
  const auto it = protections_.find(settings.number);
  std::size_t fresh = 0;
  for (std::size_t i = 0; i < settings.inbound.size(); ++i) {
    const std::uint32_t spi = settings.inbound[i].spi;
    const auto holder = spis_.find(spi);
    if (holder == spis_.end()) {
      ++fresh;
    } else if (holder->second != settings.number) {
      return Error{"SPI " + std::to_string(spi) + " is another protection's",
                   "inbound[" + std::to_string(i) + "].spi"};
    }
  }
  const std::size_t gone = it == protections_.end() ? 0 : it->second.inbound.size();
  if (spis_.size() + fresh > kInboundMax + gone) {
    return Error{"at most " + std::to_string(kInboundMax) + " inbound associations in all",
                 "inbound"};
  }
  // An association that changed its owner would begin its numbers anew.
  for (std::size_t i = 0; i < settings.outbound.size(); ++i) {
    for (std::size_t w = 0; it != protections_.end() && w < it->second.outbound.size(); ++w) {
      const OutboundEnd* end = it->second.outbound[w];
      if (i == w || end == nullptr || end->esp.spi() != settings.outbound[i].spi) continue;
      return Error{
          "is that of worker " + std::to_string(w) + ", and stays at its place in the list",
          "outbound[" + std::to_string(i) + "].spi"};
    }
  }
  return Ok{};
}

Status Protections::set(const ProtectionSettings& settings) {
  if (Status status = check(settings); !status) return status;
  const LocalAddress local = local_address(settings.local, kNoPort),
                     peer = local_address(settings.peer, kNoPort);
  const EspOuter outer = make_esp_outer(local, peer, settings.in_udp);
  Protection& protection = protections_[settings.number];
  protection.outbound.resize(lanes_.size(), nullptr);
  const auto before = protection.inbound;
  std::vector<std::uint32_t> removed;
  for (const auto& [spi, end] : before) {
    if (names(settings.inbound, spi)) continue;
    removed.push_back(spi);
    protection.inbound.erase(spi);
    spis_.erase(spi);
  }
  for (std::size_t w = 0; w < lanes_.size(); ++w) {
    Lane& lane = lanes_[w];
    auto errand = std::make_unique<ChangeErrand>();
    errand->table = lane.table.get();
    errand->number = settings.number;
    errand->local = local;
    errand->removed = removed;
    errand->ended.reserve(removed.size());
    const AssociationSettings* out = w < settings.outbound.size() ? &settings.outbound[w] : nullptr;
    OutboundEnd*& current = protection.outbound[w];
    const std::uint32_t spi = current == nullptr ? 0 : current->esp.spi();
    if ((out == nullptr ? 0 : out->spi) != spi) {
      errand->changes_outbound = true;
      if (out != nullptr) {
        errand->outbound = std::make_unique<OutboundEnd>(outer, parameters_of(settings, *out),
                                                         settings.lifetime, out->used);
        errand->outbound->esp.use_up_to(out->allowed);
      }
      current = errand->outbound.get();
    }
    for (const AssociationSettings& in : settings.inbound) {
      if (before.contains(in.spi)) continue;
      InboundPlace place;
      place.spi = in.spi;
      place.protection = settings.number;
      place.owner = static_cast<std::uint16_t>(in.spi % lanes_.size());
      if (place.owner == w) {
        place.end = std::make_unique<InboundEnd>(
            settings.number, local, parameters_of(settings, in), settings.window, in.used.number);
        protection.inbound[in.spi] = place.end.get();
        spis_[in.spi] = settings.number;
      }
      errand->added.push_back(std::move(place));
    }
    lane.errands.push_back(std::move(errand));
    turn(lane);
  }
  uses_.define(settings.number, settings.ports);
  return Ok{};
}

bool Protections::remove(std::uint16_t number) {
  const auto it = protections_.find(number);
  if (it == protections_.end() || !uses_.undefine(number)) return false;
  for (Lane& lane : lanes_) {
    auto errand = std::make_unique<ChangeErrand>();
    errand->table = lane.table.get();
    errand->number = number;
    errand->changes_outbound = true;
    for (const auto& [spi, end] : it->second.inbound) errand->removed.push_back(spi);
    errand->ended.reserve(errand->removed.size());
    lane.errands.push_back(std::move(errand));
    turn(lane);
  }
  for (const auto& [spi, end] : it->second.inbound) spis_.erase(spi);
  protections_.erase(it);
  return true;
}

void Protections::extend(std::uint16_t number, std::uint32_t spi, const crypto::EspUse& allowed) {
  const auto it = protections_.find(number);
  if (it == protections_.end()) return;
  for (OutboundEnd* end : it->second.outbound) {
    if (end != nullptr && end->esp.spi() == spi) end->esp.use_up_to(allowed);
  }
}

void Protections::turn(Lane& lane) {
  while (!lane.errands.empty()) {
    ChangeErrand& errand = *lane.errands.front();
    if (!lane.posted && lane.worker == nullptr) {
      errand.apply();
      lane.posted = true;
    }
    // A place that another errand has is free later.
    if (!lane.posted) lane.posted = lane.worker->post(errand);
    if (!lane.posted || (lane.worker != nullptr && !errand.done()) || !errand.is_over()) return;
    lane.posted = false;
    lane.errands.pop_front();
  }
}

bool Protections::settled() {
  bool all = true;
  for (Lane& lane : lanes_) {
    turn(lane);
    all &= lane.errands.empty();
  }
  return all;
}

std::vector<AssociationStatus> Protections::status(std::uint16_t number) const {
  std::vector<AssociationStatus> rows;
  const auto it = protections_.find(number);
  if (it == protections_.end()) return rows;
  for (const OutboundEnd* end : it->second.outbound) {
    if (end == nullptr) continue;
    AssociationStatus row;
    row.spi = end->esp.spi();
    row.outbound = true;
    row.number = row.packets = end->esp.last_number();
    row.bytes = end->esp.bytes();
    row.wants_rekeying = end->esp.wants_rekeying();
    row.has_expired = end->esp.has_expired();
    rows.push_back(row);
  }
  for (const auto& [spi, end] : it->second.inbound) {
    AssociationStatus row;
    row.spi = spi;
    row.number = end->esp.window().newest();
    row.packets = end->packets;
    row.bytes = end->bytes;
    row.replayed = end->replayed;
    row.not_genuine = end->not_genuine;
    row.malformed = end->malformed;
    rows.push_back(row);
  }
  return rows;
}

}  // namespace sluice
