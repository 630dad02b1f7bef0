// Where lent flows are when their process has ended: the kernel keeps their map while it has a name
// in bpffs. Each run's maps have names of their own, <name>-<run>-<port>, in a folder "sluice".
// Threads: the control thread.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"
#include "memory/lent_flow.h"

namespace sluice {

/// The name of one port's map, in the first bpffs that this process may write to; the folder is
/// made there. Where there is no such bpffs, pin_map() refuses the name.
/// @param name  of the data folder's own, as of the region that has the rest of the usage.
std::string lent_pin(const std::string& name, std::uint32_t run, unsigned port);
/// Gives a map its name. @return 0 or an errno.
int pin_map(int map, const std::string& pin);
/// What flows had spent that a run had lent when it ended. Nothing is forwarded any more then,
/// and it is the same when asked again.
std::vector<LentUsage> take_lent_usage(const std::string& name, std::uint32_t run);
/// Whatever runs have left under that name.
void remove_lent_pins(const std::string& name);

}  // namespace sluice
