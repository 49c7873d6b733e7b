// A subcommand declares its options on an App and leaves what is to be done in an Action, which main runs
// after the whole command line has been understood.
#pragma once

#include <functional>

#include "cli/command_line.h"

namespace eke::cli {

using Action = std::function<int()>;  // returns the exit code

inline constexpr int kGood = 0, kFailed = 1, kWrongUse = 2;

void add_new(App& app, Action& action);
void add_info(App& app, Action& action);
void add_run(App& app, Action& action);
void add_eval(App& app, Action& action);
void add_train(App& app, Action& action);
void add_quantize(App& app, Action& action);
void add_search(App& app, Action& action);
void add_tune(App& app, Action& action);
void add_bench(App& app, Action& action);
void add_diff(App& app, Action& action);
void add_explain(App& app, Action& action);
void add_plan(App& app, Action& action);
void add_fit(App& app, Action& action);
void add_export(App& app, Action& action);
void add_meters(App& app, Action& action);
void add_energy(App& app, Action& action);
void add_report(App& app, Action& action);
void add_study(App& app, Action& action);
void add_recognize(App& app, Action& action);

}  // namespace eke::cli
