// eke export: a quantized model as TensorRT wants it, for the GPU or for the DLA.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/file.h"
#include "cli/accelerator.h"
#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/simulation.h"
#include "onnx/onnx.h"
#include "target/export.h"
#include "target/trtexec.h"

namespace eke::cli {

namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model, target, output;
  CommonOptions common;
  ShapeOptions shapes;
  AcceleratorOptions accelerator;
};

constexpr const char *kOnnx = "model.onnx", *kCache = "calibration.cache", *kLayers = "layer_precisions.txt",
                     *kScript = "build.sh", *kEngine = "model.engine";

struct Result {
  std::vector<ExportNote> notes;
  std::vector<std::string> files;
  std::optional<DlaPlan> plan;
};

class Folder {
 public:
  Folder(const std::string& path, Result& result) : path_(path), result_(result) {
    std::error_code error;
    fs::create_directories(path_, error);
    check(!error && fs::is_directory(path_), "cannot make the folder '{}'", path);
  }
  void write(const char* name, std::string_view bytes) {
    const fs::path file = path_ / name;
    write_file_atomically(file.string(), bytes);
    result_.files.push_back(file.string());
  }
  void write_script(std::string_view text) {
    write(kScript, text);
    std::error_code ignored;  // it runs by 'sh build.sh' all the same
    fs::permissions(path_ / kScript, fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                    fs::perm_options::add, ignored);
  }

 private:
  fs::path path_;
  Result& result_;
};

Result for_gpu(const Graph& graph, const Options& options, const DlaTarget& target) {
  Result result;
  QdqExport made = export_qdq(graph, false);
  Folder folder(options.output, result);
  folder.write(kOnnx, to_onnx(made.graph));
  folder.write_script(trtexec_script({kOnnx, "", "", kEngine}, target.version, false));
  result.notes = std::move(made.notes);
  return result;
}

Result for_dla_typed(const Graph& graph, const Options& options, const DlaTarget& target) {
  Result result;
  QdqExport made = export_qdq(graph, true);
  result.plan = plan_dla(made.graph, target);
  Folder folder(options.output, result);
  folder.write(kOnnx, to_onnx(made.graph));
  folder.write_script(trtexec_script({kOnnx, "", "", kEngine}, target.version, true));
  result.notes = std::move(made.notes);
  return result;
}

Result for_dla(const Graph& graph, const Options& options, const DlaTarget& target) {
  if (is_strongly_typed(target.version)) return for_dla_typed(graph, options, target);
  Result result;
  DlaExport made = export_dla(graph, target);
  Folder folder(options.output, result);
  const bool listed = !made.fp16_layers.empty();
  folder.write(kOnnx, to_onnx(made.graph));
  folder.write(kCache, to_text(made.cache));
  if (listed) folder.write(kLayers, layer_precisions(made.fp16_layers) + "\n");
  folder.write_script(trtexec_script({kOnnx, kCache, listed ? kLayers : "", kEngine}, target.version, true));
  result.notes = std::move(made.notes);
  result.plan = std::move(made.plan);
  return result;
}

int run_export(const Options& options) {
  const DlaTarget target = resolve_accelerator(options.accelerator);
  const Model model = load_model(options.model);
  const Result result = with_context([&] { return "file '" + options.model + "'"; },
                                     [&] {
                                       const Graph graph = bind_shapes(model.graph, options.shapes);
                                       return options.target == "tensorrt" ? for_gpu(graph, options, target)
                                                                           : for_dla(graph, options, target);
                                     });
  if (options.common.json) {
    Json json{{"model", options.model},
              {"target", options.target},
              {"tensorrt", to_string(target.version)},
              {"files", result.files},
              {"notes", to_json(result.notes)}};
    if (result.plan) json["placement"] = placement_json(*result.plan);
    print_json(json);
    return kGood;
  }
  for (const ExportNote& note : result.notes)
    print(fmt::format("note       {}: {}\n", note.place, note.what));
  if (result.plan) {
    print(fmt::format("predicted  {}\n", placement_text(*result.plan)));
    if (result.plan->count(Engine::gpu) > 0)
      print("           'eke plan' says why layers leave the DLA, 'eke fit' rewrites the float model\n");
  }
  for (const std::string& file : result.files) print(fmt::format("written    {}\n", file));
  return kGood;
}

}  // namespace

void add_export(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand(
      "export", "Write a quantized model as TensorRT wants it: for its GPU engine or for a Jetson's DLA");
  command->add_option("model", options->model, "ONNX file with Q/DQ nodes")->required()->type_name("MODEL");
  command->add_option("--target", options->target, "tensorrt or dla")
      ->required()
      ->check(one_of({"tensorrt", "dla"}));
  command->add_option("-o,--output", options->output, "folder for the model, its scales and a script")
      ->required()
      ->type_name("FOLDER");
  declare_accelerator(*command, options->accelerator);
  command->add_option("--batch", options->shapes.batch, "where the model leaves it open")
      ->check(between(1, 65536))
      ->capture_default_str();
  declare_common(*command, options->common);
  declare_shapes(*command, options->shapes);
  command->footer(
      "Examples:\n"
      "  eke export model.int8.onnx --target tensorrt -o engine\n"
      "  eke export model.int8.onnx --target dla --tensorrt 8.6 -o engine && sh engine/build.sh\n"
      "  eke export model.int8.onnx --target dla --json -o engine");
  command->callback([options, &action] { action = [options] { return run_export(*options); }; });
}

}  // namespace eke::cli
