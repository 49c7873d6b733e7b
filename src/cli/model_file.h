// A model as a command reads it from a file.
#pragma once

#include <cstdint>
#include <string>

#include "graph/graph.h"

namespace eke::cli {

struct Model {
  std::string path;
  Graph graph;
  std::int64_t file_bytes = 0;
};
Model load_model(const std::string& path);

}  // namespace eke::cli
