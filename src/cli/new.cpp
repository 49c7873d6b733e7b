// eke new: a known architecture with random weights, as ONNX: where training and measuring start.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/provenance.h"
#include "cli/table.h"
#include "onnx/onnx.h"
#include "ptq/saved_form.h"
#include "zoo/zoo.h"

namespace eke::cli {

namespace {

struct Options {
  std::string architecture, output;
  NetworkOptions network;
  CommonOptions common;
  bool list = false;
};

int list_architectures(const Options& options) {
  Json json = Json::array();
  Table table({{"architecture", Align::left},
               {"classes"},
               {"input"},
               {"normalization", Align::left},
               {"", Align::left}});
  for (const Architecture& a : architectures()) {
    json.push_back({{"name", a.name},
                    {"classes", a.classes},
                    {"input", a.input},
                    {"normalization", a.normalization},
                    {"summary", a.summary}});
    table.add({std::string(a.name), std::to_string(a.classes), fmt::format("{0}x{0}", a.input),
               std::string(a.normalization), std::string(a.summary)});
  }
  if (options.common.json) {
    print_json(json);
  } else {
    print(table.text());
  }
  return kGood;
}

void write_to_pipe(const std::string& bytes) {
  check(std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0,
        "standard output: cannot write");
}

int make(const Options& options) {
  if (options.architecture.empty()) throw UsageError("which architecture? 'eke new --list' shows them all");
  const bool piped = options.output.empty() || options.output == "-";
  if (piped && isatty(STDOUT_FILENO) != 0)
    throw UsageError("a model is no text for a terminal: give -o FILE, or pipe it into another command");
  if (piped && options.common.json)
    throw UsageError(
        "--json describes the file that -o names; the model itself goes to standard output here");
  const Architecture& architecture = find_architecture(options.architecture);
  Graph graph = make_network(architecture, options.network);
  Preprocess preprocess;
  preprocess.width = preprocess.height = static_cast<int>(graph[graph.inputs[0]].type.shape[2]);
  apply_normalization(preprocess, architecture.normalization);
  store_preprocess(graph, preprocess, {});
  const std::string bytes = to_onnx(graph);
  if (piped) {
    write_to_pipe(bytes);
    return kGood;
  }
  write_file_atomically(options.output, bytes);
  const auto& input = graph[graph.inputs[0]].type;
  const std::int64_t classes = graph[graph.outputs[0]].type.shape[1];
  if (options.common.json) {
    print_json(with_provenance("new", {{"architecture", architecture.name},
                                       {"file", options.output},
                                       {"file_bytes", bytes.size()},
                                       {"input", input.shape[2]},
                                       {"classes", classes},
                                       {"width", options.network.width},
                                       {"seed", options.network.seed}}));
  } else {
    print(fmt::format("{}: {}, {}x{} to {} outputs, {}\n", options.output, architecture.name, input.shape[2],
                      input.shape[3], classes, bytes_text(static_cast<double>(bytes.size()))));
  }
  return kGood;
}

}  // namespace

void add_new(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command =
      app.add_subcommand("new", "Make a known architecture with random weights, to train or to measure");
  command->add_option("architecture", options->architecture, "its name, as --list shows")->type_name("ARCH");
  command->add_flag("--list", options->list, "show the architectures");
  command->add_option("-o,--output", options->output, "the ONNX file (default: standard output, if piped)")
      ->type_name("FILE");
  command->add_option("--classes", options->network.classes, "outputs (default: the architecture's own)")
      ->check(between(std::int64_t{1}, std::int64_t{1'000'000}));
  command->add_option("--input", options->network.input, "height and width of the input")
      ->check(between(std::int64_t{1}, std::int64_t{8192}));
  command->add_option("--width", options->network.width, "times the channels of every layer")
      ->check(positive())
      ->capture_default_str();
  command->add_option("--seed", options->network.seed, "of the weights")->capture_default_str();
  declare_common(*command, options->common);
  command->footer(
      "Examples:\n"
      "  eke new --list\n"
      "  eke new mobilenet_v2 --classes 10 --width 0.5 -o net.onnx\n"
      "  eke new resnet8 --classes 10 | eke train --data photos -o trained.onnx");
  command->callback([options, &action] {
    action = [options] { return options->list ? list_architectures(*options) : make(*options); };
  });
}

}  // namespace eke::cli
