#include "energy/machine.h"

#include <algorithm>
#include <array>

namespace eke::energy {

namespace {

const std::string kThermal = "/sys/class/thermal", kCpus = "/sys/devices/system/cpu";
constexpr double kOffC = -200;  // a sensor that is switched off shows -256 degrees

bool of_processor(const std::string& type) {
  static constexpr std::array<std::string_view, 5> kWords = {"cpu", "CPU", "x86_pkg", "soc", "tj"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return type.find(word) != std::string::npos; });
}

std::optional<double> temperature(Host& host) {
  std::optional<double> processor, any;
  for (const std::string& zone : host.list(kThermal)) {
    if (!zone.starts_with("thermal_zone")) continue;
    const std::optional<std::int64_t> milli = host.integer(kThermal + "/" + zone + "/temp");
    if (!milli || static_cast<double>(*milli) / 1000 < kOffC) continue;
    const double c = static_cast<double>(*milli) / 1000;
    any = std::max(any.value_or(c), c);
    if (of_processor(host.read(kThermal + "/" + zone + "/type").text))
      processor = std::max(processor.value_or(c), c);
  }
  return processor ? processor : any;
}

bool is_cpu(const std::string& name) {
  return name.starts_with("cpu") && name.size() > 3 && parse_integer(std::string_view(name).substr(3));
}

// "pmode:0002 fmode:quiet", as the tool of the Jetson leaves it.
std::string power_mode(Host& host) {
  const std::string text = host.read("/var/lib/nvpmodel/status").text;
  if (!text.starts_with("pmode:")) return "";
  const std::optional<std::int64_t> mode =
      parse_integer(std::string_view(text).substr(6, text.find(' ') - 6));
  return mode ? std::to_string(*mode) : "";
}

// Intel counts events; a Raspberry Pi has bits that stay set ("throttled=0x50000").
std::optional<std::int64_t> throttled(Host& host) {
  if (const auto count = host.integer(kCpus + "/cpu0/thermal_throttle/package_throttle_count")) return count;
  const FileText answer = host.firmware_command("get_throttled");
  const std::size_t at = answer.text.find("=0x");
  if (!answer.good() || at == std::string::npos) return std::nullopt;
  std::int64_t mask = 0;
  for (char c : answer.text.substr(at + 3)) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos || mask > (std::int64_t{1} << 40)) break;
    mask = mask * 16 + static_cast<std::int64_t>(digit);
  }
  return mask;
}

}  // namespace

MachineState read_machine(Host& host) {
  MachineState state;
  state.temperature_c = temperature(host);
  double sum = 0;
  int count = 0;
  for (const std::string& cpu : host.list(kCpus)) {
    if (!is_cpu(cpu)) continue;
    const std::string folder = kCpus + "/" + cpu + "/cpufreq";
    if (const auto khz = host.integer(folder + "/scaling_cur_freq")) {
      sum += static_cast<double>(*khz) / 1000;
      ++count;
    }
    if (state.governor.empty()) state.governor = host.read(folder + "/scaling_governor").text;
  }
  if (count > 0) state.frequency_mhz = sum / count;
  state.power_mode = power_mode(host);
  state.throttled = throttled(host);
  return state;
}

}  // namespace eke::energy
