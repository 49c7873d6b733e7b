// The machine as meters see it: small files of /sys and /proc, the clock, and the few system calls that are no files.
// Tests put a tree of recorded files and a clock of their own in its place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eke/energy.h"

namespace eke::energy {

// The text of a file without the space at its end, or errno.
struct FileText {
  std::string text;
  int error = 0;
  bool good() const noexcept { return error == 0; }
};

class Host {
 public:
  virtual ~Host() = default;
  // `path` begins with '/'.
  virtual FileText read(const std::string& path) = 0;
  // Names in a folder, in natural order ("hwmon2" before "hwmon10"); none when there is no such folder.
  virtual std::vector<std::string> list(const std::string& folder) = 0;
  virtual Nanoseconds now() = 0;  // CLOCK_MONOTONIC_RAW
  virtual void sleep(Nanoseconds time) = 0;
  // A system-wide counter of a PMU: the descriptor, or minus errno. Reading it gives 8 bytes.
  virtual int open_perf(std::uint32_t pmu_type, std::uint64_t config, int cpu) = 0;
  // What the firmware of a Raspberry Pi answers to a general command ("pmic_read_adc"), or errno.
  virtual FileText firmware_command(const std::string& command) = 0;
  virtual std::string nvml_library() { return "libnvidia-ml.so.1"; }

  bool exists(const std::string& path) { return read(path).error == 0; }
  std::optional<std::int64_t> integer(const std::string& path);
};

// The machine itself, its files below `root`.
class RealHost : public Host {
 public:
  explicit RealHost(std::string root = "") : root_(std::move(root)) {}
  FileText read(const std::string& path) override;
  std::vector<std::string> list(const std::string& folder) override;
  Nanoseconds now() override;
  void sleep(Nanoseconds time) override;
  int open_perf(std::uint32_t pmu_type, std::uint64_t config, int cpu) override;
  FileText firmware_command(const std::string& command) override;
  // A recorded tree has no driver.
  std::string nvml_library() override {
    return root_.empty() ? Host::nvml_library() : root_ + "/libnvidia-ml.so.1";
  }

 private:
  std::string root_;
};

Nanoseconds raw_time();  // CLOCK_MONOTONIC_RAW

// The whole text as a number, space around it aside.
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_decimal(std::string_view text);
// "hwmon2" before "hwmon10".
bool natural_less(std::string_view a, std::string_view b);

Fault fault_of(int error) noexcept;  // of errno

}  // namespace eke::energy
