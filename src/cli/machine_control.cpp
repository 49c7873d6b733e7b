#include "cli/machine_control.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "energy/machine.h"

extern char** environ;

namespace eke::cli {

namespace {

const std::string kPolicies = "/sys/devices/system/cpu/cpufreq";
constexpr auto kSettle = std::chrono::milliseconds(50);

// Empty, or why the file could not be written.
std::string write_text(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return std::strerror(errno);
  const bool good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  ::close(fd);
  return good ? "" : std::strerror(error);
}

// True when the tool says that the mode is set.
bool set_power_mode(int mode) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // It asks before it restarts the machine: no answer is no.
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  std::string tool = "nvpmodel", flag = "-m", number = std::to_string(mode);
  char* arguments[] = {tool.data(), flag.data(), number.data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, "nvpmodel", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  while (error == 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return error == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void FrequencyControl::set(std::int64_t khz) {
  if (khz == now_khz_) return;
  energy::RealHost host;
  bool any = false;
  for (const std::string& policy : host.list(kPolicies)) {
    if (!policy.starts_with("policy")) continue;
    any = true;
    const std::string folder = kPolicies + "/" + policy + "/";
    const std::string low = folder + "scaling_min_freq", high = folder + "scaling_max_freq";
    before_.try_emplace(low, host.read(low).text);
    before_.try_emplace(high, host.read(high).text);
    // The lower limit first down, so that the upper one may pass it.
    write_text(low, host.read(folder + "cpuinfo_min_freq").text);
    const std::string text = std::to_string(khz);
    std::string error = write_text(high, text);
    if (error.empty()) error = write_text(low, text);
    check(error.empty(),
          "--freq: {} cannot be set to {} kHz: {}; setting clocks wants root and a frequency of {}", policy,
          khz, error, folder + "scaling_available_frequencies");
  }
  check(any, "--freq: {} is not there: this machine has no cpufreq driver whose clocks could be set",
        kPolicies);
  now_khz_ = khz;
  std::this_thread::sleep_for(kSettle);
}

FrequencyControl::~FrequencyControl() {
  // Twice, for a limit that stands in the way of the other the first time.
  for (int pass = 0; pass < 2; ++pass) {
    for (const auto& [path, text] : before_) write_text(path, text);
  }
}

void PowerModeControl::set(int mode) {
  if (now_ == mode) return;
  energy::RealHost host;
  const std::string current = read_machine(host).power_mode;
  if (!before_ && !current.empty()) before_ = std::stoi(current);
  check(set_power_mode(mode),
        "--power-mode: nvpmodel could not set mode {}: only a Jetson has it, it wants root, and some "
        "modes want a restart",
        mode);
  now_ = mode;
  std::this_thread::sleep_for(kSettle);
}

PowerModeControl::~PowerModeControl() {
  if (now_ && before_ && now_ != before_) set_power_mode(*before_);
}

}  // namespace eke::cli
