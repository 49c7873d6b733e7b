#include "energy/plug.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "energy/meters.h"
#include "energy/net.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

constexpr auto kPatience = 1500ms;
constexpr Nanoseconds kRefresh = 1s;
constexpr double kMaxWatts = 1e5, kMaxJoules = 1e12;

Json parsed(std::string_view text) { return Json::parse(text.begin(), text.end(), nullptr, false); }

// The member of an object, or null.
const Json& member(const Json& json, const char* name) {
  static const Json null;
  const auto at = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && at != json.end() ? *at : null;
}

std::optional<double> figure(const Json& json, double unit, double limit) {
  if (!json.is_number()) return std::nullopt;
  const double value = json.get<double>() * unit;
  return std::isfinite(value) && std::abs(value) <= limit ? std::optional(value) : std::nullopt;
}

// A kind of plug: where it answers, and the steps of its counter.
struct PlugKind {
  const char* name;
  const char* path;
  PlugStatus (*parse)(std::string_view);
  std::int64_t power_step_uw, energy_step_uj;
};
constexpr PlugKind kGen2 = {"Shelly Gen2", "/rpc/Switch.GetStatus?id=0", parse_shelly_gen2, 100'000,
                            3'600'000};
constexpr PlugKind kGen1 = {"Shelly Gen1", "/status", parse_shelly_gen1, 10'000, 60'000'000};
constexpr PlugKind kTasmota = {"Tasmota", "/cm?cmnd=Status%208", parse_tasmota, 1'000'000, 3'600'000'000};

class PlugMeter : public Meter {
 public:
  PlugMeter(Host& host, std::string name, Address address, const PlugKind& kind, std::vector<Domain> domains)
      : Meter(std::move(name), std::move(domains)), host_(host), address_(std::move(address)), kind_(kind) {}

  void read(std::span<Reading> out) noexcept override {
    Reading reading{host_.now()};
    PlugStatus status;
    try {
      const HttpAnswer answer = http_get(address_, kind_.path, std::chrono::steady_clock::now() + kPatience);
      if (answer.status == 200) status = kind_.parse(answer.body);
      if (answer.status == 0) reading.fault = Fault::timeout;
      if (answer.status != 0 && answer.status != 200) reading.fault = Fault::io_error;
    } catch (const std::exception&) {
      reading.fault = Fault::io_error;
    }
    reading.end = host_.now();
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = reading;
      if (reading.fault != Fault::none) continue;
      const std::optional<double> value =
          domains_[i].quantity == Quantity::power ? status.watts : status.joules;
      if (value) {
        out[i].value = std::llround(*value * 1e6);
      } else {
        out[i].fault = Fault::garbage;
      }
    }
  }

 private:
  Host& host_;
  Address address_;
  PlugKind kind_;
};

std::vector<Domain> domains_of(const PlugStatus& status, const PlugKind& kind, const Address& address) {
  std::vector<Domain> domains;
  Domain domain;
  domain.boundary = Boundary::supply;
  domain.refresh = kRefresh;
  domain.source = fmt::format("http://{}:{}{}", address.host, address.port, kind.path);
  if (status.watts) {
    domain.name = "wall";
    domain.quantity = Quantity::power;
    domain.resolution = kind.power_step_uw;
    domain.in_total = true;
    domains.push_back(domain);
  }
  if (status.joules) {
    domain.name = "wall (counter)";
    domain.quantity = Quantity::energy;
    domain.resolution = kind.energy_step_uj;
    domain.in_total = !status.watts;
    domains.push_back(domain);
  }
  return domains;
}

Probe probe_plug(Host& host, const char* name, const std::string& argument,
                 std::initializer_list<const PlugKind*> kinds) {
  Probe probe;
  const Address address = parse_address(argument, "80");
  for (const PlugKind* kind : kinds) {
    const HttpAnswer answer = http_get(address, kind->path, std::chrono::steady_clock::now() + kPatience);
    if (answer.status == 401) {
      probe.why_not = "the plug wants a password: switch its authentication off for the measurement";
      return probe;
    }
    std::vector<Domain> domains;
    if (answer.status == 200) domains = domains_of(kind->parse(answer.body), *kind, address);
    if (!domains.empty()) {
      probe.meter = std::make_unique<PlugMeter>(host, name, address, *kind, std::move(domains));
      probe.note = "Wi-Fi plugs refresh about once a second: windows of minutes only";
      return probe;
    }
    probe.why_not = answer.status == 0 ? fmt::format("{}:{}: {}", address.host, address.port, answer.error)
                    : answer.status == 200 ? fmt::format("{}:{} answers, but not as {} does", address.host,
                                                         address.port, kind->name)
                                           : fmt::format("{}:{} answers {} with status {}", address.host,
                                                         address.port, kind->path, answer.status);
    if (answer.status == 0) return probe;
  }
  return probe;
}

}  // namespace

PlugStatus parse_shelly_gen1(std::string_view text) {
  const Json json = parsed(text);
  const Json& meters = member(json, "meters");
  if (!meters.is_array() || meters.empty()) return {};
  return {figure(member(meters[0], "power"), 1, kMaxWatts),
          figure(member(meters[0], "total"), 60, kMaxJoules)};
}

PlugStatus parse_shelly_gen2(std::string_view text) {
  const Json json = parsed(text);
  return {figure(member(json, "apower"), 1, kMaxWatts),
          figure(member(member(json, "aenergy"), "total"), 3600, kMaxJoules)};
}

PlugStatus parse_tasmota(std::string_view text) {
  const Json json = parsed(text);
  const Json& energy = member(member(json, "StatusSNS"), "ENERGY");
  return {figure(member(energy, "Power"), 1, kMaxWatts), figure(member(energy, "Total"), 3.6e6, kMaxJoules)};
}

Probe probe_shelly(Host& host, const std::string& argument) {
  return probe_plug(host, "shelly", argument, {&kGen2, &kGen1});
}

Probe probe_tasmota(Host& host, const std::string& argument) {
  return probe_plug(host, "tasmota", argument, {&kTasmota});
}

}  // namespace eke::energy
