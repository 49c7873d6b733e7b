#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace eke {

namespace {

constexpr int kMaxThreads = 1024;
// Longer than the gap between two layers, shorter than what a sleep and a wake-up would cost together.
constexpr std::chrono::nanoseconds kSpin{30'000};

struct Split {
  std::size_t items, parts;
  // The first items % parts ranges are one item longer.
  std::size_t begin(std::size_t part) const noexcept {
    return items / parts * part + std::min(part, items % parts);
  }
};

void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

// Waits until `value` is no longer `old`: awake for a short time, since the next job is usually near, then asleep, since a
// thread that spins takes energy, and the core from whoever it waits for. Returns the new value.
std::uint32_t wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old,
                              std::chrono::nanoseconds spin) noexcept {
  const auto end = std::chrono::steady_clock::now() + spin;
  do {
    for (int i = 0; i < 16; ++i) {
      const std::uint32_t now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  for (;;) {
    value.wait(old, std::memory_order_acquire);
    const std::uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
  }
}

}  // namespace

// One job at a time: ranges, each of which one thread claims. A thread begins with its own range, so that the same core
// meets the same part of the data in each layer, and then takes what others have not begun: the caller of a busy
// machine does all by itself instead of waiting for threads that are not scheduled.
struct Threads::Pool {
 public:
  explicit Pool(int count)
      : claims_(static_cast<std::size_t>(count)),
        spin_(count <= usable_cores() ? kSpin : std::chrono::nanoseconds(0)) {
    try {
      for (int i = 1; i < count; ++i) workers_.emplace_back([this, i] { work(static_cast<std::size_t>(i)); });
    } catch (const std::system_error&) {
      stop();
      fail("cannot start {} threads; use fewer", count);
    }
  }
  ~Pool() { stop(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void run(const Split& split, RangeFn f, void* context) noexcept {
    const std::uint32_t job = job_.load(std::memory_order_relaxed) + 1;
    f_.store(f, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    items_.store(split.items, std::memory_order_relaxed);
    parts_.store(split.parts, std::memory_order_relaxed);
    unfinished_.store(static_cast<std::uint32_t>(split.parts), std::memory_order_relaxed);
    for (std::size_t part = 0; part < split.parts; ++part)
      claims_[part].store(open(job), std::memory_order_release);
    job_.store(job, std::memory_order_release);
    job_.notify_all();
    take_parts(job, 0);
    for (std::uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;)
      left = wait_for_change(unfinished_, left, spin_);
  }

 private:
  // What a claim holds: the job, and whether the range is taken. A thread that comes late, with an old job in mind, finds
  // no open range of it.
  static std::uint64_t open(std::uint32_t job) noexcept { return std::uint64_t{job} << 1; }
  static std::uint64_t taken(std::uint32_t job) noexcept { return open(job) | 1; }

  void take_parts(std::uint32_t job, std::size_t own) noexcept {
    // Values of a later job, where this one is over already: then no claim succeeds.
    const RangeFn f = f_.load(std::memory_order_relaxed);
    void* const context = context_.load(std::memory_order_relaxed);
    const Split split{items_.load(std::memory_order_relaxed), parts_.load(std::memory_order_relaxed)};
    for (std::size_t i = 0; i < split.parts; ++i) {
      const std::size_t part = (own + i) % split.parts;
      std::uint64_t expected = open(job);
      if (!claims_[part].compare_exchange_strong(expected, taken(job), std::memory_order_acq_rel)) continue;
      f(context, split.begin(part), split.begin(part + 1));
      if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    }
  }

  void work(std::size_t own) noexcept {
    std::uint32_t job = 0;
    for (;;) {
      job = wait_for_change(job_, job, spin_);
      if (stopping_.load(std::memory_order_acquire)) return;
      take_parts(job, own);
    }
  }

  void stop() noexcept {
    stopping_.store(true, std::memory_order_release);
    job_.fetch_add(1, std::memory_order_release);
    job_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  alignas(64) std::atomic<std::uint32_t> job_{0};
  alignas(64) std::atomic<std::uint32_t> unfinished_{0};
  std::atomic<RangeFn> f_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<std::size_t> items_{0}, parts_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::atomic<std::uint64_t>> claims_;
  const std::chrono::nanoseconds spin_;
  std::vector<std::thread> workers_;
};

Threads::Threads(int count) : count_(count) {
  check(count >= 1 && count <= kMaxThreads, "{} threads asked for; give 1 to {}", count, kMaxThreads);
  if (count > 1) pool_ = std::make_unique<Pool>(count);
}

Threads::~Threads() = default;

void Threads::run(std::size_t items, RangeFn f, void* context) const noexcept {
  if (items == 0) return;
  const Split split{items, std::min(items, static_cast<std::size_t>(count_))};
  if (split.parts == 1) return f(context, 0, items);
  pool_->run(split, f, context);
}

int usable_cores() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace eke
