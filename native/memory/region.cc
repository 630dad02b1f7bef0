#include "memory/region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "memory/region_place.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

namespace sluice {
namespace {
constexpr std::size_t k2MBytes = std::size_t{2} << 20;
constexpr std::size_t k1GBytes = std::size_t{1} << 30;
constexpr long kHugetlbfsMagic = 0x958458f6;
constexpr long kTmpfsMagic = 0x01021994;
// Of the kernel's memory policies only these two; <numaif.h> would bring libnuma along.
constexpr int kMpolPreferred = 1;
constexpr unsigned kMpolMove = 2;
constexpr int kNodesMax = 1024;

std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

std::size_t system_page_bytes() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

std::string system_error(const std::string& what) { return what + ": " + std::strerror(errno); }

// Prefers a node for [address, address + bytes): unlike a strict binding it never ends in a
// killed process or SIGBUS when the node is full.
bool prefer_node(void* address, std::size_t bytes, int node, unsigned flags) {
  if (node < 0 || node >= kNodesMax) {
    errno = EINVAL;
    return false;
  }
  constexpr unsigned kBits = sizeof(unsigned long) * 8;
  std::array<unsigned long, kNodesMax / kBits> mask{};
  mask[static_cast<unsigned>(node) / kBits] = 1UL << (static_cast<unsigned>(node) % kBits);
  return syscall(SYS_mbind, address, bytes, kMpolPreferred, mask.data(), kNodesMax + 1UL, flags) ==
         0;
}
}  // namespace

const char* page_kind_name(PageKind kind) noexcept {
  constexpr const char* kNames[] = {"1G", "2M", "transparent", "4K"};
  return kNames[static_cast<unsigned>(kind)];
}

// What lies at the start of every region; fixed layout, no pointers. Written by the control
// thread of the process that made the region.
struct Region::Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_bytes;
  std::uint64_t size;
  std::uint64_t used;
  struct {
    std::uint64_t offset;
    std::uint64_t bytes;
  } sections[kRegionSections];
};

Result<std::unique_ptr<Region>> Region::create(const RegionOptions& options) {
  if (options.bytes == 0 || options.bytes > kBytesMax) {
    return Error{"a memory region is between 1 byte and 256 GB, not " +
                     std::to_string(options.bytes) + " bytes",
                 ""};
  }
  std::unique_ptr<Region> region(new (std::nothrow) Region);
  if (!region) return Error{"no memory for a region", ""};
  region->writable_ = true;
  region->huge_wanted_ = options.pages != PagePolicy::Off;
  Status opened = options.path.empty() ? region->open_memory(options) : region->open_file(options);
  if (!opened) return opened.error();
  region->write_header();
  if (!options.path.empty() &&
      std::rename((options.path + ".new").c_str(), options.path.c_str()) != 0) {
    Error error{system_error("cannot put the memory region at " + options.path), ""};
    unlink((options.path + ".new").c_str());
    return error;
  }
  return region;
}

Result<std::unique_ptr<Region>> Region::attach(const std::string& path) {
  std::unique_ptr<Region> region(new (std::nothrow) Region);
  if (!region) return Error{"no memory for a region", ""};
  region->fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (region->fd_ < 0) return Error{system_error("cannot open the memory region " + path), ""};
  struct stat status{};
  if (fstat(region->fd_, &status) != 0) return Error{system_error("cannot read " + path), ""};
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes < sizeof(Header)) return Error{path + " is too short to be a memory region", ""};
  void* base = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, region->fd_, 0);
  if (base == MAP_FAILED) return Error{system_error("cannot map " + path), ""};
  region->base_ = static_cast<std::byte*>(base);
  region->size_ = bytes;
  const Header& header = *region->header();
  if (header.magic != kMagic) return Error{path + " is not a memory region", ""};
  if (header.version != kVersion) {
    return Error{path + " is a memory region of version " + std::to_string(header.version) +
                     "; this program reads version " + std::to_string(kVersion),
                 ""};
  }
  if (header.header_bytes != sizeof(Header) || header.size != bytes || header.used > bytes) {
    return Error{path + " is a damaged memory region", ""};
  }
  return region;
}

Region::~Region() {
  unmap();
  if (fd_ >= 0) close(fd_);
}

