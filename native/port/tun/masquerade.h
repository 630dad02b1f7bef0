// Source NAT for the UEs of a pool: one nftables table of our own, named after the device.
// The rules are the kernel's; Sluice only asks for them, through the `nft` program.
// Owner: the control thread.
#pragma once
#include <span>
#include <string>

#include "base/types.h"
#include "port/port.h"

namespace sluice {

/// The script that replaces the device's table by one that masquerades the pools. Pure.
std::string masquerade_script(const std::string& device, std::span<const IpPrefix> pools);

/// Loads the table and lets the kernel forward (ip_forward stays on when the port closes,
/// because others may have come to rely on it). Errors are on field "masquerade".
Status start_masquerade(const std::string& device, std::span<const IpPrefix> pools);
/// Removes the table; nothing happens if it is gone already.
void stop_masquerade(const std::string& device) noexcept;

}  // namespace sluice
