// What a port's configuration means for the IP rules of the pipeline: its addresses, MTU,
// segment sizes, hops, and what ICMP errors come from. Pure; control thread.
#pragma once
#include "pipeline/pipeline.h"
#include "port/port.h"

namespace sluice {

/// An address as the pipeline compares it; `port` is kNoPort where it is no port's own.
LocalAddress local_address(const IpAddress& address, std::uint8_t port);

/// Fills mtu, mss4, mss6, decrements_ttl, the ICMP sources and whether ESP is the node's own.
void set_ip_rules(const PortConfig& config, PipelinePort& row);

}  // namespace sluice
