#include "energy/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "energy/meters.h"

namespace eke::energy {

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 28, kMaxColumns = 64;
constexpr double kMaxSeconds = 1e9, kMaxValue = 9e12;

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  if (line.ends_with('\r')) line.remove_suffix(1);
  while (cells.size() <= kMaxColumns + 1) {
    const std::size_t comma = line.find(',');
    cells.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) break;
    line.remove_prefix(comma + 1);
  }
  return cells;
}

void read_header(std::string_view line, Trace& trace) {
  const std::vector<std::string_view> cells = split(line);
  check(cells.size() >= 2 && cells.size() <= kMaxColumns + 1 && cells[0] == "seconds",
        "line 1: the header is 'seconds,NAME_w,...' (watts) or 'seconds,NAME_j,...' (joules), with 1 to {} "
        "names",
        kMaxColumns);
  for (std::size_t i = 1; i < cells.size(); ++i) {
    const bool power = cells[i].ends_with("_w");
    check(cells[i].size() > 2 && (power || cells[i].ends_with("_j")),
          "line 1: column '{}' ends neither in _w (watts) nor in _j (joules)", cells[i]);
    trace.names.emplace_back(cells[i].substr(0, cells[i].size() - 2));
    trace.quantities.push_back(power ? Quantity::power : Quantity::energy);
  }
  trace.values.resize(trace.names.size());
}

void read_row(std::string_view line, std::size_t number, Trace& trace) {
  const std::vector<std::string_view> cells = split(line);
  check(cells.size() == trace.names.size() + 1, "line {}: {} cells, the header has {}", number, cells.size(),
        trace.names.size() + 1);
  const auto value = [&](std::size_t i, double limit) {
    const std::optional<double> v = parse_decimal(cells[i]);
    check(v && std::abs(*v) <= limit, "line {}: '{}' is no number that can be right", number, cells[i]);
    return *v;
  };
  const Nanoseconds at(std::llround(value(0, kMaxSeconds) * 1e9));
  check(trace.times.empty() || at > trace.times.back(), "line {}: times must rise", number);
  trace.times.push_back(at);
  for (std::size_t i = 0; i < trace.values.size(); ++i)
    trace.values[i].push_back(std::llround(value(i + 1, kMaxValue) * 1e6));
}

// Plays the recording from the moment it was opened: shows what its meter showed last.
class TraceMeter : public Meter {
 public:
  TraceMeter(Host& host, Trace trace, std::vector<Domain> domains)
      : Meter("trace", std::move(domains)), host_(host), trace_(std::move(trace)), start_(host.now()) {}

  void read(std::span<Reading> out) noexcept override {
    const Nanoseconds now = host_.now(), at = now - start_ + trace_.times.front();
    const auto after = std::upper_bound(trace_.times.begin(), trace_.times.end(), at);
    const bool over = after == trace_.times.end() && at > trace_.times.back();
    const auto row = static_cast<std::size_t>(std::max<std::ptrdiff_t>(after - trace_.times.begin() - 1, 0));
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = {now, now, trace_.values[i][row], over ? Fault::over : Fault::none};
  }

 private:
  Host& host_;
  Trace trace_;
  Nanoseconds start_;
};

Nanoseconds median_gap(const std::vector<Nanoseconds>& times) {
  std::vector<Nanoseconds> gaps;
  for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
  std::nth_element(gaps.begin(), gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2), gaps.end());
  return gaps[gaps.size() / 2];
}

}  // namespace

Trace parse_trace(std::string_view text) {
  Trace trace;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    ++number;
    if (number == 1) {
      read_header(line, trace);
    } else if (!line.empty() && line != "\r") {
      read_row(line, number, trace);
    }
  }
  check(trace.times.size() >= 2, "a recording has at least two instants; this has {}", trace.times.size());
  return trace;
}

Probe probe_trace(Host& host, const std::string& argument) {
  Trace trace = with_context([&] { return "file '" + argument + "'"; },
                             [&] { return parse_trace(read_file(argument, kMaxBytes)); });
  std::vector<Domain> domains;
  for (std::size_t i = 0; i < trace.names.size(); ++i) {
    Domain domain;
    domain.name = trace.names[i];
    domain.quantity = trace.quantities[i];
    domain.boundary = Boundary::supply;
    domain.origin = Origin::recorded;
    domain.resolution = 1;
    domain.refresh = median_gap(trace.times);
    domain.in_total = trace.names.size() == 1;
    domain.source = argument;
    domains.push_back(std::move(domain));
  }
  Probe probe;
  probe.note = "a recording: its figures have nothing to do with what runs now";
  probe.meter = std::make_unique<TraceMeter>(host, std::move(trace), std::move(domains));
  return probe;
}

}  // namespace eke::energy