void Region::unmap() noexcept {
  if (base_ != nullptr) munmap(base_, size_);
  base_ = nullptr;
}

Status Region::open_memory(const RegionOptions& options) {
  struct Kind {
    PagePolicy policy;
    PageKind kind;
    std::size_t bytes;
    unsigned shift;
  };
  // Rounding up must not waste most of a 1 GB page: Auto takes them for whole ones only.
  constexpr Kind kKinds[] = {{PagePolicy::k1G, PageKind::k1G, k1GBytes, 30},
                             {PagePolicy::k2M, PageKind::k2M, k2MBytes, 21}};
  for (const Kind& kind : kKinds) {
    const bool asked = options.pages == kind.policy;
    const bool fits =
        kind.kind == PageKind::k2M || (options.bytes >= kind.bytes && !options.several_nodes);
    if (!asked && !(options.pages == PagePolicy::Auto && fits)) continue;
    fd_ = memfd_create(
        "sluice", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | (kind.shift << MFD_HUGE_SHIFT));
    if (fd_ >= 0) {
      pages_ = kind.kind;
      if (map(round_up(options.bytes, kind.bytes), kind.bytes, options.numa_node)) return Ok{};
      close(fd_);
      fd_ = -1;
    }
    if (asked) {
      const std::string count = std::to_string(round_up(options.bytes, kind.bytes) / kind.bytes);
      const std::string folder = kind.shift == 30 ? "1048576kB" : "2048kB";
      return Error{"the kernel has not " + count + " free " + page_kind_name(kind.kind) +
                       " pages; reserve them with `echo " + count +
                       " > /sys/kernel/mm/hugepages/hugepages-" + folder +
                       "/nr_hugepages`, or let workers.hugepages be auto",
                   "workers.hugepages"};
    }
  }
  fd_ = memfd_create("sluice", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd_ < 0) return Error{system_error("cannot make a memory region"), ""};
  pages_ = PageKind::Small;
  if (options.pages != PagePolicy::Off && kernel_gives_transparent_pages()) {
    pages_ = PageKind::Transparent;
  }
  if (!map(round_up(options.bytes, system_page_bytes()), system_page_bytes(), options.numa_node)) {
    return Error{system_error("cannot map " + std::to_string(options.bytes) +
                              " bytes of shared memory; lower the limits, or add memory"),
                 "limits"};
  }
  // Nobody whom the descriptor is given to may shrink the file: that would be a SIGBUS here.
  fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  if (options.pages != PagePolicy::Off) warn_of_small_pages(options.bytes, false);
  return Ok{};
}

void Region::warn_of_small_pages(std::size_t bytes, bool on_tmpfs) {
  const std::string pages = std::to_string(round_up(bytes, k2MBytes) / k2MBytes);
  std::string text = "packet memory is on ";
  text += pages_ == PageKind::Transparent ? "transparent huge pages" : "4 kB pages";
  text += ", which costs a few cycles a packet: the kernel has not " + pages +
          " free 2 MB pages; reserve them with `sysctl vm.nr_hugepages=" + pages + "`";
  if (pages_ == PageKind::Small) {
    text += on_tmpfs ? ", or allow transparent ones with `mount -o remount,huge=advise /dev/shm`"
                     : ", or allow transparent ones with `echo advise > "
                       "/sys/kernel/mm/transparent_hugepage/shmem_enabled`";
  }
  warning_ = warning_.empty() ? text : text + "; " + warning_;
}

