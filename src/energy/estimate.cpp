#include "energy/estimate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "energy/meters.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

constexpr std::size_t kMaxProfileBytes = 65536, kMaxName = 100;
constexpr double kMaxWatts = 1e4, kMaxJoulesPerByte = 1e-3;

double member(const Json& json, const char* name, double limit, bool required) {
  const auto at = json.find(name);
  if (at == json.end() && !required) return 0;
  check(at != json.end() && at->is_number(), "'{}' is missing or no number", name);
  const double value = at->get<double>();
  check(value >= 0 && value <= limit, "'{}' is {}; it must lie between 0 and {}", name, value, limit);
  return value;
}

double ticks_per_second() { return static_cast<double>(std::max(::sysconf(_SC_CLK_TCK), 1L)); }

class EstimateMeter : public Meter {
 public:
  EstimateMeter(Host& host, const DeviceProfile& profile, std::vector<Domain> domains)
      : Meter("estimate", std::move(domains)), host_(host), profile_(profile), last_(host.now()) {
    busy_ = busy();
  }

  void moved(std::uint64_t bytes) noexcept override { bytes_ += bytes; }

  void read(std::span<Reading> out) noexcept override {
    out[0] = {host_.now()};
    const double busy_now = busy();
    out[0].end = host_.now();
    const double seconds = std::chrono::duration<double>(out[0].end - last_).count();
    joules_ += profile_.idle_w * seconds + profile_.busy_w_per_core * std::max(busy_now - busy_, 0.0) +
               profile_.joules_per_byte * static_cast<double>(bytes_.exchange(0));
    last_ = out[0].end;
    busy_ = std::max(busy_, busy_now);
    out[0].value = std::llround(joules_ * 1e6);
  }

 private:
  double busy() noexcept {
    try {
      return busy_seconds(host_.read("/proc/stat").text, ticks_per_second()).value_or(busy_);
    } catch (const std::exception&) {
      return busy_;
    }
  }

  Host& host_;
  DeviceProfile profile_;
  Nanoseconds last_;
  double busy_ = 0, joules_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
};

}  // namespace

DeviceProfile parse_profile(std::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  check(json.is_object(), "a profile is a JSON object with 'name', 'idle_w' and 'busy_w_per_core'");
  const auto name = json.find("name");
  check(name != json.end() && name->is_string() && !name->get_ref<const std::string&>().empty() &&
            name->get_ref<const std::string&>().size() <= kMaxName,
        "'name' is missing, or longer than {} characters", kMaxName);
  DeviceProfile profile;
  profile.name = name->get<std::string>();
  profile.idle_w = member(json, "idle_w", kMaxWatts, true);
  profile.busy_w_per_core = member(json, "busy_w_per_core", kMaxWatts, true);
  profile.joules_per_byte = member(json, "joules_per_byte", kMaxJoulesPerByte, false);
  return profile;
}

std::optional<double> busy_seconds(std::string_view text, double ticks) {
  // "cpu  user nice system idle iowait irq softirq steal ..."
  if (!text.starts_with("cpu ")) return std::nullopt;
  text = text.substr(4, text.find('\n') - 4);
  double busy = 0;
  for (int column = 0; column < 7; ++column) {
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) return std::nullopt;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::optional<std::int64_t> value = parse_integer(text.substr(0, end));
    if (!value || *value < 0) return std::nullopt;
    if (column != 3 && column != 4) busy += static_cast<double>(*value);
    text.remove_prefix(end);
  }
  return busy / ticks;
}

Probe probe_estimate(Host& host, const std::string& argument) {
  const DeviceProfile profile =
      with_context([&] { return "file '" + argument + "'"; },
                   [&] { return parse_profile(read_file(argument, kMaxProfileBytes)); });
  Probe probe;
  if (!busy_seconds(host.read("/proc/stat").text, ticks_per_second())) {
    probe.why_not = "/proc/stat does not say how busy the CPUs are";
    return probe;
  }
  Domain domain;
  domain.name = fmt::format("estimate of profile '{}'", profile.name);
  domain.boundary = Boundary::machine;
  domain.origin = Origin::estimated;
  domain.in_total = true;
  domain.refresh = 10ms;
  domain.resolution =
      std::max<std::int64_t>(std::llround(profile.busy_w_per_core / ticks_per_second() * 1e6), 1);
  domain.source = argument;
  probe.note = "an estimate, not a measurement";
  probe.meter = std::make_unique<EstimateMeter>(host, profile, std::vector{domain});
  return probe;
}

}  // namespace eke::energy
