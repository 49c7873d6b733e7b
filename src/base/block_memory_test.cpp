#include "base/block_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace eke {
namespace {

bool is_zero(const std::byte* block, std::size_t bytes) {
  return std::all_of(block, block + bytes, [](std::byte b) { return b == std::byte{0}; });
}

// What lies around the part stays, and the part can be used again.
TEST(BlockMemory, DiscardsPartsOfABlock) {
  constexpr std::size_t kPage = std::size_t{2} << 20;
  for (const std::size_t size : {4 * kPage, 20 * kPage}) {
    auto* const block = static_cast<std::byte*>(allocate_block(size));
    std::memset(block, 7, size);
    discard_pages({block + 1000, size - 2000});
    discard_pages({block + 10, 20});
    const auto is_seven = [](std::byte b) { return b == std::byte{7}; };
    EXPECT_TRUE(std::all_of(block, block + 1000, is_seven));
    EXPECT_TRUE(std::all_of(block + size - 1000, block + size, is_seven));
    EXPECT_TRUE(is_zero(block + kPage, size - 3 * kPage));
    std::memset(block, 8, size);
    EXPECT_EQ(block[size / 2], std::byte{8});
    free_block(block, size);
  }
}

// More than a chunk holds in all, in an order that leaves holes.
TEST(BlockMemory, IsZeroedAlignedAndItsOwn) {
  const std::size_t sizes[] = {1, 4096, 70'000, std::size_t{3} << 20, std::size_t{40} << 20};
  std::vector<std::byte*> blocks;
  for (int round = 0; round < 4; ++round) {
    for (const std::size_t size : sizes) {
      auto* const block = static_cast<std::byte*>(allocate_block(size));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0u);
      ASSERT_TRUE(is_zero(block, size)) << size << " bytes in round " << round;
      std::memset(block, static_cast<int>(blocks.size() + 1), size);
      blocks.push_back(block);
    }
    for (std::size_t i = round; i < blocks.size(); i += 3)
      if (blocks[i] != nullptr) free_block(std::exchange(blocks[i], nullptr), sizes[i % 5]);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i] == nullptr) continue;
    EXPECT_EQ(blocks[i][0], static_cast<std::byte>(i + 1));
    EXPECT_EQ(blocks[i][sizes[i % 5] - 1], static_cast<std::byte>(i + 1));
    free_block(blocks[i], sizes[i % 5]);
  }
}

}  // namespace
}  // namespace eke
