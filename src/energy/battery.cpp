// A battery of this machine while it discharges (Linux, Documentation/ABI/testing/sysfs-class-power): power_now, or
// current_now x voltage_now. The sign of the current differs from driver to driver. USB supplies show what was
// negotiated, not what flows, and are left alone.
#include <fmt/format.h>

#include <cmath>

#include "energy/files.h"
#include "energy/meters.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;

const std::string kSupplies = "/sys/class/power_supply";
constexpr Nanoseconds kRefresh = 30s;  // some embedded controllers are as slow as this

class BatteryMeter : public Meter {
 public:
  BatteryMeter(Host& host, std::vector<Domain> domains, std::vector<FileSource> sources,
               std::vector<std::string> status)
      : Meter("battery", std::move(domains)),
        host_(host),
        sources_(std::move(sources)),
        status_(std::move(status)) {}

  void read(std::span<Reading> out) noexcept override {
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      out[i] = read_source(host_, sources_[i]);
      out[i].value = std::abs(out[i].value);
      if (out[i].fault == Fault::none && host_.read(status_[i]).text != "Discharging")
        out[i].fault = Fault::charging;
    }
  }

 private:
  Host& host_;
  std::vector<FileSource> sources_;
  std::vector<std::string> status_;
};

}  // namespace

Probe probe_battery(Host& host, const std::string&) {
  std::vector<Domain> domains;
  std::vector<FileSource> sources;
  std::vector<std::string> status;
  Probe probe;
  for (const std::string& name : host.list(kSupplies)) {
    const std::string folder = kSupplies + "/" + name;
    if (host.read(folder + "/type").text != "Battery" || host.read(folder + "/scope").text == "Device")
      continue;
    FileSource source{folder + "/power_now", "", 1};
    if (!host.integer(source.first)) source = {folder + "/current_now", folder + "/voltage_now", 1e-6};
    const Reading reading = read_source(host, source);
    const std::string state = host.read(folder + "/status").text;
    if (reading.fault != Fault::none || state != "Discharging") {
      probe.why_not += fmt::format("{}{}: {}", probe.why_not.empty() ? "" : "; ", name,
                                   reading.fault != Fault::none
                                       ? std::string(to_string(reading.fault))
                                       : fmt::format("it is '{}'; unplug the charger to measure", state));
      continue;
    }
    Domain domain;
    domain.name = name;
    domain.quantity = Quantity::power;
    domain.boundary = Boundary::supply;
    domain.in_total = true;
    domain.refresh = kRefresh;
    domain.resolution = 10'000;
    domain.source = source.first;
    domains.push_back(std::move(domain));
    sources.push_back(source);
    status.push_back(folder + "/status");
  }
  if (domains.empty()) {
    if (probe.why_not.empty()) probe.why_not = "no battery in " + kSupplies;
    return probe;
  }
  std::swap(probe.note, probe.why_not);
  probe.meter =
      std::make_unique<BatteryMeter>(host, std::move(domains), std::move(sources), std::move(status));
  return probe;
}

}  // namespace eke::energy
