#include "worker/sight/trace_association.h"

#include "wire/bytes.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "worker/sight/trace_words.h"

namespace sluice::trace_words {
namespace {
const char* suite_text(crypto::EspSuite suite) {
  switch (suite) {
    case crypto::EspSuite::Sm4Gcm16:
      return "SM4-GCM-16";
    case crypto::EspSuite::Sm4CbcSm3_96:
      return "SM4-CBC with HMAC-SM3-96";
    case crypto::EspSuite::Sm4CbcSm3_128:
      return "SM4-CBC with HMAC-SM3-128";
    case crypto::EspSuite::Sm4CbcSm3_256:
      return "SM4-CBC with HMAC-SM3-256";
  }
  return "";
}

std::string association_text(const AssociationNote& note) {
  std::string text = "SPI " + hexadecimal(note.spi);
  if (note.protection == 0) return text;
  text += " of protection " + std::to_string(note.protection) + ", " + suite_text(note.suite);
  return note.number == 0 ? text : text + ", number " + std::to_string(note.number);
}

}  // namespace

std::string opening_text(const AssociationNote& note) {
  std::string text = association_text(note);
  if (note.verdict == kTakenAway && note.fate == Fate::Opened) {
    return text + ": genuine and new, " + grouped(note.inside) + " bytes inside";
  }
  if (note.number == 0) return text;
  return text + (note.is_genuine ? "; its ICV holds" : "; its ICV does not hold");
}

std::string sealing_text(const AssociationNote& note) {
  if (note.spi == 0) return "protection " + std::to_string(note.protection);
  const std::byte* const h = note.outer.data();
  const bool is_v6 = wire::load8(h) >> 4 == 6;
  const unsigned ip = is_v6 ? wire::kIpv6Bytes : wire::kIpv4Bytes;
  const auto address = [&](unsigned at4, unsigned at6) {
    return is_v6 ? address6_at(h + at6) : address4(wire::load32(h + at4));
  };
  std::string text = association_text(note) + " would be next: " + grouped(note.inside) +
                     " bytes become " + grouped(note.esp) + " of ESP, " +
                     grouped(note.headers + note.esp) + " from " + address(12, 8) + " to " +
                     address(16, 24);
  if (note.headers > ip) text += ", UDP port " + std::to_string(wire::load16(h + ip + 2));
  return text;
}

}  // namespace sluice::trace_words
