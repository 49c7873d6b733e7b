#include "data/list_file.h"

#include <filesystem>

#include "base/error.h"
#include "data/dataset_builder.h"

namespace eke {

namespace {

std::string quoted(const std::string& text) {
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

}  // namespace

std::string to_list(const Dataset& dataset) {
  check(dataset.kind() == DatasetKind::folders || dataset.kind() == DatasetKind::list,
        "data '{}' is no list of image files with classes: give a folder per class or a CSV of file,class",
        dataset.path());
  const std::filesystem::path root = std::filesystem::absolute(DatasetBuilder::root(dataset));
  std::string text = "file,class\n";
  for (const Sample& sample : dataset.samples())
    text += quoted((root / sample.id).lexically_normal().string()) + "," +
            quoted(dataset.classes().at(static_cast<std::size_t>(sample.label))) + "\n";
  return text;
}

}  // namespace eke
