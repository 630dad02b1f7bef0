#include "memory/page_nodes.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace sluice {
namespace {

constexpr std::size_t kBytes = std::size_t{64} * 4096;

TEST(PageNodes, CountsPagesThatAreThere) {
  auto* const memory = static_cast<std::byte*>(
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ::madvise(memory, kBytes, MADV_NOHUGEPAGE);
  EXPECT_TRUE(nodes_of_pages(memory, kBytes, 16).empty()) << "nothing was touched yet";
  std::memset(memory, 1, kBytes);
  unsigned counted = 0;
  const auto nodes = nodes_of_pages(memory, kBytes, 16);
  for (const auto& [node, pages] : nodes) counted += pages;
  ::munmap(memory, kBytes);
  if (nodes.empty()) GTEST_SKIP() << "this kernel does not tell where pages are";
  EXPECT_EQ(counted, 16U);
}

}  // namespace
}  // namespace sluice
