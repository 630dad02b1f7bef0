#include "port/dpdk/plugin/environment.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_memory.h>
#include <sched.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice::dpdk {
namespace {

/// For descriptors of devices and DPDK's own tables; pages come at first touch.
constexpr const char* kOwnMegabytes = "64";
constexpr std::size_t kComplaintsMax = 3;

/// What DPDK says, a line at a time: the last of it is the reason when a call fails.
class Complaints {
 public:
  void hear(const char* text, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    text_.append(text, bytes);
    for (std::size_t end; (end = text_.find('\n')) != std::string::npos;) {
      std::string line = text_.substr(0, end);
      text_.erase(0, end + 1);
      if (line.empty()) continue;
      if (lines_.size() == kComplaintsMax) lines_.erase(lines_.begin());
      lines_.push_back(std::move(line));
    }
  }
  std::string take() {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& line : lines_) all += (all.empty() ? "" : "; ") + line;
    lines_.clear();
    return all;
  }

 private:
  std::mutex mutex_;
  std::string text_;
  std::vector<std::string> lines_;
};

Complaints& complaints() {
  static Complaints all;
  return all;
}

ssize_t hear(void*, const char* text, std::size_t bytes) {
  complaints().hear(text, bytes);
  return static_cast<ssize_t>(bytes);
}

/// The cores that this thread may run on, as DPDK writes it.
std::string own_cores() {
  cpu_set_t set;
  std::string text;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return "0";
  for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &set)) continue;
    if (!text.empty()) text += ',';
    text += std::to_string(core);
  }
  return text;
}

int begin() {
  cookie_io_functions_t io{};
  io.write = hear;
  if (std::FILE* const log = ::fopencookie(nullptr, "w", io); log != nullptr) {
    std::setvbuf(log, nullptr, _IOLBF, 0);
    rte_openlog_stream(log);
  }
  std::vector<std::string> words = {
      "sluice",
      "--no-shconf",  // no files that a process that is killed would leave behind
      "--no-huge", "-m", kOwnMegabytes, "--no-telemetry", "--iova-mode=va",
      // Devices are named by ports: nothing that else is on the bus is taken.
      "-a", "0000:00:00.0",
      // All of this thread's cores are one to DPDK, so that it binds nothing.
      "--lcores=0@(" + own_cores() + ")", "--log-level=4"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  return rte_eal_init(static_cast<int>(arguments.size()), arguments.data());
}

/// Users of each range of memory, because DPDK takes one only once.
std::map<const std::byte*, unsigned>& users() {
  static std::map<const std::byte*, unsigned> all;
  return all;
}

}  // namespace

std::string begin_environment() {
  static const std::string outcome = [] {
    int result = 0;
    int error = 0;
    // A thread of its own: DPDK keeps the first one for its main core and names it.
    std::thread([&] {
      result = begin();
      error = rte_errno;
    }).join();
    if (result >= 0) return std::string();
    const std::string said = take_complaints();
    return "DPDK does not start: " + (said.empty() ? std::string(rte_strerror(error)) : said);
  }();
  return outcome;
}

std::string take_complaints() { return complaints().take(); }

ExternalMemory::ExternalMemory(const DpdkPool& pool) noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(pool.chunks) / pool.page_bytes;
  const auto end =
      (reinterpret_cast<std::uintptr_t>(pool.chunks) + pool.bytes + pool.page_bytes - 1) /
      pool.page_bytes;
  start_ = reinterpret_cast<std::byte*>(first * pool.page_bytes);
  bytes_ = (end - first) * pool.page_bytes;
  if (users()[start_]++ != 0) return;
  if (rte_extmem_register(start_, bytes_, nullptr, 0, pool.page_bytes) != 0) error_ = rte_errno;
}

ExternalMemory::~ExternalMemory() {
  if (--users()[start_] != 0) return;
  users().erase(start_);
  if (error_ == 0) rte_extmem_unregister(start_, bytes_);
}

}  // namespace sluice::dpdk
