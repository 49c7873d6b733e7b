// Options that several subcommands share. A declare function adds them to a command; the struct holds what
// the user said, and functions turn that into values of the library.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "data/preprocess.h"
#include "graph/graph.h"

namespace eke::cli {

struct CommonOptions {
  int threads = 0;  // 0: all cores that the process may use
  bool json = false;
};
void declare_common(App& app, CommonOptions& options,
                    const std::string& default_threads = "all cores of this process");
int thread_count(const CommonOptions& options);

// How dynamic extents of the inputs are fixed.
struct ShapeOptions {
  std::vector<std::string> dims;    // NAME=N
  std::vector<std::string> shapes;  // 1x3x224x224 or NAME:1x3x224x224
  std::int64_t batch = 1;
};
void declare_shapes(App& app, ShapeOptions& options);
// Types of all values known. A dynamic first extent becomes the batch, dynamic image extents the size that
// `preprocess` gives; what stays dynamic is an error with the remedy.
Graph bind_shapes(const Graph& graph, const ShapeOptions& options, const Preprocess* preprocess = nullptr);
// The same after the portable passes: what is compiled.
Graph prepare(const Graph& graph, const ShapeOptions& options, const Preprocess* preprocess = nullptr);

// How an image becomes the input: flags, a JSON file, or what the model carries.
struct PreprocessOptions {
  std::string file, size, order, mean, scale, normalization, fit, layout;
  std::optional<float> crop;
  std::optional<int> pad;
  std::string labels;
};
void declare_preprocess(App& app, PreprocessOptions& options);
// Flags over the file over the model's metadata; the size defaults to that of the model's input. Throws
// UsageError when neither says how pixels become numbers.
Preprocess resolve_preprocess(const PreprocessOptions& options, const Graph& graph);
bool any_given(const PreprocessOptions& options);
// One label a class: the --labels file (a line a class, or a JSON array), else the model's; empty when there
// are none.
std::vector<std::string> resolve_labels(const PreprocessOptions& options, const Graph& graph);

}  // namespace eke::cli
