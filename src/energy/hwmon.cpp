// Power (uW) and energy (uJ) sensors of the kernel's hwmon class: amd_energy, ina2xx, ACPI power meters, SCMI sensors,
// graphics cards (Linux, Documentation/hwmon/sysfs-interface.rst). Chips are known by name and label, never by number.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "energy/files.h"
#include "energy/meters.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;

const std::string kHwmon = "/sys/class/hwmon";
constexpr std::int64_t kUnknownRefreshMs = 100;

// A charger's or battery's figures are limits or belong to another meter; the INA3221 has no power of its own.
bool belongs_elsewhere(const std::string& chip) {
  static constexpr std::array<std::string_view, 5> kPrefixes = {"BAT", "AC", "ADP", "ucsi", "ina3221"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view p) { return chip.starts_with(p); });
}

struct Found {
  std::vector<Domain> domains;
  std::vector<FileSource> sources;
  std::string denied, note;
};

struct Chip {
  std::string folder, name;
  Nanoseconds refresh{0};
};

// The number K of "energyK_input"; 0 for another file.
int sensor_number(const std::string& file, std::string_view kind, std::string_view attribute) {
  if (!file.starts_with(kind) || !file.ends_with(attribute) || file.size() <= kind.size() + attribute.size())
    return 0;
  const auto number =
      parse_integer(std::string_view(file).substr(kind.size(), file.size() - kind.size() - attribute.size()));
  return number && *number > 0 && *number < 100000 ? static_cast<int>(*number) : 0;
}

bool whole_supply(const std::string& chip, const std::string& label) {
  return chip == "power_meter" || label == "VIN" || label == "VDD_IN";
}

void add_sensor(Host& host, const Chip& chip, Quantity quantity, int number, const std::string& file,
                Found& found) {
  const std::string path = chip.folder + "/" + file;
  const Reading reading = read_source(host, {path, "", 1});
  if (reading.fault == Fault::denied) {
    found.denied = path;
    return;
  }
  const std::string kind = quantity == Quantity::energy ? "energy" : "power";
  const std::string label = host.read(fmt::format("{}/{}{}_label", chip.folder, kind, number)).text;
  if (reading.fault != Fault::none || (quantity == Quantity::energy && !counts(host, {path, "", 1}))) {
    found.note += fmt::format("{}{} {} left out: {}", found.note.empty() ? "" : "; ", chip.name,
                              label.empty() ? file : label,
                              reading.fault == Fault::none ? "it stays at 0" : to_string(reading.fault));
    return;
  }
  Domain domain;
  domain.name = chip.name + "/" + (label.empty() ? fmt::format("{}{}", kind, number) : label);
  domain.quantity = quantity;
  const bool socket = label.starts_with("Esocket");
  const bool whole = quantity == Quantity::power && whole_supply(chip.name, label);
  domain.boundary = socket ? Boundary::package : whole ? Boundary::machine : Boundary::rail;
  domain.in_total = socket || whole;
  domain.refresh = chip.refresh;
  domain.resolution = socket ? 15 : quantity == Quantity::energy ? 1 : 1000;
  domain.source = path;
  found.domains.push_back(std::move(domain));
  found.sources.push_back({path, "", 1});
}

void add_chip(Host& host, const Chip& chip, Found& found) {
  const std::vector<std::string> files = host.list(chip.folder);
  int cores = 0;
  for (const std::string& file : files) {
    if (const int n = sensor_number(file, "energy", "_input"); n > 0) {
      // One file a core would cost more to read than it says.
      if (host.read(fmt::format("{}/energy{}_label", chip.folder, n)).text.starts_with("Ecore")) {
        ++cores;
      } else {
        add_sensor(host, chip, Quantity::energy, n, file, found);
      }
    }
    if (const int n = sensor_number(file, "power", "_input"); n > 0)
      add_sensor(host, chip, Quantity::power, n, file, found);
    if (const int n = sensor_number(file, "power", "_average"); n > 0) {
      if (std::find(files.begin(), files.end(), fmt::format("power{}_input", n)) == files.end())
        add_sensor(host, chip, Quantity::power, n, file, found);
    }
  }
  if (cores > 0) {
    found.note += fmt::format("{}{}: {} cores are left out, their socket counts them",
                              found.note.empty() ? "" : "; ", chip.name, cores);
  }
}

}  // namespace

Probe probe_hwmon(Host& host, const std::string&) {
  Found found;
  for (const std::string& entry : host.list(kHwmon)) {
    Chip chip{kHwmon + "/" + entry, host.read(kHwmon + "/" + entry + "/name").text};
    if (chip.name.empty() || belongs_elsewhere(chip.name)) continue;
    std::int64_t ms = chip.name == "amd_energy" ? 1 : kUnknownRefreshMs;
    ms = host.integer(chip.folder + "/update_interval").value_or(ms);
    ms = host.integer(chip.folder + "/power1_average_interval").value_or(ms);
    chip.refresh = std::chrono::milliseconds(std::clamp<std::int64_t>(ms, 0, 60'000));
    add_chip(host, chip, found);
  }
  Probe probe;
  if (found.domains.empty()) {
    probe.why_not =
        !found.denied.empty() ? fmt::format("{0} may be read by root only: sudo chmod a+r {0}", found.denied)
        : !found.note.empty()
            ? found.note
            : "no chip in " + kHwmon + " has a power or energy sensor (or its driver is not loaded)";
    return probe;
  }
  // Sockets and a whole supply are two levels.
  const auto supply = std::find_if(found.domains.begin(), found.domains.end(),
                                   [](const Domain& d) { return d.boundary == Boundary::machine; });
  if (supply != found.domains.end()) {
    for (auto d = found.domains.begin(); d != found.domains.end(); ++d) d->in_total = d == supply;
  }
  probe.note = found.note;
  probe.meter =
      std::make_unique<FileMeter>(host, "hwmon", std::move(found.domains), std::move(found.sources));
  return probe;
}

}  // namespace eke::energy
