#include "cli/accelerator.h"

#include <fmt/format.h>

#include <algorithm>

namespace eke::cli {

void declare_accelerator(App& app, AcceleratorOptions& options) {
  std::string versions;
  for (const TensorRtVersion& version : known_tensorrt_versions())
    versions += (versions.empty() ? "" : ", ") + to_string(version);
  app.add_option("--tensorrt", options.tensorrt,
                 fmt::format("whose rules: {} (default: {})", versions, to_string(kDefaultTensorRt)))
      ->type_name("VERSION");
  app.add_option("--precision", options.precision, "of the DLA: int8 or fp16")
      ->check(one_of({"int8", "fp16"}))
      ->capture_default_str();
}

DlaTarget resolve_accelerator(const AcceleratorOptions& options) {
  return {options.tensorrt.empty() ? kDefaultTensorRt : parse_tensorrt_version(options.tensorrt),
          options.precision == "fp16" ? DlaPrecision::fp16 : DlaPrecision::int8};
}

namespace {

int blocks_on(const DlaPlan& plan, Engine engine) {
  return static_cast<int>(
      std::ranges::count_if(plan.blocks, [&](const EngineBlock& b) { return b.engine == engine; }));
}

std::string counted(int count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

std::string placement_text(const DlaPlan& plan) {
  return fmt::format("DLA {} in {}, GPU {}, {} ({})", counted(plan.count(Engine::dla), "layer"),
                     counted(blocks_on(plan, Engine::dla), "block"),
                     counted(plan.count(Engine::gpu), "layer"),
                     counted(static_cast<int>(plan.transitions.size()), "transition"),
                     bytes_text(static_cast<double>(plan.transition_bytes())));
}

Json placement_json(const DlaPlan& plan) {
  return {{"dla_layers", plan.count(Engine::dla)},  {"dla_blocks", blocks_on(plan, Engine::dla)},
          {"gpu_layers", plan.count(Engine::gpu)},  {"folded_nodes", plan.count(Engine::folded)},
          {"transitions", plan.transitions.size()}, {"transition_bytes", plan.transition_bytes()},
          {"dla_macs", plan.macs(Engine::dla)},     {"gpu_macs", plan.macs(Engine::gpu)}};
}

}  // namespace eke::cli
