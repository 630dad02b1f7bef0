// What a trace sees of a packet at a security association, of which it uses nothing up.
#pragma once
#include <array>

#include "crypto/esp/association.h"
#include "pipeline/burst.h"
#include "pipeline/observe/observer.h"

namespace sluice {

struct AssociationNote {
  Stage stage = Stage::Open;  ///< or Seal
  DropReason verdict = DropReason::None;
  Fate fate = Fate::Opened;      ///< with kTakenAway
  std::uint16_t protection = 0;  ///< 0: it is not known here
  std::uint32_t spi = 0;
  crypto::EspSuite suite = crypto::EspSuite::Sm4Gcm16;
  std::uint64_t number = 0;           ///< of the packet; sealing: that the next one gets
  bool is_genuine = false;            ///< opening
  bool is_copy = false;               ///< sealing: of the packet that is traced
  std::uint16_t inside = 0;           ///< bytes
  std::uint16_t esp = 0;              ///< bytes, from the SPI to the ICV
  std::uint8_t headers = 0;           ///< bytes of `outer`
  std::array<std::byte, 48> outer{};  ///< sealing: IP header and UDP's, without lengths and marking
};

}  // namespace sluice
