#include "api/preprocess_for.h"

#include "base/error.h"

namespace eke {

Preprocess preprocess_for(const Graph& graph, const std::string& normalization, int width, int height,
                          std::string_view options) {
  const auto stored = graph.metadata.find(std::string(kPreprocessKey));
  Preprocess how;
  check(stored != graph.metadata.end() || !normalization.empty(),
        "the model does not say how an image becomes its input: set {}::normalization", options);
  if (stored != graph.metadata.end()) how = preprocess_from_json(stored->second);
  const Shape& shape = graph[graph.inputs.at(0)].type.shape;
  if (stored == graph.metadata.end() && shape.rank() == 4) {
    how.height = static_cast<int>(shape[2]);
    how.width = static_cast<int>(shape[3]);
    if (shape[1] == 1) how.order = ChannelOrder::grey;
  }
  if (!normalization.empty()) apply_normalization(how, normalization);
  if (width > 0) how.width = width;
  if (height > 0) how.height = height;
  verify(how);
  return how;
}

}  // namespace eke
