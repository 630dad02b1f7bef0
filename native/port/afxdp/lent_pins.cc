#include "port/afxdp/lent_pins.h"

#include <linux/bpf.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "memory/region_place.h"
#include "port/afxdp/lent_flows.h"

namespace sluice {
namespace {

constexpr const char* kFolder = "/sluice";
constexpr const char* kUsualMount = "/sys/fs/bpf";

/// One in each bpffs, whether it is there or not.
std::vector<std::string> folders() {
  std::vector<std::string> all;
  for (const Mount& mount : machine_mounts()) {
    if (mount.type == "bpf") all.push_back(mount.folder + kFolder);
  }
  return all;
}

/// The first that this process may write to, else where one belongs.
std::string own_folder() {
  constexpr mode_t kOwner = 0700;
  for (const std::string& folder : folders()) {
    const bool is_there = ::mkdir(folder.c_str(), kOwner) == 0 || errno == EEXIST;
    if (is_there && ::access(folder.c_str(), W_OK | X_OK) == 0) return folder;
  }
  return std::string(kUsualMount) + kFolder;
}

std::vector<std::string> pins_of(const std::string& prefix) {
  std::vector<std::string> pins;
  std::error_code error;
  for (const std::string& folder : folders()) {
    for (const auto& file : std::filesystem::directory_iterator(folder, error)) {
      if (file.path().filename().string().starts_with(prefix)) pins.push_back(file.path().string());
    }
  }
  return pins;
}

std::string prefix_of(const std::string& name, std::uint32_t run) {
  return name + "-" + std::to_string(run) + "-";
}

long object(bpf_cmd command, const std::string& pin, int fd) noexcept {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  attr.pathname = reinterpret_cast<std::uintptr_t>(pin.c_str());
  if (fd >= 0) attr.bpf_fd = static_cast<std::uint32_t>(fd);
  return ::syscall(SYS_bpf, command, &attr, sizeof attr);
}

}  // namespace

std::string lent_pin(const std::string& name, std::uint32_t run, unsigned port) {
  return own_folder() + "/" + prefix_of(name, run) + std::to_string(port);
}

int pin_map(int map, const std::string& pin) {
  return object(BPF_OBJ_PIN, pin, map) == 0 ? 0 : errno;
}

std::vector<LentUsage> take_lent_usage(const std::string& name, std::uint32_t run) {
  std::vector<LentUsage> all;
  for (const std::string& pin : pins_of(prefix_of(name, run))) {
    const auto flows = LentFlows::adopt(static_cast<int>(object(BPF_OBJ_GET, pin, -1)));
    if (flows == nullptr) continue;
    for (std::uint32_t i = 0; i < LentTable::kPlaces; ++i) {
      LentFlow& entry = flows->table().entries[i];
      if (entry.is_out == 0) continue;
      // The program may be there for a moment longer than the process that had it.
      entry.end_lending();
      if (entry.counts == 0) continue;
      all.push_back({entry.holder - 1, entry.direction, entry.usage_left(), entry.usage_packets()});
    }
  }
  return all;
}

void remove_lent_pins(const std::string& name) {
  for (const std::string& pin : pins_of(name + "-")) ::unlink(pin.c_str());
}

}  // namespace sluice
