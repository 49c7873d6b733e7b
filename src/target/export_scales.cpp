#include "target/export_scales.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace eke {

std::map<std::string, float> symmetric_scales(const Graph& graph, std::vector<ExportNote>& notes) {
  std::map<std::string, float> scales;
  int widened = 0;
  for (const auto& [name, scale] : tensor_scales(graph)) {
    const float symmetric = symmetric_scale(scale);
    widened += symmetric != scale.scale ? 1 : 0;
    scales[name] = symmetric;
  }
  check(!scales.empty(), "the model has no QuantizeLinear nodes: quantize it first (eke quantize)");
  if (widened > 0) {
    notes.push_back(
        {"scales", fmt::format("{} of {} tensors were not symmetric int8 and have coarser steps now; 'eke "
                               "quantize --activations int8 --symmetric' chooses their ranges for it",
                               widened, scales.size())});
  }
  return scales;
}

void make_equal(const Graph& graph, const DlaTarget& target, std::map<std::string, float>& scales,
                std::vector<ExportNote>& notes) {
  for (const ScaleGroup& group : plan_dla(graph, target).scale_groups) {
    float largest = 0;
    for (const std::string& name : group.tensors)
      if (const auto found = scales.find(name); found != scales.end())
        largest = std::max(largest, found->second);
    if (largest == 0) continue;
    for (const std::string& name : group.tensors) {
      const auto [at, added] = scales.emplace(name, largest);
      if (!added && at->second < largest) {
        notes.push_back(
            {name, fmt::format("scale {} instead of {}: {} ties it", largest, at->second, group.because[0])});
        at->second = largest;
      }
    }
  }
}

}  // namespace eke
