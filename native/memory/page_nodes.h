// On which NUMA nodes memory really is, whatever it was bound to. Threads: any.
#pragma once
#include <cstddef>
#include <map>

namespace sluice {

/// Looks at so many pages, evenly spread over the memory, and counts them by node. Pages that
/// nothing has touched yet are on none. Empty where the kernel doesn't tell.
std::map<unsigned, unsigned> nodes_of_pages(const std::byte* memory, std::size_t bytes,
                                            unsigned samples);

}  // namespace sluice
