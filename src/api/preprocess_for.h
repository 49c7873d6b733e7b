// How images become the input of a model that a program names.
#pragma once

#include <string>
#include <string_view>

#include "data/preprocess.h"
#include "graph/graph.h"

namespace eke {

// As the model says; `normalization` (a name) and positive sizes of the caller's come before that. `options` is what the
// caller's struct is called, for the message where neither says it.
Preprocess preprocess_for(const Graph& graph, const std::string& normalization, int width, int height,
                          std::string_view options);

}  // namespace eke
