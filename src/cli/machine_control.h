// Clocks and power modes of the machine, set for a measurement and put back afterwards. Both want rights, and say so.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace eke::cli {

// All cpufreq policies at one frequency.
class FrequencyControl {
 public:
  FrequencyControl() = default;
  ~FrequencyControl();
  FrequencyControl(const FrequencyControl&) = delete;
  FrequencyControl& operator=(const FrequencyControl&) = delete;
  void set(std::int64_t khz);

 private:
  std::map<std::string, std::string> before_;  // files and what they held
  std::int64_t now_khz_ = 0;
};

// nvpmodel of a Jetson. A mode that would want a restart is refused by the tool.
class PowerModeControl {
 public:
  PowerModeControl() = default;
  ~PowerModeControl();
  PowerModeControl(const PowerModeControl&) = delete;
  PowerModeControl& operator=(const PowerModeControl&) = delete;
  void set(int mode);

 private:
  std::optional<int> before_, now_;
};

}  // namespace eke::cli
