// eke info: what a model is made of, and what a compiled plan makes of it on this machine.
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <memory>
#include <set>

#include "base/isa.h"
#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/provenance.h"
#include "cli/table.h"
#include "cli/tuned.h"
#include "passes/passes.h"
#include "runtime/lower.h"

namespace eke::cli {

namespace {

struct Options {
  std::string model, tuning;
  CommonOptions common;
  ShapeOptions shapes;
  bool passes = false;
  std::string precision = "f32";
};

// Weights: constants that carry values. Scales and zero points of Q/DQ nodes and shape arithmetic are none.
std::int64_t parameter_count(const Graph& graph) {
  std::set<ValueId> counted;
  std::int64_t total = 0;
  for (const Node& node : graph.nodes) {
    const bool affine = std::holds_alternative<op::QuantizeLinear>(node.op) ||
                        std::holds_alternative<op::DequantizeLinear>(node.op);
    for (std::size_t i = 0; i < (affine ? 1 : node.in.size()); ++i) {
      const Tensor* constant = graph.constant(node.in[i]);
      if (!constant || (!affine && !is_float(constant->dtype()) && constant->dtype() != DType::i8)) continue;
      if (counted.insert(node.in[i]).second) total += constant->count();
    }
  }
  return total;
}

std::map<std::string, int> operator_counts(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const Node& node : graph.nodes) ++counts[std::string(op_name(node.op))];
  return counts;
}

struct Totals {
  std::int64_t macs = 0, integer_macs = 0;
  int reference_steps = 0;
};

bool is_integer_step(const StepInfo& step) {
  return step.type.quant.has_value() || is_integer(step.type.dtype);
}

Totals totals_of(const std::vector<StepInfo>& steps) {
  Totals totals;
  for (const StepInfo& step : steps) {
    totals.macs += step.cost.macs;
    if (is_integer_step(step)) totals.integer_macs += step.cost.macs;
    if (step.tactic == "reference") ++totals.reference_steps;
  }
  return totals;
}

std::string signature(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (ValueId id : ids) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", graph[id].name, to_string(graph[id].type));
  }
  return text;
}

Json values_json(const Graph& graph, const std::vector<ValueId>& ids) {
  Json json = Json::array();
  for (ValueId id : ids) {
    const Value& value = graph[id];
    Json dims = Json::array();
    for (int i = 0; i < value.type.shape.rank(); ++i) {
      const bool named = static_cast<std::size_t>(i) < value.dim_names.size() &&
                         !value.dim_names[static_cast<std::size_t>(i)].empty();
      if (value.type.shape[i] == kDynamic) {
        dims.push_back(named ? value.dim_names[static_cast<std::size_t>(i)] : "?");
      } else {
        dims.push_back(value.type.shape[i]);
      }
    }
    json.push_back({{"name", value.name}, {"dtype", to_string(value.type.dtype)}, {"shape", dims}});
  }
  return json;
}

Json passes_json(const std::vector<PassReport>& reports) {
  Json json = Json::array();
  for (const PassReport& report : reports) {
    json.push_back({{"pass", report.pass},
                    {"nodes_before", report.nodes_before},
                    {"nodes_after", report.nodes_after},
                    {"changed", report.changed},
                    {"ms", static_cast<double>(report.time_ns) / 1e6}});
  }
  return json;
}

std::string passes_table(const std::vector<PassReport>& reports) {
  Table table({{"pass", Align::left}, {"nodes before"}, {"after"}, {"time"}});
  for (const PassReport& report : reports) {
    table.add({std::string(report.pass), std::to_string(report.nodes_before),
               report.changed ? std::to_string(report.nodes_after) : "no change",
               ms_text(static_cast<double>(report.time_ns) / 1e6)});
  }
  return table.text();
}

struct Report {
  Model model;
  Graph bound;
  std::vector<PassReport> passes;
  std::vector<LowerNote> notes;
  Plan plan;
  double compile_ms;
};

Report inspect(const Options& options) {
  Model model = load_model(options.model);
  const TunedModel tuned(options.tuning, model);
  return with_context(
      [&] { return "file '" + options.model + "'"; },
      [&] {
        std::vector<PassReport> passes;
        Graph graph = optimize(bind_shapes(model.graph, options.shapes), &passes);
        run_passes(graph, lowering_passes(), [&](const PassReport& report) { passes.push_back(report); });
        std::vector<LowerNote> notes;
        lower(graph, &notes);
        const auto begin = std::chrono::steady_clock::now();
        CompileOptions how = tuned.compile_options(graph, tuned.threads(options.common));
        how.floats = floats_of(options.precision);
        Plan plan = compile(graph, how);
        const double ms =
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
        return Report{std::move(model), std::move(graph), std::move(passes),
                      std::move(notes), std::move(plan),  ms};
      });
}

