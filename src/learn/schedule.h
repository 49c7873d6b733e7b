// The learning rate at each step of a training. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace eke {

enum class Decay : std::uint8_t {
  constant,
  cosine,  // half a cosine down to 0 (Loshchilov and Hutter 2017)
  step,    // a tenth after half of the steps, a hundredth after three quarters
};
std::string_view to_string(Decay decay) noexcept;
Decay parse_decay(std::string_view name);  // throws UsageError with the names

struct Schedule {
  Decay decay = Decay::cosine;
  double rate = 0.05;        // the highest
  std::int64_t steps = 1;    // of the whole training
  std::int64_t warm_up = 0;  // steps in which it rises from 0 linearly
};

double learning_rate(const Schedule& schedule, std::int64_t step) noexcept;

}  // namespace eke
