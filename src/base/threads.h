// A pool of threads with a static split of work: which thread computes an item depends only on the item count
// and the thread count, and items are independent, so results never depend on the thread count.
#pragma once

#include <cstddef>
#include <memory>

namespace eke {

class Threads {
 public:
  // count >= 1; 1 runs everything on the calling thread.
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const noexcept { return count_; }

  // Calls f(begin, end) on disjoint ranges that cover [0, items), at most one a thread; returns when all are done.
  // f must not throw. Not reentrant; one caller at a time.
  template <class F>
  void for_ranges(std::size_t items, F&& f) const noexcept {
    run(
        items,
        [](void* context, std::size_t begin, std::size_t end) { (*static_cast<F*>(context))(begin, end); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  using RangeFn = void (*)(void* context, std::size_t begin, std::size_t end);
  void run(std::size_t items, RangeFn f, void* context) const noexcept;

  int count_;
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

// Cores that this process may run on (its affinity mask), at least 1.
int usable_cores() noexcept;

}  // namespace eke
