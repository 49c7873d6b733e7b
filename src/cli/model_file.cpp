#include "cli/model_file.h"

#include <filesystem>

#include "onnx/onnx.h"

namespace eke::cli {

Model load_model(const std::string& path) {
  Model model{path, load_onnx(path), 0};
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (!error) model.file_bytes = static_cast<std::int64_t>(bytes);
  return model;
}

}  // namespace eke::cli
