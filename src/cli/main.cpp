// The command. Exit codes: 0 good, 1 the work failed, 2 wrong use, 130 interrupted.
#include <cstdio>
#include <new>

#include "base/error.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "eke/version.h"

namespace {

using namespace eke::cli;

int report(int code, const char* message) {
  std::fprintf(stderr, "eke: %s\n", printable(message).c_str());
  return code;
}

int run(const Action& action) {
  try {
    const int code = action();
    if (std::fflush(stdout) != 0) return report(kFailed, "standard output: cannot write");
    return code;
  } catch (const eke::UsageError& error) {
    return report(kWrongUse, error.what());
  } catch (const Interrupted&) {
    return report(130, "interrupted");
  } catch (const std::bad_alloc&) {
    return report(kFailed, "out of memory: give a smaller --batch, --size or --input-shape");
  } catch (const std::exception& error) {
    return report(kFailed, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  App app("Trains, quantizes and runs convolutional networks: ONNX in, ONNX out.", "eke");
  app.set_version(std::string("eke ") + eke::version());
  app.require_subcommand();
  app.footer("eke COMMAND --help explains a command, with examples.");
  Action action;
  add_new(app, action);
  add_info(app, action);
  add_run(app, action);
  add_eval(app, action);
  add_train(app, action);
  add_quantize(app, action);
  add_search(app, action);
  add_tune(app, action);
  add_bench(app, action);
  add_diff(app, action);
  add_explain(app, action);
  add_plan(app, action);
  add_fit(app, action);
  add_export(app, action);
  add_meters(app, action);
  add_energy(app, action);
  add_report(app, action);
  add_study(app, action);
  add_recognize(app, action);
  if (const auto code = app.parse(argc, argv)) return *code;
  catch_interrupts();
  return run(action);
}
