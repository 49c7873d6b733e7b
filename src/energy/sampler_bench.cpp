// What sampling costs at the default rate: recorded machines as real files, each sampled for some seconds. The share of
// a core is told twice, by the sampler and by the kernel's account of the whole process, which is idle otherwise.
// Reads of /sys itself may take longer than those of files: the sampler then slows down by itself.
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "energy/host.h"
#include "energy/meters.h"

namespace eke::energy {
namespace {

namespace fs = std::filesystem;

// Lines of a fixture, "/path = text", as files below a folder.
void unpack(const fs::path& tree, const fs::path& root) {
  std::ifstream in(tree);
  for (std::string line; std::getline(in, line);) {
    const std::size_t equals = line.find(" = ");
    if (line.empty() || line[0] != '/' || equals == std::string::npos) continue;
    const fs::path file = root / line.substr(1, equals - 1);
    fs::create_directories(file.parent_path());
    std::ofstream(file) << line.substr(equals + 3) << "\n";
  }
}

double process_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void measure(const char* machine, const char* meter, const fs::path& root, double seconds) {
  RealHost host(root.string());
  Probe probe = open_meter(host, meter);
  if (!probe.meter) {
    fmt::print("{:<18} {:<8} {}\n", machine, meter, probe.why_not);
    return;
  }
  const std::size_t domains = probe.meter->domains().size();
  std::vector<std::unique_ptr<Meter>> meters;
  meters.push_back(std::move(probe.meter));
  Session session(std::move(meters));
  const double before = process_seconds();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const double share = (process_seconds() - before) / seconds;
  const SamplerCost cost = session.costs()[0];
  fmt::print("{:<18} {:<8} {:>7} {:>7} {:>9.1f} ms {:>9.1f} us {:>11.3f} % {:>11.3f} %\n", machine, meter,
             domains, cost.reads, 1e-6 * static_cast<double>(cost.period.count()), 1e6 * cost.read_seconds,
             100 * cost.cpu_share, 100 * share);
}

}  // namespace
}  // namespace eke::energy

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: energy_bench src/energy/fixtures [SECONDS]\n");
    return 2;
  }
  const double seconds = argc > 2 ? std::stod(argv[2]) : 5;
  fmt::print("{:<18} {:<8} {:>7} {:>7} {:>12} {:>12} {:>13} {:>13}\n", "machine", "meter", "domains", "reads",
             "period", "a read", "of a core", "by rusage");
  const std::pair<const char*, const char*> cases[] = {
      {"two_socket_server", "rapl"}, {"intel_laptop", "rapl"},     {"amd_server", "hwmon"},
      {"agx_orin", "ina3221"},       {"orin_nano", "ina3221"},     {"agx_xavier", "ina3221"},
      {"arm_board", "hwmon"},        {"battery_laptop", "battery"}};
  for (const auto& [machine, meter] : cases) {
    const auto root =
        std::filesystem::temp_directory_path() / fmt::format("eke_sampler_{}_{}", machine, ::getpid());
    eke::energy::unpack(std::filesystem::path(argv[1]) / fmt::format("{}.tree", machine), root);
    eke::energy::measure(machine, meter, root, seconds);
    std::filesystem::remove_all(root);
  }
}
