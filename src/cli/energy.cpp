// eke energy: the joules and the time of any command, measured as eke measures its own work.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>

#include "base/file.h"
#include "cli/command.h"
#include "cli/energy_report.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "energy/machine.h"

namespace eke::cli {

namespace {

struct Options {
  std::vector<std::string> command;
  CommonOptions common;
  MeterOptions meters;
  double idle_s = 2;
  std::string output;
};

// The exit code of the command, 128 + the signal that ended it, or 127 when it could not be started.
int run_command(const std::vector<std::string>& command, bool own_output) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::fflush(stdout);
  const pid_t child = ::fork();
  check(child >= 0, "cannot start '{}': {}", command[0], std::strerror(errno));
  if (child == 0) {
    if (!own_output) ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::execvp(arguments[0], arguments.data());
    const std::string message = fmt::format("eke: cannot start '{}': {}\n", command[0], std::strerror(errno));
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message.data(), message.size());
    ::_exit(127);
  }
  int status = 0;
  // Ctrl-C reaches the command too; its end is waited for.
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

energy::WindowResult idle_window(Metering& metering, double seconds, const char* name) {
  energy::Window window = metering.session().begin(name);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  throw_if_interrupted();
  return window.result();
}

struct Measured {
  int code = 0;
  double seconds = 0;
  EnergyOf gross;
  std::optional<energy::WindowResult> net, before, after;
  energy::MachineState machine_before, machine_after;
  std::vector<energy::SamplerCost> costs;
};

Measured measure(const Options& options, Metering& metering) {
  Measured m;
  energy::RealHost host;
  const bool idle = metering.active() && options.idle_s > 0;
  if (idle) m.before = idle_window(metering, options.idle_s, "idle before");
  m.machine_before = read_machine(host);
  std::optional<energy::Window> window = metering.begin(options.command[0]);
  const auto begin = std::chrono::steady_clock::now();
  m.code = run_command(options.command, !options.common.json);
  m.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (window) window->end();
  m.gross = finish(metering, window);
  m.machine_after = read_machine(host);
  if (idle) {
    m.after = idle_window(metering, options.idle_s, "idle after");
    m.net = subtract_idle(*m.gross.window, *m.before, *m.after);
  }
  if (metering.active()) m.costs = metering.session().costs();
  return m;
}

Json state_json(const energy::MachineState& state) {
  return {{"temperature_c", state.temperature_c ? Json(*state.temperature_c) : Json(nullptr)},
          {"frequency_mhz", state.frequency_mhz ? Json(*state.frequency_mhz) : Json(nullptr)},
          {"governor", state.governor.empty() ? Json(nullptr) : Json(state.governor)},
          {"power_mode", state.power_mode.empty() ? Json(nullptr) : Json(state.power_mode)},
          {"throttled", state.throttled ? Json(*state.throttled) : Json(nullptr)}};
}

Json report_json(const Options& options, const Measured& m) {
  Json json{{"command", options.command}, {"exit_code", m.code}, {"seconds", m.seconds}};
  json["gross"] = m.gross.window ? to_json(*m.gross.window) : Json(nullptr);
  if (!m.gross.window) json["why_not"] = m.gross.why_not;
  json["net"] = m.net ? to_json(*m.net) : Json(nullptr);
  json["idle_before"] = m.before ? to_json(*m.before) : Json(nullptr);
  json["idle_after"] = m.after ? to_json(*m.after) : Json(nullptr);
  json["machine_before"] = state_json(m.machine_before);
  json["machine_after"] = state_json(m.machine_after);
  for (const energy::SamplerCost& cost : m.costs)
    json["sampler"].push_back({{"meter", cost.meter}, {"cpu_share", cost.cpu_share}, {"reads", cost.reads}});
  return json;
}

std::string report_text(const Options& options, const Measured& m) {
  std::string text = fmt::format("\n'{}' took {:.3f} s", options.command[0], m.seconds);
  text += m.code == 0 ? "\n" : fmt::format(" and failed with {}\n", m.code);
  if (!m.gross.window) return text + "no joules, for no meter is there:\n" + m.gross.why_not;
  if (const std::optional<energy::Total> total = total_of(*m.gross.window))
    text += "total  " + total_text(*total) + "\n";
  if (m.net) {
    if (const std::optional<energy::Total> total = total_of(*m.net))
      text +=
          fmt::format("without idle  {} +- {}\n", joules_text(total->joules), joules_text(total->bound_j));
  }
  text += domains_table(*m.gross.window, m.net ? &*m.net : nullptr);
  for (const energy::SamplerCost& cost : m.costs)
    text += fmt::format("the sampler of {} took {:.3f} % of a core\n", cost.meter, 100 * cost.cpu_share);
  return text;
}

int energy_command(const Options& options) {
  Metering metering(options.meters);
  const Measured m = measure(options, metering);
  const std::string json = report_json(options, m).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (!options.output.empty()) write_file_atomically(options.output, json);
  if (options.common.json) {
    print(json);
  } else {
    std::fputs(report_text(options, m).c_str(), stderr);
  }
  throw_if_interrupted();
  return m.code == 0 ? kGood : kFailed;
}

}  // namespace

void add_energy(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand("energy", "Measure the joules and the time of any command");
  command->add_option("command", options->command, "the command and its arguments, after --")
      ->required()
      ->type_name("-- COMMAND...");
  command->add_option("--idle", options->idle_s, "seconds of idle to measure before and after (0: none)")
      ->check(between(0.0, 3600.0))
      ->capture_default_str();
  command->add_option("--output", options->output, "write the report there too, as JSON")->type_name("FILE");
  declare_meters(*command, options->meters);
  command->add_flag("--json", options->common.json,
                    "the report as JSON on standard output; what the command prints goes to standard error");
  command->footer(
      "The report goes to standard error, so that the command's own output stays as it is. --threads and all "
      "else after\n"
      "-- belong to the command.\n"
      "Examples:\n"
      "  eke energy -- trtexec --loadEngine=model.plan\n"
      "  eke energy --meter shelly:192.168.1.20 --idle 60 --output joules.json -- ./run.sh");
  command->callback([options, &action] { action = [options] { return energy_command(*options); }; });
}

}  // namespace eke::cli