Json report_json(const Options& options, const Report& report) {
  const std::vector<StepInfo>& steps = report.plan.steps();
  const Totals totals = totals_of(steps);
  Json json{{"model", options.model},
            {"file_bytes", report.model.file_bytes},
            {"inputs", values_json(report.model.graph, report.model.graph.inputs)},
            {"outputs", values_json(report.model.graph, report.model.graph.outputs)},
            {"parameters", parameter_count(report.model.graph)},
            {"macs", totals.macs},
            {"integer_macs", totals.integer_macs},
            {"activation_peak_bytes", report.plan.arena_bytes()},
            {"packed_weight_bytes", report.plan.weight_bytes()},
            {"isa", to_string(selected_isa())},
            {"compile_ms", report.compile_ms},
            {"reference_steps", totals.reference_steps},
            {"operators", operator_counts(report.model.graph)}};
  json["metadata"] = report.model.graph.metadata;
  json["layers"] = Json::array();
  for (const StepInfo& step : steps) {
    json["layers"].push_back({{"name", step.name},
                              {"operator", step.op},
                              {"output", to_string(step.type)},
                              {"precision", to_string(step.type.dtype)},
                              {"macs", step.cost.macs},
                              {"bytes", step.cost.bytes},
                              {"tactic", step.tactic},
                              {"note", step.note}});
  }
  json["float_islands"] = Json::array();
  for (const LowerNote& note : report.notes)
    json["float_islands"].push_back({{"node", note.node}, {"reason", note.reason}});
  if (options.passes) json["passes"] = passes_json(report.passes);
  return json;
}

void report_text(const Options& options, const Report& report) {
  const Graph& graph = report.bound;
  const std::vector<StepInfo>& steps = report.plan.steps();
  const Totals totals = totals_of(steps);
  std::string operators;
  for (const auto& [name, count] : operator_counts(report.model.graph))
    operators += fmt::format("{}{} {}", operators.empty() ? "" : ", ", name, count);
  print(fmt::format("{}  {}\n", paint(Colour::bold, options.model),
                    bytes_text(static_cast<double>(report.model.file_bytes))));
  print(fmt::format("inputs      {}\noutputs     {}\noperators   {}\n", signature(graph, graph.inputs),
                    signature(graph, graph.outputs), operators));
  print(fmt::format(
      "parameters  {}\nMACs        {} ({} in integers)\n",
      count_text(static_cast<double>(parameter_count(report.model.graph))),
      count_text(static_cast<double>(totals.macs)),
      percent_text(totals.macs ? static_cast<double>(totals.integer_macs) / static_cast<double>(totals.macs)
                               : 0)));
  print(fmt::format("memory      {} activations at the peak, {} packed weights\n",
                    bytes_text(static_cast<double>(report.plan.arena_bytes())),
                    bytes_text(static_cast<double>(report.plan.weight_bytes()))));
  print(fmt::format("compiled    in {} for {}\n", ms_text(report.compile_ms), to_string(selected_isa())));
  for (const auto& [key, value] : report.model.graph.metadata) {
    print(
        fmt::format("metadata    {}: {}\n", key, value.size() > 100 ? value.substr(0, 100) + "..." : value));
  }
  Table table({{"layer", Align::left, 36},
               {"operator", Align::left},
               {"output", Align::left},
               {"MACs"},
               {"tactic", Align::left},
               {"note", Align::left, 60}});
  for (const StepInfo& step : steps) {
    table.add(
        {step.name, step.op, fmt::format("{}[{}]", to_string(step.type.dtype), to_string(step.type.shape)),
         step.cost.macs ? count_text(static_cast<double>(step.cost.macs)) : "", step.tactic, step.note});
  }
  print("\n" + table.text());
  if (!report.notes.empty()) {
    print("\nnot fused or not in integers:\n");
    for (const LowerNote& note : report.notes) print(fmt::format("  {}: {}\n", note.node, note.reason));
  }
  if (options.passes) print("\n" + passes_table(report.passes));
}

int info(const Options& options) {
  const Report report = inspect(options);
  if (options.common.json) {
    print_json(with_provenance("info", report_json(options, report)));
  } else {
    report_text(options, report);
  }
  return kGood;
}

}  // namespace

void add_info(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand(
      "info", "Show operators, parameters, MACs, memory, and each layer's precision and tactic");
  command->add_option("model", options->model, "ONNX file")->required()->type_name("MODEL");
  command->add_flag("--passes", options->passes, "show what each pass changed and how long it took");
  command->add_option("--batch", options->shapes.batch, "where the model leaves it open")
      ->check(between(1, 65536))
      ->capture_default_str();
  declare_common(*command, options->common);
  declare_tuned(*command, options->tuning);
  declare_precision(*command, options->precision);
  declare_shapes(*command, options->shapes);
  command->footer(
      "Examples:\n"
      "  eke info model.onnx\n"
      "  eke info model.onnx --passes\n"
      "  eke info model.onnx --input-shape 1x3x320x320 --json\n"
      "  EKE_ISA=avx2 eke info model.onnx");
  command->callback([options, &action] { action = [options] { return info(*options); }; });
}

}  // namespace eke::cli
