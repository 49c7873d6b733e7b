#include "base/block_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>

namespace eke {
namespace {

constexpr std::size_t kPage = std::size_t{2} << 20;  // a huge page of x86 and Arm
constexpr std::size_t kPages = 16, kChunk = kPages * kPage, kLine = 64;

// Address space of kChunk bytes, aligned to as many, with a head in its first page; memory is only taken where blocks lie.
struct Chunk {
  std::size_t used = 0;                  // bytes from the start, the head included
  std::size_t live = 0;                  // blocks
  std::array<std::size_t, kPages> on{};  // blocks that touch each page
};

constexpr std::size_t rounded(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }
constexpr std::size_t kHead = rounded(sizeof(Chunk), kLine);

std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

// Anonymous memory that starts at a multiple of `alignment`.
void* map(std::size_t bytes, std::size_t alignment) {
  void* const memory =
      ::mmap(nullptr, bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(memory);
  const std::size_t skipped = rounded(address(memory), alignment) - address(memory);
  if (skipped > 0) ::munmap(begin, skipped);
  ::munmap(begin + skipped + bytes, alignment - skipped);
  ::madvise(begin + skipped, bytes, MADV_HUGEPAGE);
  return begin + skipped;
}

class Blocks {
 public:
  void* allocate(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    if (current_ == nullptr || current_->used + bytes > kChunk)
      current_ = ::new (map(kChunk, kChunk)) Chunk{.used = kHead};
    std::byte* const block = start(current_) + current_->used;
    current_->used += bytes;
    ++current_->live;
    for_pages(block, bytes, [&](std::size_t page) { ++current_->on[page]; });
    return block;
  }

  void free(void* block, std::size_t bytes) noexcept {
    const std::scoped_lock lock(mutex_);
    auto* const chunk = reinterpret_cast<Chunk*>(address(block) / kChunk * kChunk);
    for_pages(block, bytes, [&](std::size_t page) {
      if (--chunk->on[page] == 0 && page > 0) ::madvise(start(chunk) + page * kPage, kPage, MADV_DONTNEED);
    });
    if (--chunk->live > 0) return;
    if (chunk == current_) current_ = nullptr;
    ::munmap(chunk, kChunk);
  }

 private:
  static std::byte* start(Chunk* chunk) { return reinterpret_cast<std::byte*>(chunk); }

  template <class F>
  static void for_pages(const void* block, std::size_t bytes, F&& f) {
    const std::size_t begin = address(block) % kChunk;
    for (std::size_t page = begin / kPage; page <= (begin + bytes - 1) / kPage; ++page) f(page);
  }

  std::mutex mutex_;
  Chunk* current_ = nullptr;
};

// Never destroyed: constants of static lifetime may outlive it.
Blocks& blocks() {
  static Blocks* const instance = new Blocks;
  return *instance;
}

// Under AddressSanitizer each block stands alone, between red zones.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kGuarded = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kGuarded = true;
#else
constexpr bool kGuarded = false;
#endif
#else
constexpr bool kGuarded = false;
#endif

// The whole pages from `first` on.
void drop(std::uintptr_t first, std::size_t bytes, std::size_t page) noexcept {
  const std::size_t begin = rounded(first, page), end = (first + bytes) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

// More than a chunk has room for: memory of its own.
bool is_alone(std::size_t bytes) { return bytes > kChunk - kHead; }

std::size_t size_of_block(std::size_t bytes) { return rounded(bytes == 0 ? 1 : bytes, kLine); }

}  // namespace

void* allocate_block(std::size_t bytes) {
  if (kGuarded) return std::memset(::operator new (bytes, std::align_val_t{kLine}), 0, bytes);
  if (is_alone(bytes)) return map(rounded(bytes, kPage), kPage);
  return blocks().allocate(size_of_block(bytes));
}

void free_block(void* block, std::size_t bytes) noexcept {
  if (kGuarded)
    ::operator delete (block, std::align_val_t{kLine});
  else if (is_alone(bytes))
    ::munmap(block, rounded(bytes, kPage));
  else
    blocks().free(block, size_of_block(bytes));
}

void forget_pages(std::span<const std::byte> part) noexcept {
  drop(address(part.data()), part.size(), static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
}

void discard_pages(std::span<std::byte> part) noexcept { drop(address(part.data()), part.size(), kPage); }

}  // namespace eke
