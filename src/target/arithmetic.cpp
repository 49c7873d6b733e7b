#include "target/arithmetic.h"

#include <fmt/format.h>

#include "target/dla_plan.h"

namespace eke {
namespace {

struct DeviceName {
  Device device;
  std::string_view name;
};
constexpr DeviceName kDevices[] = {
    {Device::cpu, "cpu"}, {Device::tensorrt, "tensorrt"}, {Device::dla_orin, "dla-orin"}};

}  // namespace

std::string_view to_string(Device device) noexcept {
  for (const DeviceName& row : kDevices)
    if (row.device == device) return row.name;
  return "?";
}

std::optional<Device> parse_device(std::string_view name) noexcept {
  for (const DeviceName& row : kDevices)
    if (row.name == name) return row.device;
  return std::nullopt;
}

std::string to_string(const Arithmetic& arithmetic) {
  if (arithmetic.device == Device::cpu) return "cpu";
  return fmt::format("{} of TensorRT {}", to_string(arithmetic.device), to_string(arithmetic.version));
}

RewriteOptions quantize_options(const Arithmetic& arithmetic, const Graph& graph, RewriteOptions options) {
  if (arithmetic.device == Device::cpu) return options;
  options.activations = {DType::i8, true};
  const bool keeps_qdq = arithmetic.device == Device::tensorrt || is_strongly_typed(arithmetic.version);
  if (keeps_qdq) options.residual_rounding = ResidualRounding::sum_only;
  if (arithmetic.device == Device::tensorrt) return options;
  for (ScaleGroup& group : plan_dla(graph, {.version = arithmetic.version}).scale_groups)
    options.shared_scales.push_back(std::move(group.tensors));
  options.weights.all_levels = !keeps_qdq;
  return options;
}

Simulated simulate(const Graph& graph, const Arithmetic& arithmetic) {
  switch (arithmetic.device) {
    case Device::tensorrt:
      return simulate_gpu(graph);
    case Device::dla_orin:
      return simulate_dla(graph, {.version = arithmetic.version});
    case Device::cpu:
      break;
  }
  return {graph, {}};
}

}  // namespace eke
