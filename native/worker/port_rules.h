// What a port's configuration means for the IP rules of the pipeline: MTU, segment sizes,
// hops, and what ICMP errors come from. Pure; control thread.
#pragma once
#include "pipeline/pipeline.h"
#include "port/port.h"

namespace sluice {

/// Fills mtu, mss4, mss6, decrements_ttl and the ICMP sources.
void set_ip_rules(const PortConfig& config, PipelinePort& row);

}  // namespace sluice
