#include "api/preprocess_for.h"

#include "base/error.h"
#include "learn/image_input.h"

namespace eke {

Preprocess preprocess_for(const Graph& graph, const std::string& normalization, int width, int height,
                          std::string_view options) {
  const auto stored = graph.metadata.find(std::string(kPreprocessKey));
  check(stored != graph.metadata.end() || !normalization.empty(),
        "the model does not say how an image becomes its input: set {}::normalization", options);
  Preprocess how =
      stored != graph.metadata.end() ? preprocess_from_json(stored->second) : preprocess_of_input(graph);
  if (!normalization.empty()) apply_normalization(how, normalization);
  if (width > 0) how.width = width;
  if (height > 0) how.height = height;
  check(how.width > 0 && how.height > 0, "the model takes images of any size: set {0}::width and {0}::height",
        options);
  verify(how);
  return how;
}

}  // namespace eke
