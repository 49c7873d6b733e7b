// Large blocks of memory for weights and activations, side by side in huge pages where the system has them: first touches of
// small pages are a large part of what loading a network takes. Threads may share these functions.
#pragma once

#include <cstddef>
#include <span>

namespace eke {

// Below this size operator new serves better.
inline constexpr std::size_t kLeastBlock = 4096;

// Zeroed and aligned to 64 bytes; throws std::bad_alloc. A page goes back to the system with its last block.
void* allocate_block(std::size_t bytes);
void free_block(void* block, std::size_t bytes) noexcept;  // of the size that was asked for

// The pages within a part of a file in memory (base/file.h) take no memory until they are read again.
void forget_pages(std::span<const std::byte> part) noexcept;

// The memory of a part of a block goes back to the system, in huge pages: what it held is lost.
void discard_pages(std::span<std::byte> part) noexcept;

}  // namespace eke
