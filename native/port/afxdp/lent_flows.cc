#include "port/afxdp/lent_flows.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace sluice {
namespace {

constexpr std::size_t kMapBytes = (LentTable::kPlaces + 1) * sizeof(LentFlow);

Error refused(int error) {
  return {
      std::string("the kernel gives no memory for flows in the driver: ") + std::strerror(error),
      "forwardInDriver"};
}

}  // namespace

Result<std::unique_ptr<LentFlows>> LentFlows::create() {
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
  void* const memory =
      ::mmap(nullptr, kMapBytes, PROT_READ | PROT_WRITE, MAP_SHARED, made->map_, 0);
  if (memory == MAP_FAILED) return refused(errno);
  made->table_.entries = static_cast<LentFlow*>(memory);
  if (::getrandom(&made->table_.secret, sizeof made->table_.secret, 0) < 0) return refused(errno);
  return made;
}

LentFlows::~LentFlows() {
  if (table_.entries != nullptr) ::munmap(table_.entries, kMapBytes);
  if (map_ >= 0) ::close(map_);
}

}  // namespace sluice
