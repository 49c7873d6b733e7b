// What the commands that make a quantized model share: what may be written where, and how it is saved.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/preprocess.h"
#include "graph/graph.h"

namespace eke::cli {

// Throws where `output` cannot be written, or would replace the float model.
void check_output(const std::string& model, const std::string& output);

// "model.int8.onnx" becomes "model.int8.collapsed.onnx".
std::string marked_name(const std::string& path, const std::string& mark);

// With the metadata of the original, and what its images want. It takes any batch where the original did and nothing in
// the graph fixed it.
Graph saved_form(Graph graph, const Graph& original, const Preprocess& preprocess,
                 const std::vector<std::string>& labels);

// Whether the model has an output for each class of the data: an embedding has not.
bool has_output_for_each(const Graph& graph, const Dataset& data, int class_offset);

}  // namespace eke::cli
