#include "memory/region_place.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace sluice {
namespace {

bool is_1g(const Mount& mount) {
  return ("," + mount.options + ",").find(",pagesize=1024M,") != std::string::npos ||
         ("," + mount.options + ",").find(",pagesize=1G,") != std::string::npos;
}

/// The kernel puts the choice in force in brackets: "always [madvise] never".
bool has_choice(const std::string& line, const char* choice) {
  return line.find(choice) != std::string::npos;
}

/// The mount that a path is on: the longest one that it begins with.
const Mount* mount_of(const std::vector<Mount>& mounts, const std::string& path) {
  const Mount* on = nullptr;
  for (const Mount& mount : mounts) {
    const std::string below = mount.folder == "/" ? "/" : mount.folder + "/";
    if (!(path + "/").starts_with(below)) continue;
    if (on == nullptr || mount.folder.size() >= on->folder.size()) on = &mount;
  }
  return on;
}

/// Folders on tmpfs: what the service manager keeps over a restart, else everybody's.
std::vector<std::string> memory_folders(const std::vector<Mount>& mounts) {
  std::vector<std::string> candidates;
  if (const char* runtime = std::getenv("RUNTIME_DIRECTORY")) {
    candidates.push_back(std::string(runtime).substr(0, std::string(runtime).find(':')));
  }
  candidates.emplace_back("/dev/shm");
  std::vector<std::string> folders;
  for (const std::string& folder : candidates) {
    const Mount* on = mount_of(mounts, folder);
    if (on != nullptr && on->type == "tmpfs") folders.push_back(folder);
  }
  return folders;
}

}  // namespace

std::string read_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<Mount> parse_mounts(const std::string& text) {
  std::vector<Mount> mounts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string device;
    Mount mount;
    if (words >> device >> mount.folder >> mount.type >> mount.options) mounts.push_back(mount);
  }
  return mounts;
}

bool kernel_gives_transparent_pages() {
  const std::string own =
      read_line("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/shmem_enabled");
  const std::string all = read_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  if (has_choice(all, "[deny]")) return false;
  if (has_choice(all, "[force]")) return true;
  const std::string& line = own.empty() || has_choice(own, "[inherit]") ? all : own;
  return has_choice(line, "[always]") || has_choice(line, "[within_size]") ||
         has_choice(line, "[advise]");
}

bool tmpfs_gives_huge_pages(const std::vector<Mount>& mounts, const std::string& path) {
  const Mount* on = mount_of(mounts, path);
  if (on == nullptr) return false;
  return has_choice(on->options, "huge=always") || has_choice(on->options, "huge=advise") ||
         has_choice(on->options, "huge=within_size");
}

std::vector<Mount> machine_mounts() {
  std::ifstream file("/proc/self/mounts");
  return parse_mounts({std::istreambuf_iterator<char>(file), {}});
}

std::vector<std::string> region_places(const std::vector<Mount>& mounts, const std::string& name,
                                       PagePolicy pages) {
  std::vector<std::string> places;
  for (const bool large : {true, false}) {
    if (pages == PagePolicy::Off || pages == (large ? PagePolicy::k2M : PagePolicy::k1G)) continue;
    for (const Mount& mount : mounts) {
      if (mount.type == "hugetlbfs" && is_1g(mount) == large) {
        places.push_back(mount.folder + "/" + name);
      }
    }
  }
  if (pages == PagePolicy::k1G || pages == PagePolicy::k2M) return places;
  for (const std::string& folder : memory_folders(mounts)) places.push_back(folder + "/" + name);
  return places;
}

std::vector<std::string> region_leftovers(const std::vector<Mount>& mounts,
                                          const std::string& name) {
  std::vector<std::string> found;
  // Whatever pages the earlier run asked for.
  for (const std::string& path : region_places(mounts, name, PagePolicy::Auto)) {
    if (access(path.c_str(), F_OK) == 0) found.push_back(path);
  }
  return found;
}

std::size_t free_huge_pages() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  std::size_t pages = 0;
  file >> pages;
  return pages;
}

}  // namespace sluice
