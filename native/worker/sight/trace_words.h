// Parts of sentences of a trace: addresses, quantities, the UE's packet, the state of a URR.
// Pure; any thread.
#pragma once
#include <string>

#include "pipeline/observe/trace_recorder.h"

namespace sluice::trace_words {

std::string grouped(std::uint64_t number);  ///< "1,400"
std::string bytes(std::uint64_t number);    ///< "62 kB", "1.5 MB"
std::string hexadecimal(std::uint32_t number);
std::string address4(std::uint32_t address);
std::string address6(std::uint64_t prefix);
std::string address6_at(const std::byte* bytes);
std::string address(const LocalAddress& local);
/// Source or destination of the UE's packet.
std::string inner_address(const TraceNote& note, bool source);
/// "UDP 10.60.0.7:4000 to 203.0.113.9:443, 1,400 bytes"
std::string inner_text(const TraceNote& note, bool uplink);
/// What a packet with kTakenAway has come to.
std::string fate_text(Fate fate);
/// "a downlink data report of PDR 2"
std::string event_text(const Event& event);
/// "URR 1: 1,400 bytes of a threshold of 100 MB"
std::string urr_text(const UrrState& state, const std::uint32_t* words, Direction direction);

}  // namespace sluice::trace_words
