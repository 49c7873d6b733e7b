#include "tune/timing.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/statistics.h"

namespace eke {

namespace {

using Clock = std::chrono::steady_clock;

double ms_of_run(Session& session) {
  const auto begin = Clock::now();
  session.run_again();
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  check(!values.empty(), "no measurement");
  std::sort(values.begin(), values.end());
  return {quantile(values, 0.5), quantile(values, 0.1), quantile(values, 0.9), values.front()};
}

Timing time_in_turn(std::span<Session* const> sessions, int warmup, int runs,
                    const std::function<void(int done, int of)>& round_done) {
  Timing timing;
  timing.runs = runs;
  timing.warmup = warmup;
  for (Session* session : sessions) {
    std::vector<Tensor> inputs;
    for (const Type& type : session->plan().input_types()) inputs.push_back(random_tensor(type, 1));
    const auto begin = Clock::now();
    session->run(inputs);
    timing.first_run_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::vector<std::vector<double>> ms(sessions.size()), ratio(sessions.size());
  for (int round = 0; round < warmup + runs; ++round) {
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      const double time = ms_of_run(*sessions[i]);
      if (round < warmup) continue;
      ms[i].push_back(time);
      ratio[i].push_back(time / ms[0].back());
    }
    if (round_done) round_done(round + 1, warmup + runs);
  }
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    timing.ms.push_back(spread_of(ms[i]));
    timing.ratio.push_back(spread_of(ratio[i]));
  }
  return timing;
}

}  // namespace eke
