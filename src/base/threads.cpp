#include "base/threads.h"

#include <pthread.h>
#include <pthreadpool.h>
#include <sched.h>

#include <algorithm>

#include "base/error.h"

namespace eke {

struct Threads::Pool {
  explicit Pool(int count) : handle(pthreadpool_create(static_cast<std::size_t>(count))) {
    check(handle != nullptr, "cannot start {} threads; use fewer", count);
  }
  ~Pool() { pthreadpool_destroy(handle); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  pthreadpool_t handle;
};

namespace {

constexpr int kMaxThreads = 1024;

struct Split {
  std::size_t items, parts;
  // The first items % parts ranges are one item longer.
  std::size_t begin(std::size_t part) const noexcept {
    return items / parts * part + std::min(part, items % parts);
  }
};

}  // namespace

Threads::Threads(int count) : count_(count) {
  check(count >= 1 && count <= kMaxThreads, "{} threads asked for; give 1 to {}", count, kMaxThreads);
  if (count > 1) pool_ = std::make_unique<Pool>(count);
}

Threads::~Threads() = default;

void Threads::run(std::size_t items, RangeFn f, void* context) const noexcept {
  if (items == 0) return;
  const Split split{items, std::min(items, static_cast<std::size_t>(count_))};
  if (split.parts == 1) return f(context, 0, items);
  struct Job {
    RangeFn f;
    void* context;
    Split split;
  } job{f, context, split};
  pthreadpool_parallelize_1d(
      pool_->handle,
      [](void* data, std::size_t part) {
        const Job& job = *static_cast<const Job*>(data);
        job.f(job.context, job.split.begin(part), job.split.begin(part + 1));
      },
      &job, split.parts, 0);
}

int usable_cores() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace eke
