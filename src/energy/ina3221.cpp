// The INA3221 chips of NVIDIA Jetson modules: three rails a chip, P = mV x mA. hwmon gives no power of its own
// (Documentation/hwmon/ina3221.rst; in1 is a voltage, in7 and curr4 are sums of shunts and no rails); kernels before
// JetPack 5 have an iio driver in its place. Rails are known by label: hwmon numbers change from start to start.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "energy/files.h"
#include "energy/meters.h"

namespace eke::energy {

namespace {

const std::string kHwmon = "/sys/class/hwmon";
const std::string kDriver = "/sys/bus/i2c/drivers/ina3221", kOldDriver = "/sys/bus/i2c/drivers/ina3221x";
constexpr int kChannels = 3;
constexpr double kShuntStepUv = 40, kBusStepMv = 8;  // data sheet SBOS576
constexpr std::int64_t kUsualShuntUohm = 5000, kOldRefreshMs = 10;

struct Found {
  std::vector<Domain> domains;
  std::vector<FileSource> sources;
  std::string denied, note;
};

// The rails that carry the whole module. AGX Orin and AGX Xavier have none, and what would have to be added up there
// is not documented.
bool whole_module(const std::string& label) {
  return label == "VDD_IN" || label == "POM_5V_IN" || label == "VIN";
}

void add_rail(Host& host, const std::string& label, const std::string& where, const FileSource& source,
              std::int64_t shunt_uohm, Nanoseconds refresh, Found& found) {
  if (label.empty() || label == "NC") return;
  const Reading reading = read_source(host, source);
  if (reading.fault != Fault::none) {
    if (reading.fault == Fault::denied) found.denied = source.first;
    found.note +=
        fmt::format("{}{} left out: {}", found.note.empty() ? "" : "; ", label, to_string(reading.fault));
    return;
  }
  Domain domain;
  domain.name = label;
  domain.quantity = Quantity::power;
  domain.in_total = whole_module(label);
  domain.boundary = domain.in_total ? Boundary::module : Boundary::rail;
  domain.refresh = refresh;
  const double mv = static_cast<double>(host.integer(source.first).value_or(5000));
  const double ma = static_cast<double>(host.integer(source.second).value_or(0));
  domain.resolution = std::llround(std::abs(mv) * kShuntStepUv * 1000 / static_cast<double>(shunt_uohm) +
                                   std::abs(ma) * kBusStepMv);
  domain.source = where;
  found.domains.push_back(std::move(domain));
  found.sources.push_back(source);
}

void add_hwmon(Host& host, Found& found) {
  std::map<std::string, std::string> addresses;  // of hwmonN: "1-0040"
  for (const std::string& address : host.list(kDriver)) {
    for (const std::string& entry : host.list(kDriver + "/" + address + "/hwmon")) addresses[entry] = address;
  }
  for (const std::string& entry : host.list(kHwmon)) {
    const std::string folder = kHwmon + "/" + entry;
    if (host.read(folder + "/name").text != "ina3221") continue;
    const std::int64_t ms =
        std::clamp<std::int64_t>(host.integer(folder + "/update_interval").value_or(10), 0, 60'000);
    for (int k = 1; k <= kChannels; ++k) {
      if (host.read(fmt::format("{}/in{}_enable", folder, k)).text == "0") continue;
      const std::int64_t shunt =
          host.integer(fmt::format("{}/shunt{}_resistor", folder, k)).value_or(kUsualShuntUohm);
      const std::string where =
          fmt::format("{}, channel {}", addresses.contains(entry) ? addresses[entry] : folder, k);
      add_rail(host, host.read(fmt::format("{}/in{}_label", folder, k)).text, where,
               {fmt::format("{}/in{}_input", folder, k), fmt::format("{}/curr{}_input", folder, k), 1},
               std::max<std::int64_t>(shunt, 1), std::chrono::milliseconds(ms), found);
    }
  }
}

void add_iio(Host& host, Found& found) {
  for (const std::string& address : host.list(kOldDriver)) {
    for (const std::string& device : host.list(kOldDriver + "/" + address)) {
      if (!device.starts_with("iio:device")) continue;
      const std::string folder = kOldDriver + "/" + address + "/" + device;
      for (int k = 0; k < kChannels; ++k) {
        add_rail(host, host.read(fmt::format("{}/rail_name_{}", folder, k)).text,
                 fmt::format("{}, channel {}", address, k),
                 {fmt::format("{}/in_voltage{}_input", folder, k),
                  fmt::format("{}/in_current{}_input", folder, k), 1},
                 kUsualShuntUohm, std::chrono::milliseconds(kOldRefreshMs), found);
      }
    }
  }
}

}  // namespace

Probe probe_ina3221(Host& host, const std::string&) {
  Found found;
  add_hwmon(host, found);
  if (found.domains.empty()) add_iio(host, found);
  Probe probe;
  if (found.domains.empty()) {
    probe.why_not = !found.denied.empty() ? fmt::format("{} may not be read: run as root", found.denied)
                    : !found.note.empty()
                        ? found.note
                        : "no INA3221 in " + kHwmon + " or " + kOldDriver + ": this is no Jetson module";
    return probe;
  }
  const auto whole =
      std::find_if(found.domains.begin(), found.domains.end(), [](const Domain& d) { return d.in_total; });
  probe.note = found.note;
  if (whole == found.domains.end()) {
    probe.note += fmt::format("{}no rail carries the whole module: rails are given apart, without a total",
                              probe.note.empty() ? "" : "; ");
  } else {
    for (auto d = found.domains.begin(); d != found.domains.end(); ++d) {
      if (d != whole) d->parent = static_cast<int>(whole - found.domains.begin());
    }
  }
  probe.meter =
      std::make_unique<FileMeter>(host, "ina3221", std::move(found.domains), std::move(found.sources));
  return probe;
}

}  // namespace eke::energy
