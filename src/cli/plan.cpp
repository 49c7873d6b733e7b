// eke plan: where TensorRT will place the nodes of a network, DLA or GPU, and why, before anything is deployed.
#include <fmt/format.h>

#include <memory>

#include "base/file.h"
#include "cli/accelerator.h"
#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/options.h"

namespace eke::cli {

namespace {

struct Options {
  std::string model, target = "dla-orin", picture;
  CommonOptions common;
  ShapeOptions shapes;
  AcceleratorOptions accelerator;
};

std::string joined(const std::vector<std::string>& parts, std::string_view separator = ", ") {
  return fmt::format("{}", fmt::join(parts, separator));
}

Json plan_json(const Options& options, const DlaPlan& plan) {
  Json json{{"model", options.model},
            {"target", options.target},
            {"tensorrt", to_string(plan.target.version)},
            {"precision", options.accelerator.precision},
            {"batch", plan.batch},
            {"summary", placement_json(plan)}};
  if (plan.estimated_dla_ms) json["estimated_dla_ms"] = *plan.estimated_dla_ms;
  json["nodes"] = Json::array();
  for (const PlacedNode& node : plan.nodes) {
    Json entry{{"name", node.name},       {"operator", node.op},
               {"output", node.output},   {"engine", to_string(node.engine)},
               {"block", node.block + 1}, {"macs", node.cost.macs}};
    if (node.raised) entry["raised_to_fp16"] = true;
    if (node.engine == Engine::gpu) {
      entry["reasons"] = node.reasons;
      entry["source"] = node.source;
      entry["remedy"] = node.remedy;
    }
    json["nodes"].push_back(std::move(entry));
  }
  json["blocks"] = Json::array();
  for (const EngineBlock& block : plan.blocks)
    json["blocks"].push_back(
        {{"engine", to_string(block.engine)}, {"nodes", block.nodes}, {"macs", block.macs}});
  json["transitions"] = Json::array();
  for (const Transition& t : plan.transitions)
    json["transitions"].push_back(
        {{"tensor", t.tensor}, {"from", t.from + 1}, {"to", t.to + 1}, {"bytes", t.bytes}});
  json["equal_scales"] = Json::array();
  for (const ScaleGroup& group : plan.scale_groups)
    json["equal_scales"].push_back({{"tensors", group.tensors}, {"because", group.because}});
  return json;
}

void plan_text(const Options& options, const DlaPlan& plan) {
  print(fmt::format("{}  {}, TensorRT {}, {}, batch {}\n", paint(Colour::bold, options.model), options.target,
                    to_string(plan.target.version), options.accelerator.precision, plan.batch));
  print(fmt::format("predicted   {}\n", placement_text(plan)));
  if (plan.estimated_dla_ms) {
    print(
        fmt::format("estimated   {} for the layers on one DLA, at the published rate of ResNet-50 (2037 "
                    "images/s on the two of an "
                    "AGX Orin); GPU layers and transitions come on top\n",
                    ms_text(*plan.estimated_dla_ms)));
  }
  const int dla_blocks = placement_json(plan)["dla_blocks"].get<int>();
  if (dla_blocks > max_loadables(plan.target.version)) {
    print(fmt::format(
        "{}\n",
        paint(Colour::bad, fmt::format("{} blocks are more than the {} loadables that one DLA core takes",
                                       dla_blocks, max_loadables(plan.target.version)))));
  }
  if (plan.count(Engine::gpu) == 0) {
    print(paint(Colour::good, "every layer stays on the DLA") + "\n");
  } else {
    Table table({{"on the GPU", Align::left, 40},
                 {"operator", Align::left},
                 {"MACs"},
                 {"why", Align::left},
                 {"instead", Align::left}});
    for (const PlacedNode& node : plan.nodes) {
      if (node.engine != Engine::gpu) continue;
      table.add({node.name, node.op, node.cost.macs ? count_text(static_cast<double>(node.cost.macs)) : "",
                 joined(node.reasons, "; "), node.remedy});
    }
    print("\n" + table.text());
  }
  if (!plan.transitions.empty()) {
    Table table({{"crosses", Align::left, 48}, {"from", Align::left}, {"to", Align::left}, {"bytes"}});
    const auto block = [&](int number) {
      return fmt::format("{} {}", to_string(plan.blocks[static_cast<std::size_t>(number)].engine),
                         number + 1);
    };
    for (const Transition& t : plan.transitions)
      table.add({t.tensor, block(t.from), block(t.to), bytes_text(static_cast<double>(t.bytes))});
    print("\n" + table.text());
  }
  if (!plan.scale_groups.empty()) {
    print(fmt::format("\nin int8 {} groups of tensors get one scale each, the largest of theirs:\n",
                      plan.scale_groups.size()));
    for (const ScaleGroup& group : plan.scale_groups)
      print(fmt::format("  {} (by {})\n", joined(group.tensors), joined(group.because)));
  }
}

int run_plan(const Options& options) {
  if (options.target != "dla-orin")
    throw UsageError(fmt::format("--target {}: the limits of dla-orin are known", options.target));
  const DlaTarget target = resolve_accelerator(options.accelerator);
  const Model model = load_model(options.model);
  const DlaPlan plan =
      with_context([&] { return "file '" + options.model + "'"; },
                   [&] { return plan_dla(bind_shapes(model.graph, options.shapes), target); });
  if (!options.picture.empty()) {
    write_file_atomically(options.picture,
                          to_svg(plan, fmt::format("{}: {}", options.model, placement_text(plan))));
  }
  if (options.common.json) {
    print_json(plan_json(options, plan));
  } else {
    plan_text(options, plan);
  }
  return kGood;
}

}  // namespace

void add_plan(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand(
      "plan", "Predict which layers a Jetson's DLA will run, which fall back to the GPU, and why");
  command->add_option("model", options->model, "ONNX file")->required()->type_name("MODEL");
  command->add_option("--target", options->target, "dla-orin")->capture_default_str();
  declare_accelerator(*command, options->accelerator);
  command->add_option("--picture", options->picture, "write a picture of the blocks (SVG)")
      ->type_name("FILE");
  command->add_option("--batch", options->shapes.batch, "where the model leaves it open")
      ->check(between(1, 65536))
      ->capture_default_str();
  declare_common(*command, options->common);
  declare_shapes(*command, options->shapes);
  command->footer(
      "Examples:\n"
      "  eke plan model.onnx\n"
      "  eke plan model.onnx --tensorrt 8.6 --precision fp16 --json\n"
      "  eke plan model.int8.onnx --picture plan.svg\n"
      "What the builder refuses beyond the documented limits shows only on the device.");
  command->callback([options, &action] { action = [options] { return run_plan(*options); }; });
}

}  // namespace eke::cli
