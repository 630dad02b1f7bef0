// Protections as the control thread sees them: what they are, and the errands that put their ends
// into the tables of the workers. Everything here is the control thread's, but for
// ChangeErrand::run() and for the tables, which are their workers' (pipeline/protect).
#pragma once
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "pipeline/protect/protection_table.h"
#include "session/table/protection_uses.h"
#include "worker/worker.h"

namespace sluice {

/// One security association. Whoever passes it on wipes the keys.
struct AssociationSettings {
  std::uint32_t spi = 0;
  std::array<std::byte, crypto::kSm4KeyBytes> key{};
  std::array<std::byte, crypto::kEspSaltBytes> salt{};
  std::array<std::byte, crypto::kEspAuthKeyBytes> auth_key{};
  /// Outbound: what may have been used. Inbound: the newest number that had come.
  crypto::EspUse used;
  crypto::EspUse allowed;  ///< outbound: nothing beyond it, until extend()
};

struct ProtectionSettings {
  std::uint16_t number = 0;  ///< 1 to kProtectionsMax
  IpAddress local, peer;     ///< of one family
  PortMask ports =
      static_cast<PortMask>(~0u);  ///< bit n: port n has the local address, or may have
  bool in_udp = false;
  crypto::EspSuite suite = crypto::EspSuite::Sm4Gcm16;
  bool extended_sequence = true;
  unsigned window = 1024;
  crypto::EspLifetime lifetime;
  std::vector<AssociationSettings> outbound;  ///< by worker; one without drops what it should seal
  std::vector<AssociationSettings> inbound;   ///< all are live; of worker SPI mod workers
};

struct AssociationStatus {
  std::uint32_t spi = 0;
  bool outbound = false;
  std::uint64_t number = 0;
  std::uint64_t packets = 0, bytes = 0;
  std::uint64_t replayed = 0, not_genuine = 0, malformed = 0;
  bool wants_rekeying = false, has_expired = false;
};

class Protections {
 public:
  Protections(unsigned workers, ProtectionUses& uses);
  ~Protections();

  ProtectionTable& table(unsigned worker) noexcept { return *lanes_[worker].table; }
  /// From now on changes go by errand; before, and after workers_ended(), they are in force at
  /// once.
  void workers_run(std::span<const std::unique_ptr<Worker>> workers);
  void workers_ended();

  /// A new one, or other associations for one that is there: an SPI that stays goes on as it is,
  /// so that only the lists of associations may change.
  /// Error: names the field; nothing has changed.
  Status set(const ProtectionSettings& settings);
  /// False: rules refer to it, or there is none.
  bool remove(std::uint16_t number);
  /// Further sequence numbers and bytes for an outbound association.
  void extend(std::uint16_t number, std::uint32_t spi, const crypto::EspUse& allowed);
  /// Whether all that was set and removed is in force. Goes on with what is not.
  bool settled();
  std::vector<AssociationStatus> status(std::uint16_t number) const;

 private:
  struct ChangeErrand final : Errand {
    void run(Worker& worker, Nanoseconds now) noexcept override;
    void apply() noexcept;
    ProtectionTable* table = nullptr;
    std::uint16_t number = 0;
    bool changes_outbound = false;
    std::unique_ptr<OutboundEnd> outbound;  ///< the new one, and then the one before
    std::vector<InboundPlace> added;
    LocalAddress local{};
    std::vector<std::uint32_t> removed;
    std::vector<std::unique_ptr<InboundEnd>> ended;  ///< has room for as many as `removed`
    /// None of what it took out has packets with crypto lanes.
    bool is_over() const noexcept;
  };
  struct Lane {
    std::unique_ptr<ProtectionTable> table;
    Worker* worker = nullptr;
    std::deque<std::unique_ptr<ChangeErrand>> errands;  ///< the first may be posted
    bool posted = false;
  };
  /// What is in force or on its way. The ends are the tables'; here they are for their figures.
  struct Protection {
    std::vector<OutboundEnd*> outbound;            ///< by worker
    std::map<std::uint32_t, InboundEnd*> inbound;  ///< by SPI
  };
  Status check(const ProtectionSettings& settings) const;
  void turn(Lane& lane);

  ProtectionUses& uses_;
  std::vector<Lane> lanes_;
  std::map<std::uint16_t, Protection> protections_;
  std::map<std::uint32_t, std::uint16_t> spis_;  ///< inbound: whose
};

}  // namespace sluice
