// Arrays that start at a cache line, as packed weights do: kernels read them in whole lines.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

#include "base/block_memory.h"

namespace eke {

template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) noexcept {}
  T* allocate(std::size_t n) {
    const std::size_t bytes = n * sizeof(T);
    return static_cast<T*>(bytes < kLeastBlock ? ::operator new(bytes, kLine) : allocate_block(bytes));
  }
  void deallocate(T* p, std::size_t n) noexcept {
    const std::size_t bytes = n * sizeof(T);
    bytes < kLeastBlock ? ::operator delete(p, kLine) : free_block(p, bytes);
  }
  template <class U>
  bool operator==(const LineAllocator<U>&) const noexcept {
    return true;
  }
};

template <class T>
using LineVector = std::vector<T, LineAllocator<T>>;

}  // namespace eke
