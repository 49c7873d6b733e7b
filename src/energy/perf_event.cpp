// The RAPL counters through perf_event: the PMU "power", one event a domain, system-wide on one CPU of each package.
// The kernel keeps 64 bits, so nothing wraps. It has listed events that the CPU does not count: those stay at 0.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

#include "energy/meters.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;

const std::string kPmu = "/sys/bus/event_source/devices/power";

struct Event {
  const char* file;
  const char* domain;
  Boundary boundary;
};
constexpr Event kEvents[] = {{"energy-psys", "psys", Boundary::machine},
                             {"energy-pkg", "package", Boundary::package},
                             {"energy-cores", "core", Boundary::core},
                             {"energy-gpu", "uncore", Boundary::core},
                             {"energy-ram", "dram", Boundary::memory}};

struct Counter {
  int fd;
  double uj;  // a unit of the counter
};

// False where the descriptor gives no 8 bytes.
bool read_counter(int fd, std::uint64_t& value) noexcept {
  return ::read(fd, &value, sizeof(value)) == sizeof(value);
}

class PerfMeter : public Meter {
 public:
  PerfMeter(Host& host, std::vector<Domain> domains, std::vector<Counter> counters)
      : Meter("perf", std::move(domains)), host_(host), counters_(std::move(counters)) {}
  ~PerfMeter() override {
    for (const Counter& counter : counters_) ::close(counter.fd);
  }
  PerfMeter(const PerfMeter&) = delete;
  PerfMeter& operator=(const PerfMeter&) = delete;

  void read(std::span<Reading> out) noexcept override {
    for (std::size_t i = 0; i < counters_.size(); ++i) {
      out[i] = {host_.now()};
      std::uint64_t value = 0;
      if (read_counter(counters_[i].fd, value)) {
        out[i].value = std::llround(static_cast<double>(value) * counters_[i].uj);
      } else {
        out[i].fault = fault_of(errno == 0 ? EIO : errno);
      }
      out[i].end = host_.now();
    }
  }

 private:
  Host& host_;
  std::vector<Counter> counters_;
};

// "0,18" or "0-1,4".
std::vector<int> parse_cpus(std::string_view text) {
  std::vector<int> cpus;
  while (!text.empty() && cpus.size() < 4096) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t dash = part.find('-');
    const auto first = parse_integer(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_integer(part.substr(dash + 1));
    if (!first || !last) break;
    for (std::int64_t cpu = *first; cpu <= *last && cpus.size() < 4096; ++cpu)
      cpus.push_back(static_cast<int>(cpu));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return cpus;
}

std::optional<std::uint64_t> parse_config(std::string_view text) {
  const std::size_t at = text.find("event=0x");
  if (at == std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  const char* begin = text.data() + at + 8;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value, 16);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

bool moves(Host& host, int fd) {
  std::uint64_t value = 0;
  if (!read_counter(fd, value)) return false;
  if (value != 0) return true;
  host.sleep(10ms);
  return read_counter(fd, value) && value != 0;
}

struct Opened {
  std::vector<Domain> domains;
  std::vector<Counter> counters;
  std::string note;
  int error = 0;
};

void open_event(Host& host, const Event& event, std::uint32_t type, const std::vector<int>& cpus,
                Opened& opened) {
  const std::string path = kPmu + "/events/" + event.file;
  const std::optional<std::uint64_t> config = parse_config(host.read(path).text);
  const std::optional<double> scale = parse_decimal(host.read(path + ".scale").text);
  if (!config || !scale || !(*scale > 0)) return;
  for (const int cpu : cpus) {
    const int fd = host.open_perf(type, *config, cpu);
    if (fd < 0) {
      opened.error = -fd;
      return;
    }
    if (!moves(host, fd)) {
      ::close(fd);
      opened.note += fmt::format("{}{} left out: it counts nothing (it stays at 0)",
                                 opened.note.empty() ? "" : "; ", event.file);
      return;
    }
    const std::int64_t package =
        host.integer(fmt::format("/sys/devices/system/cpu/cpu{}/topology/physical_package_id", cpu))
            .value_or(0);
    Domain domain;
    domain.name = event.boundary == Boundary::machine   ? event.domain
                  : event.boundary == Boundary::package ? fmt::format("package-{}", package)
                                                        : fmt::format("package-{}/{}", package, event.domain);
    domain.boundary = event.boundary;
    domain.resolution = 61;
    domain.refresh = 1ms;
    domain.source = fmt::format("{} on CPU {}", path, cpu);
    opened.domains.push_back(std::move(domain));
    opened.counters.push_back({fd, *scale * 1e6});
    if (event.boundary == Boundary::machine) return;  // one for the whole machine
  }
}

void relate(std::vector<Domain>& domains) {
  const bool psys = !domains.empty() && domains[0].boundary == Boundary::machine;
  for (Domain& d : domains) {
    d.in_total = psys ? d.boundary == Boundary::machine
                      : d.boundary == Boundary::package || d.boundary == Boundary::memory;
    if (psys && (d.boundary == Boundary::package || d.boundary == Boundary::memory)) d.parent = 0;
    if (d.boundary != Boundary::core) continue;
    const std::string above = d.name.substr(0, d.name.find('/'));
    for (std::size_t i = 0; i < domains.size(); ++i) {
      if (domains[i].name == above) d.parent = static_cast<int>(i);
    }
  }
}

}  // namespace

Probe probe_perf(Host& host, const std::string&) {
  Probe probe;
  const std::optional<std::int64_t> type = host.integer(kPmu + "/type");
  if (!type) {
    probe.why_not =
        kPmu +
        " is not there: load it with sudo modprobe rapl (Intel, or AMD Zen); virtual machines have none";
    return probe;
  }
  std::vector<int> cpus = parse_cpus(host.read(kPmu + "/cpumask").text);
  if (cpus.empty()) cpus = {0};
  Opened opened;
  for (const Event& event : kEvents) open_event(host, event, static_cast<std::uint32_t>(*type), cpus, opened);
  if (opened.domains.empty()) {
    const Fault fault = fault_of(opened.error);
    probe.why_not =
        fault == Fault::denied
            ? fmt::format(
                  "perf_event_paranoid is {}: sudo sysctl kernel.perf_event_paranoid=0, or give the program "
                  "the capability with sudo setcap cap_perfmon+ep PROGRAM",
                  host.read("/proc/sys/kernel/perf_event_paranoid").text)
        : opened.error         ? fmt::format("perf_event_open: {}", std::strerror(opened.error))
        : !opened.note.empty() ? opened.note
                               : "the PMU has no energy event that can be read";
    return probe;
  }
  relate(opened.domains);
  probe.note = opened.note;
  probe.meter = std::make_unique<PerfMeter>(host, std::move(opened.domains), std::move(opened.counters));
  return probe;
}

}  // namespace eke::energy
