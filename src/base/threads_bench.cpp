// What waiting costs: a job for all threads, after pauses of several lengths. Threads stay awake for a moment after their
// last work and sleep then: after a short pause they begin at once, after a long one they have to be woken, and what the
// pause takes of the processor says what is paid for that. Other work on the machine shows in the 90th percentile.
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/threads.h"

namespace eke {
namespace {

using Clock = std::chrono::steady_clock;
using Micro = std::chrono::duration<double, std::micro>;

double process_us() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& t) {
    return 1e6 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

void compute(double us) {
  for (const auto end = Clock::now() + Micro(us); Clock::now() < end;) {
  }
}

void measure(const Threads& threads, double job_us, double pause_us, int count) {
  std::vector<double> times;
  double paused = 0;
  for (int i = 0; i < count; ++i) {
    const double before = process_us();
    // As a caller does: short pauses are work of its own, long ones are spent asleep.
    pause_us < 100 ? compute(pause_us) : std::this_thread::sleep_for(Micro(pause_us));
    paused += process_us() - before;
    const auto start = Clock::now();
    threads.for_ranges(static_cast<std::size_t>(threads.count()),
                       [&](std::size_t, std::size_t) { compute(job_us); });
    times.push_back(Micro(Clock::now() - start).count() - job_us);
  }
  std::sort(times.begin(), times.end());
  fmt::print("{:>7} {:>10.0f} {:>14.1f} {:>10.1f} {:>22.1f}\n", threads.count(), pause_us,
             times[times.size() / 2], times[times.size() * 9 / 10], paused / count);
}

}  // namespace
}  // namespace eke

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::max(1, std::atoi(argv[1])) : 500;
  constexpr double kJobUs = 100;
  fmt::print(
      "A job of {} us a thread, {} times; what it took longer, in us, and what its pause took of all "
      "processors\n\n",
      kJobUs, count);
  fmt::print("{:>7} {:>10} {:>14} {:>10} {:>22}\n", "threads", "pause", "longer, median", "90th",
             "processor, of a pause");
  for (int threads = 1; threads <= eke::usable_cores(); threads *= 2) {
    const eke::Threads pool(threads);
    for (const double pause : {0.0, 10.0, 1000.0, 10000.0}) eke::measure(pool, kJobUs, pause, count);
  }
}
