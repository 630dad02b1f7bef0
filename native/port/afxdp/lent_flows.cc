#include "port/afxdp/lent_flows.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "port/afxdp/lent_pins.h"

namespace sluice {
namespace {

constexpr std::size_t kMapBytes = (LentTable::kPlaces + 1) * sizeof(LentFlow);

Error refused(int error) {
  return {
      std::string("the kernel gives no memory for flows in the driver: ") + std::strerror(error),
      "forwardInDriver"};
}

}  // namespace

Result<std::unique_ptr<LentFlows>> LentFlows::create(const std::string& pin) {
  std::unique_ptr<LentFlows> made(new LentFlows);
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.map_flags = BPF_F_MMAPABLE;
  attr.key_size = sizeof(std::uint32_t);
  attr.value_size = sizeof(LentFlow);
  attr.max_entries = LentTable::kPlaces + 1;
  made->map_ = static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
  if (made->map_ < 0) return refused(errno);
  if (!made->share()) return refused(errno);
  if (!pin.empty()) {
    if (const int error = pin_map(made->map_, pin); error != 0) {
      return Error{"a crash would lose usage of flows in the driver, since they can't be kept at " +
                       pin + ": " + std::strerror(error) +
                       "; `mount -t bpf bpf /sys/fs/bpf`, or elsewhere where this user may write",
                   "forwardInDriver"};
    }
    made->pin_ = pin;
  }
  if (::getrandom(&made->table_.secret, sizeof made->table_.secret, 0) < 0) return refused(errno);
  return made;
}

std::unique_ptr<LentFlows> LentFlows::adopt(int map) {
  if (map < 0) return nullptr;
  std::unique_ptr<LentFlows> made(new LentFlows);
  made->map_ = map;
  return made->share() ? std::move(made) : nullptr;
}

bool LentFlows::share() noexcept {
  void* const memory = ::mmap(nullptr, kMapBytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_, 0);
  if (memory == MAP_FAILED) return false;
  table_.entries = static_cast<LentFlow*>(memory);
  return true;
}

LentFlows::~LentFlows() {
  if (!pin_.empty()) ::unlink(pin_.c_str());
  if (table_.entries != nullptr) ::munmap(table_.entries, kMapBytes);
  if (map_ >= 0) ::close(map_);
}

}  // namespace sluice
