// eke fit: rewrites a network so that it stays on a Jetson's DLA, and checks that it still means the same.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/threads.h"
#include "cli/accelerator.h"
#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "onnx/onnx.h"
#include "target/fit.h"

namespace eke::cli {

namespace {

// Rewrites that mean the same differ by the rounding of float32 sums.
constexpr double kMaxDifference = 1e-3;

struct Options {
  std::string model, target = "dla-orin", output;
  CommonOptions common;
  ShapeOptions shapes;
  AcceleratorOptions accelerator;
  bool cut = false, approximate = false;
};

// "fitted.onnx" and "fitted.host.onnx"
std::string host_path(const Options& options) {
  return std::filesystem::path(options.output).replace_extension(".host.onnx").string();
}

struct Result {
  Fitted fitted;
  DlaPlan before, after;
  std::optional<Agreement> agreement;  // none where the host has to go on
};

Result fit(const Options& options) {
  if (options.target != "dla-orin")
    throw UsageError(fmt::format("--target {}: the limits of dla-orin are known", options.target));
  const DlaTarget target = resolve_accelerator(options.accelerator);
  const Model model = load_model(options.model);
  return with_context([&] { return "file '" + options.model + "'"; },
                      [&] {
                        const Graph graph = bind_shapes(model.graph, options.shapes);
                        Result result;
                        result.before = plan_dla(graph, target);
                        result.fitted = fit_dla(graph, {target, options.cut, options.approximate});
                        result.after = plan_dla(result.fitted.graph, target);
                        const std::size_t known = result.fitted.host ? 1 : 0;
                        if (result.fitted.for_host.size() == known)
                          result.agreement =
                              agreement(graph, result.fitted, Threads(thread_count(options.common)));
                        return result;
                      });
}

Json fit_json(const Options& options, const Result& result) {
  Json json{{"model", options.model},
            {"output", options.output},
            {"before", placement_json(result.before)},
            {"after", placement_json(result.after)},
            {"changes", Json::array()},
            {"for_host", result.fitted.for_host},
            {"host", result.fitted.host ? Json(host_path(options)) : Json(nullptr)}};
  for (const FitChange& change : result.fitted.changes)
    json["changes"].push_back(
        {{"node", change.node}, {"now", change.what}, {"why", change.why}, {"exact", change.exact}});
  if (result.agreement) {
    json["agreement"] = {{"elements", result.agreement->elements},
                         {"largest_difference", result.agreement->largest_difference},
                         {"cosine", result.agreement->cosine}};
  }
  return json;
}

void fit_text(const Options& options, const Result& result) {
  Table table({{"node", Align::left, 40}, {"is now", Align::left}, {"why", Align::left}});
  for (const FitChange& change : result.fitted.changes)
    table.add({change.node, change.what + (change.exact ? "" : " (approximately)"), change.why});
  print(result.fitted.changes.empty() ? "nothing to change\n" : table.text());
  print(fmt::format("\npredicted before  {}\npredicted after   {}\n", placement_text(result.before),
                    placement_text(result.after)));
  for (const PlacedNode& node : result.after.nodes) {
    if (node.engine == Engine::gpu)
      print(
          fmt::format("stays on the GPU  {} ({}): {}\n", node.name, node.op, fmt::join(node.reasons, "; ")));
  }
  for (const std::string& work : result.fitted.for_host) print(fmt::format("left to the host  {}\n", work));
  if (result.agreement) {
    print(fmt::format(
        "agreement         largest difference {:.2e} of the output's range, cosine {:.6f}, {} elements of "
        "random inputs\n",
        result.agreement->largest_difference, result.agreement->cosine, result.agreement->elements));
  }
  print(fmt::format("written           {}\n", options.output));
  if (result.fitted.host) print(fmt::format("for the host      {}\n", host_path(options)));
}

int run_fit(const Options& options) {
  const Result result = fit(options);
  bool exact = true;
  for (const FitChange& change : result.fitted.changes) exact = exact && change.exact;
  if (result.agreement && exact) {
    check(result.agreement->largest_difference <= kMaxDifference,
          "the rewritten network differs from the original by {:.2e} of the output's range, more than "
          "{:.0e}: nothing "
          "was written; please report the model",
          result.agreement->largest_difference, kMaxDifference);
  }
  save_onnx(result.fitted.graph, options.output);
  if (result.fitted.host) save_onnx(*result.fitted.host, host_path(options));
  if (options.common.json) {
    print_json(fit_json(options, result));
  } else {
    fit_text(options, result);
  }
  return kGood;
}

}  // namespace

void add_fit(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand(
      "fit", "Rewrite a network so that it stays on a Jetson's DLA, and check that it means the same");
  command->add_option("model", options->model, "ONNX file, not quantized")->required()->type_name("MODEL");
  command->add_option("-o,--output", options->output, "the ONNX file to write")
      ->required()
      ->type_name("FILE");
  command->add_option("--target", options->target, "dla-orin")->capture_default_str();
  command->add_flag("--cut", options->cut,
                    "take a final softmax, normalization or decoding off, for the host to do");
  command->add_flag("--approximate", options->approximate, "allow replacements that do not mean the same");
  declare_accelerator(*command, options->accelerator);
  command
      ->add_option("--batch", options->shapes.batch, "where the model leaves it open; the DLA needs it fixed")
      ->check(between(1, 4096))
      ->capture_default_str();
  declare_common(*command, options->common);
  declare_shapes(*command, options->shapes);
  command->footer(
      "Examples:\n"
      "  eke fit model.onnx -o fitted.onnx\n"
      "  eke fit model.onnx -o fitted.onnx --cut --tensorrt 8.6\n"
      "  eke fit model.onnx -o fitted.onnx --json && eke quantize fitted.onnx --data photos -o "
      "fitted.int8.onnx");
  command->callback([options, &action] { action = [options] { return run_fit(*options); }; });
}

}  // namespace eke::cli
