// A subcommand declares its options on a CLI::App and leaves what is to be done in an Action, which main runs
// after the whole command line has been understood.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace eke::cli {

using Action = std::function<int()>;  // returns the exit code

inline constexpr int kGood = 0, kFailed = 1, kWrongUse = 2;

void add_new(CLI::App& app, Action& action);
void add_info(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_train(CLI::App& app, Action& action);
void add_quantize(CLI::App& app, Action& action);
void add_tune(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_diff(CLI::App& app, Action& action);
void add_explain(CLI::App& app, Action& action);
void add_plan(CLI::App& app, Action& action);
void add_fit(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_meters(CLI::App& app, Action& action);
void add_energy(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_study(CLI::App& app, Action& action);
void add_recognize(CLI::App& app, Action& action);

}  // namespace eke::cli
