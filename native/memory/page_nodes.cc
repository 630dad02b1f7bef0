#include "memory/page_nodes.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

namespace sluice {

std::map<unsigned, unsigned> nodes_of_pages(const std::byte* memory, std::size_t bytes,
                                            unsigned samples) {
  std::vector<const std::byte*> pages;
  for (unsigned i = 0; i < samples; ++i) pages.push_back(memory + bytes / samples * i);
  std::vector<int> nodes(pages.size(), -1);
  std::map<unsigned, unsigned> counts;
  // Without target nodes it moves nothing and says where the pages are, or -ENOENT.
  if (::syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, nodes.data(), 0) != 0) {
    return counts;
  }
  for (const int node : nodes) {
    if (node >= 0) ++counts[static_cast<unsigned>(node)];
  }
  return counts;
}

}  // namespace sluice
