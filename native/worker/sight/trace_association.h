// What a trace says of a packet at a security association. Pure; any thread.
#pragma once
#include <string>

#include "pipeline/observe/association_note.h"

namespace sluice::trace_words {

/// "SPI 0x1001 of protection 7, SM4-GCM-16, number 5: genuine and new, 108 bytes inside"; of
/// one that ends here, what is known of it.
std::string opening_text(const AssociationNote& note);
/// "SPI 0x1001 of protection 7, SM4-GCM-16, number 6 would be next: 108 bytes become 144 of
/// ESP, 164 from 10.0.0.1 to 10.0.0.2"
std::string sealing_text(const AssociationNote& note);

}  // namespace sluice::trace_words
