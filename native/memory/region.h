// The one mappable memory region of the packet path: pool, tables, rules and usage live in it.
//
// A region is a memfd (or a file on hugetlbfs or tmpfs) with a versioned header at its
// start and zeroed sections behind it, addressed by offset, so that another process can
// map it and a restart can read what the last run counted. Owner: the control thread
// creates it and allocates sections; any thread uses the memory inside. Start at create().
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/types.h"

namespace sluice {

/// What the configuration asks for. Auto takes the largest pages there are.
enum class PagePolicy : std::uint8_t { Auto, k1G, k2M, Off };
/// What the region got. Transparent: the kernel gives 2 MB pages at first touch when it can.
enum class PageKind : std::uint8_t { k1G, k2M, Transparent, Small };
/// "1G", "2M", "transparent" or "4K"; static storage. Threads: any.
const char* page_kind_name(PageKind kind) noexcept;

struct RegionOptions {
  std::size_t bytes = 0;  ///< size of the whole region, rounded up to its page size
  PagePolicy pages = PagePolicy::Auto;
  int numa_node = -1;  ///< node to take memory from; -1: the kernel's choice
  /// Sections will be of several nodes: Auto takes no 1 GB pages, which can't be divided.
  bool several_nodes = false;
  /// A file on hugetlbfs (it takes that mount's pages) or tmpfs, replaced if there; empty: a memfd.
  std::string path;
};

/// Names in the header's directory, so that a later process finds a section. Never renumber.
enum class RegionSection : std::uint32_t { Packets = 0, Usage = 2, Sessions = 3 };
inline constexpr std::size_t kRegionSections = 16;

class Region {
 public:
  static constexpr std::uint64_t kMagic = 0x3130'4e47'5243'4c53;  // "SLCRGN01"
  static constexpr std::uint32_t kVersion = 1;
  /// No section can be larger, and no offset can pass it: handles are offsets ÷ 64 in 32 bits.
  static constexpr std::size_t kBytesMax = std::size_t{64} << 32;

  /// Makes a region; memory is zero. Huge pages are all taken here, small and transparent
  /// ones at first touch, so that no later touch can raise SIGBUS.
  /// Errors: pages asked for by name are not there, a bad path, no memory.
  static Result<std::unique_ptr<Region>> create(const RegionOptions& options);
  /// Maps the region file of an earlier run, read-only: base(), used() and find() work,
  /// allocate() returns nullptr. Errors: no such file, not a region, another version.
  static Result<std::unique_ptr<Region>> attach(const std::string& path);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  std::byte* base() noexcept { return base_; }
  const std::byte* base() const noexcept { return base_; }
  std::size_t size() const noexcept { return size_; }
  /// Bytes allocated, header included.
  std::size_t used() const noexcept;
  /// Bytes of pages that are there, whether used or not; one system call.
  std::size_t resident() const noexcept;

  /// Takes a zeroed section; nullptr when the region is full. `alignment`: a power of two, at
  /// least 64 being what is given. Sections are never given back. Thread: control.
  std::byte* allocate(std::size_t bytes, std::size_t alignment = 64) noexcept;
  template <class T>
  T* allocate_array(std::size_t n) noexcept {
    static_assert(std::is_trivially_destructible_v<T>);
    if (n > size_ / sizeof(T)) return nullptr;
    return reinterpret_cast<T*>(
        allocate(n * sizeof(T), alignof(T) > kCacheLine ? alignof(T) : kCacheLine));
  }
  /// From now on allocate() takes memory of that node, as far as whole pages of it go round;
  /// kAnyNode: as the region is bound. Thread: control.
  void take_from(int node) noexcept { node_ = node; }
  static constexpr int kAnyNode = -1;
  /// Enters a section into the header's directory. Thread: control.
  void name_section(RegionSection name, const void* section, std::size_t bytes) noexcept;
  /// The section of that name; empty when there is none or when it does not lie inside.
  std::span<std::byte> find(RegionSection name) noexcept;

  std::uint64_t offset(const void* address) const noexcept {
    return static_cast<std::uint64_t>(static_cast<const std::byte*>(address) - base_);
  }
  std::byte* at(std::uint64_t offset) noexcept { return base_ + offset; }

  /// Prefers memory of that node for a section (whole pages inside it), moving what has been
  /// touched. Error: the kernel refuses (no such node, or no right to). Thread: control.
  Status bind(void* section, std::size_t bytes, int node) noexcept;
  /// Touches a section now instead of under traffic, by 2 MB pages where the kernel agrees,
  /// even where it gives none at first touch. Costs the section's size in memory. Returns
  /// how many of its bytes asked for 2 MB pages got them. Thread: control.
  std::size_t populate(void* section, std::size_t bytes) noexcept;

  PageKind pages() const noexcept { return pages_; }
  /// What its mapping is made of; small pages that the kernel joins stay small here.
  std::size_t page_bytes() const noexcept { return page_bytes_; }
  /// Empty, or a sentence for the node's status with the command that mends it.
  const std::string& warning() const noexcept { return warning_; }
  /// The region's file, for a process that shall map it; open as long as this object lives.
  int fd() const noexcept { return fd_; }

 private:
  struct Header;
  Region() = default;
  Header* header() const noexcept { return reinterpret_cast<Header*>(base_); }
  Status open_memory(const RegionOptions& options);
  Status open_file(const RegionOptions& options);
  bool map(std::size_t bytes, std::size_t page_bytes, int numa_node) noexcept;
  bool map_aligned(std::size_t bytes) noexcept;
  std::byte* allocate_here(std::size_t bytes, std::size_t alignment) noexcept;
  bool take_huge_pages() noexcept;
  void warn_of_small_pages(std::size_t bytes, bool on_tmpfs);
  void unmap() noexcept;
  void write_header() noexcept;

  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
  std::size_t page_bytes_ = 4096;
  int fd_ = -1;
  int node_ = kAnyNode;
  /// Pages that were begun for sections of a node: offsets.
  struct Block {
    int node;
    std::size_t next, end;
  };
  std::vector<Block> blocks_;
  bool writable_ = false;
  bool huge_wanted_ = false;
  PageKind pages_ = PageKind::Small;
  std::string warning_;
};

}  // namespace sluice
