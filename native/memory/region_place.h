// Where a region's file can be, so that it outlives the process: hugetlbfs for its pages, else
// tmpfs. Thread: control, at start.
#pragma once
#include <string>
#include <vector>

#include "memory/region.h"

namespace sluice {

struct Mount {
  std::string folder;
  std::string type;     ///< "hugetlbfs", "tmpfs", …
  std::string options;  ///< as in /proc/mounts, between commas
};
/// The text of /proc/mounts, without escapes for spaces: such a folder is of no use here.
std::vector<Mount> parse_mounts(const std::string& text);

/// Paths at which a region of that name is tried, best first.
/// @param pages  huge pages asked for by name are never given up for a file on tmpfs.
std::vector<std::string> region_places(const std::vector<Mount>& mounts, const std::string& name,
                                       PagePolicy pages);
/// Every path at which an earlier run may have left a region of that name.
std::vector<std::string> region_leftovers(const std::vector<Mount>& mounts,
                                          const std::string& name);
/// True when the kernel gives 2 MB pages at first touch to a memfd that asks by madvise.
bool kernel_gives_transparent_pages();
/// True when files of a tmpfs, such as `path`, get 2 MB pages at first touch.
bool tmpfs_gives_huge_pages(const std::vector<Mount>& mounts, const std::string& path);
/// The first line of a file, empty when there is none.
std::string read_line(const char* path);
/// The machine's mounts.
std::vector<Mount> machine_mounts();
/// Free huge pages of 2 MB, whether a hugetlbfs is mounted or not.
std::size_t free_huge_pages();

}  // namespace sluice