Status Region::open_file(const RegionOptions& options) {
  const std::string fresh = options.path + ".new";
  // A file left by a run that died in between is of no use to anyone.
  unlink(fresh.c_str());
  fd_ = open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd_ < 0) return Error{system_error("cannot make the memory region " + options.path), ""};
  struct statfs system{};
  const bool known = fstatfs(fd_, &system) == 0;
  const auto type = static_cast<long>(static_cast<std::uint32_t>(system.f_type));
  Status result = Ok{};
  if (known && type == kHugetlbfsMagic) {
    const auto page = static_cast<std::size_t>(system.f_bsize);
    pages_ = page >= k1GBytes ? PageKind::k1G : PageKind::k2M;
    if (!map(round_up(options.bytes, page), page, options.numa_node)) {
      result = Error{"not enough free huge pages for the memory region " + options.path +
                         "; raise vm.nr_hugepages or put the file on tmpfs",
                     ""};
    }
  } else if (known && type == kTmpfsMagic) {
    pages_ = PageKind::Small;
    if (options.pages != PagePolicy::Off &&
        tmpfs_gives_huge_pages(machine_mounts(), options.path)) {
      pages_ = PageKind::Transparent;
    }
    const std::size_t bytes = round_up(options.bytes, system_page_bytes());
    // A tmpfs has a size limit that a memfd has not: what is not there now may be SIGBUS later.
    // It is not taken at once all the same, since most of a region is never touched.
    const auto room =
        static_cast<std::uint64_t>(system.f_bavail) * static_cast<std::uint64_t>(system.f_bsize);
    if ((system.f_blocks != 0 && room < bytes) ||
        !map(bytes, system_page_bytes(), options.numa_node)) {
      result = Error{"no room for " + std::to_string(bytes >> 20) + " MB at " + options.path, ""};
    } else if (options.pages != PagePolicy::Off) {
      warn_of_small_pages(options.bytes, true);
    }
  } else {
    result = Error{options.path + " is neither on hugetlbfs nor on tmpfs (such as /dev/shm)", ""};
  }
  if (!result) unlink(fresh.c_str());
  return result;
}

// Sizes and maps fd_; leaves everything as it was when it fails.
bool Region::map(std::size_t bytes, std::size_t page_bytes, int numa_node) noexcept {
  page_bytes_ = page_bytes;
  if (ftruncate(fd_, static_cast<off_t>(bytes)) != 0 || !map_aligned(bytes)) return false;
  if (numa_node >= 0 && !prefer_node(base_, size_, numa_node, 0) &&
      access("/sys/devices/system/node/node1", F_OK) == 0) {
    warning_ = system_error("packet memory is not bound to NUMA node " + std::to_string(numa_node));
  }
  const bool huge = page_bytes_ > system_page_bytes();
  if (!huge && pages_ == PageKind::Transparent) madvise(base_, size_, MADV_HUGEPAGE);
  // Where the system forbids overcommitting, a first touch can fail: take all of it now.
  const bool strict = read_line("/proc/sys/vm/overcommit_memory").starts_with('2');
  bool taken = true;
  if (huge) taken = take_huge_pages();
  if (!huge && strict) taken = posix_fallocate(fd_, 0, static_cast<off_t>(bytes)) == 0;
  if (!taken) unmap();
  return taken;
}

