#include "cli/provenance.h"

#include <fmt/chrono.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "base/isa.h"
#include "base/threads.h"
#include "eke/version.h"

namespace eke::cli {

namespace {

std::vector<std::string> arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> list;
  for (std::string argument; std::getline(file, argument, '\0');) list.push_back(argument);
  if (!list.empty()) list.erase(list.begin());  // the path of the program
  return list;
}

}  // namespace

// The first line of /proc/cpuinfo that names the processor; boards name themselves in the device tree.
std::string processor_name() {
  std::ifstream board("/proc/device-tree/model", std::ios::binary);
  std::string name;
  if (std::getline(board, name, '\0') && !name.empty()) return name;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

namespace {

Json machine() {
  utsname system{};
  const bool known = ::uname(&system) == 0;
  const auto pages = static_cast<double>(::sysconf(_SC_PHYS_PAGES)),
             page_bytes = static_cast<double>(::sysconf(_SC_PAGESIZE));
  return {
      {"processor", processor_name()},
      {"cores", usable_cores()},
      {"memory", bytes_text(pages * page_bytes)},
      {"system", known ? fmt::format("{} {} {}", system.sysname, system.release, system.machine) : "unknown"},
      {"isa", to_string(selected_isa())}};
}

}  // namespace

Json with_provenance(const char* command, Json result) {
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  Json json{
      {"command", command},
      {"arguments", arguments()},
      {"eke", eke::version()},
      {"time", fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)))},
      {"machine", machine()}};
  json.update(result);
  return json;
}

}  // namespace eke::cli
