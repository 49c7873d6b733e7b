// A quantized model as a file: what may be written where, and what it carries.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/preprocess.h"
#include "graph/graph.h"

namespace eke {

// Throws where `output` cannot be written, or would replace the float model. `option` is what the user calls it.
void check_output(const std::string& model, const std::string& output, std::string_view option);

// "model.int8.onnx" becomes "model.int8.collapsed.onnx".
std::string marked_name(const std::string& path, const std::string& mark);

// Stores both in the metadata, where whatever feeds images to the model finds them.
void store_preprocess(Graph& graph, const Preprocess& preprocess, const std::vector<std::string>& labels);

// With the metadata of the original, and what its images want. It takes any batch where the original did and nothing in
// the graph fixed it.
Graph saved_form(Graph graph, const Graph& original, const Preprocess& preprocess,
                 const std::vector<std::string>& labels);

// Whether the model has an output for each class of the data: an embedding has not.
bool has_output_for_each(const Graph& graph, const Dataset& data, int class_offset);

}  // namespace eke