// Maps fd_ at a multiple of 2 MB (1 GB pages align by themselves), which transparent pages need.
bool Region::map_aligned(std::size_t bytes) noexcept {
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  void* base = MAP_FAILED;
  if (page_bytes_ > system_page_bytes()) {
    // The kernel reserves all the pages here, or says ENOMEM.
    base = mmap(nullptr, bytes, kProtection, MAP_SHARED, fd_, 0);
  } else {
    const std::size_t span = bytes + k2MBytes;
    void* room = mmap(nullptr, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return false;
    const auto start = reinterpret_cast<std::uintptr_t>(room);
    const std::uintptr_t aligned = round_up(start, k2MBytes);
    base =
        mmap(reinterpret_cast<void*>(aligned), bytes, kProtection, MAP_SHARED | MAP_FIXED, fd_, 0);
    if (base == MAP_FAILED) {
      munmap(room, span);
      return false;
    }
    if (aligned > start) munmap(room, aligned - start);
    const std::uintptr_t end = aligned + bytes;
    if (start + span > end) munmap(reinterpret_cast<void*>(end), start + span - end);
  }
  if (base == MAP_FAILED) return false;
  base_ = static_cast<std::byte*>(base);
  size_ = bytes;
  return true;
}

// A reservation can still end in SIGBUS (a cgroup's limit, a node without pages), so all
// pages are taken now, where the kernel answers with an error instead.
bool Region::take_huge_pages() noexcept {
  if (madvise(base_, size_, MADV_POPULATE_WRITE) == 0) return true;
  if (errno != EINVAL) return false;
  return posix_fallocate(fd_, 0, static_cast<off_t>(size_)) == 0;  // kernels before 5.14
}

void Region::write_header() noexcept {
  Header* h = new (base_) Header{};
  h->version = kVersion;
  h->header_bytes = sizeof(Header);
  h->size = size_;
  h->used = round_up(sizeof(Header), kCacheLine);
  h->magic = kMagic;
}

std::size_t Region::used() const noexcept { return header()->used; }

std::size_t Region::resident() const noexcept {
  constexpr std::size_t kBlock = 512;  // the unit of st_blocks, whatever the page size
  struct stat status{};
  if (fstat(fd_, &status) != 0) return used();
  return static_cast<std::size_t>(status.st_blocks) * kBlock;
}

std::byte* Region::allocate(std::size_t bytes, std::size_t alignment) noexcept {
  if (!writable_ || !std::has_single_bit(alignment)) return nullptr;
  if (node_ < 0) return allocate_here(bytes, alignment);
  auto block = std::find_if(blocks_.begin(), blocks_.end(),
                            [this](const Block& b) { return b.node == node_; });
  if (block == blocks_.end()) block = blocks_.insert(blocks_.end(), {node_, 0, 0});
  std::size_t start = round_up(block->next, std::max(alignment, kCacheLine));
  if (start + bytes > block->end) {
    const std::size_t span = round_up(bytes, page_bytes_);
    std::byte* const pages = allocate_here(span, std::max(alignment, page_bytes_));
    // Without room for pages of its own a section is where there is room.
    if (pages == nullptr) return allocate_here(bytes, alignment);
    (void)bind(pages, span, node_);
    start = offset(pages);
    block->end = start + span;
  }
  block->next = start + bytes;
  return base_ + start;
}

std::byte* Region::allocate_here(std::size_t bytes, std::size_t alignment) noexcept {
  Header* h = header();
  const std::size_t start = round_up(h->used, std::max(alignment, kCacheLine));
  if (start > size_ || bytes > size_ - start) return nullptr;
  h->used = std::min(round_up(start + bytes, kCacheLine), size_);
  return base_ + start;
}

void Region::name_section(RegionSection name, const void* section, std::size_t bytes) noexcept {
  if (!writable_) return;
  header()->sections[static_cast<std::size_t>(name)] = {offset(section), bytes};
}

std::span<std::byte> Region::find(RegionSection name) noexcept {
  const auto& entry = header()->sections[static_cast<std::size_t>(name)];
  if (entry.offset == 0 || entry.offset > size_ || entry.bytes > size_ - entry.offset) return {};
  return {base_ + entry.offset, static_cast<std::size_t>(entry.bytes)};
}

Status Region::bind(void* section, std::size_t bytes, int node) noexcept {
  // Only whole pages inside the section: its neighbours may belong to another node.
  const std::size_t first = round_up(offset(section), page_bytes_);
  const std::size_t last = (offset(section) + bytes) / page_bytes_ * page_bytes_;
  if (first >= last) return Ok{};
  if (!prefer_node(base_ + first, last - first, node, kMpolMove)) {
    return Error{system_error("cannot bind packet memory to NUMA node " + std::to_string(node)),
                 ""};
  }
  return Ok{};
}

std::size_t Region::populate(void* section, std::size_t bytes) noexcept {
  if (!writable_ || bytes == 0) return 0;
  if (page_bytes_ > system_page_bytes()) return bytes;
  const std::size_t first = offset(section) / k2MBytes * k2MBytes;
  const std::size_t last = std::min(round_up(offset(section) + bytes, k2MBytes), size_);
  std::size_t huge = 0;
  for (std::size_t at = first; at < last; at += k2MBytes) {
    const std::size_t part = std::min(k2MBytes, last - at);
    // One page must be there for the kernel to collapse the rest around it.
    if (madvise(base_ + at, system_page_bytes(), MADV_POPULATE_WRITE) != 0) break;
    const bool collapsed =
        huge_wanted_ && part == k2MBytes && madvise(base_ + at, part, MADV_COLLAPSE) == 0;
    if (collapsed) {
      huge += part;
    } else if (madvise(base_ + at, part, MADV_POPULATE_WRITE) != 0) {
      break;
    }
  }
  return std::min(huge, bytes);
}

}  // namespace sluice
