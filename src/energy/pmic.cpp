#include "energy/pmic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <map>

#include "energy/meters.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxRails = 64;
constexpr double kMaxVolts = 100, kMaxAmperes = 1000;
const char* const kCommand = "pmic_read_adc";
// Faster reading slows the machine down that it measures.
constexpr Nanoseconds kRefresh = 200ms;
constexpr std::int64_t kResolutionUw = 5000;

class PmicMeter : public Meter {
 public:
  PmicMeter(Host& host, std::vector<Domain> domains) : Meter("pmic", std::move(domains)), host_(host) {}

  void read(std::span<Reading> out) noexcept override {
    Reading reading{host_.now()};
    std::vector<PmicRail> rails;
    try {
      const FileText answer = host_.firmware_command(kCommand);
      reading.fault = fault_of(answer.error);
      rails = parse_pmic(answer.text);
    } catch (const std::exception&) {
      reading.fault = Fault::io_error;
    }
    reading.end = host_.now();
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = reading;
      const auto rail = std::find_if(rails.begin(), rails.end(),
                                     [&](const PmicRail& r) { return r.name == domains_[i].name; });
      if (reading.fault != Fault::none) continue;
      if (rail == rails.end()) {
        out[i].fault = Fault::garbage;
      } else {
        out[i].value = std::llround(rail->volts * rail->amperes * 1e6);
      }
    }
  }

 private:
  Host& host_;
};

}  // namespace

std::vector<PmicRail> parse_pmic(std::string_view text) {
  std::vector<PmicRail> rails;
  std::map<std::string, double, std::less<>> volts;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
    while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t space = line.find(' '), equals = line.find('=');
    if (space == std::string_view::npos || equals == std::string_view::npos || equals < space || space < 3)
      continue;
    const std::string_view name = line.substr(0, space - 2), kind = line.substr(space - 2, 2);
    const char unit = line.back();
    const std::optional<double> value = parse_decimal(line.substr(equals + 1, line.size() - equals - 2));
    if (!value) continue;
    if (kind == "_A" && unit == 'A' && std::abs(*value) <= kMaxAmperes && rails.size() < kMaxRails)
      rails.push_back({std::string(name), 0, *value});
    if (kind == "_V" && unit == 'V' && std::abs(*value) <= kMaxVolts && volts.size() < 2 * kMaxRails)
      volts.emplace(std::string(name), *value);
  }
  std::erase_if(rails, [&](const PmicRail& rail) { return !volts.contains(rail.name); });
  for (PmicRail& rail : rails) rail.volts = volts.find(rail.name)->second;
  return rails;
}

Probe probe_pmic(Host& host, const std::string&) {
  Probe probe;
  const FileText answer = host.firmware_command(kCommand);
  if (!answer.good()) {
    probe.why_not = fault_of(answer.error) == Fault::denied
                        ? "/dev/vcio may not be opened: sudo usermod -aG video $USER, then log in again"
                        : "/dev/vcio does not answer: this is no Raspberry Pi 5";
    return probe;
  }
  const std::vector<PmicRail> rails = parse_pmic(answer.text);
  if (rails.empty()) {
    probe.why_not = "the power chip measures no currents: only the Raspberry Pi 5 does";
    return probe;
  }
  std::vector<Domain> domains;
  for (const PmicRail& rail : rails) {
    Domain domain;
    domain.name = rail.name;
    domain.quantity = Quantity::power;
    domain.boundary = Boundary::rail;
    domain.in_total = true;
    domain.refresh = kRefresh;
    domain.resolution = kResolutionUw;
    domain.source = fmt::format("/dev/vcio, {}", kCommand);
    domains.push_back(std::move(domain));
  }
  probe.note =
      "the total is the sum of the rails: the losses of the power chip, USB and the 5 V pins are not "
      "measured";
  probe.meter = std::make_unique<PmicMeter>(host, std::move(domains));
  return probe;
}

}  // namespace eke::energy
