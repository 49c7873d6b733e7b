// Files for the tests of this layer: a folder that goes away, and images without an encoder.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace eke {

class TestFolder {
 public:
  TestFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "eke_data_XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }

  std::string write(const std::string& name, const std::string& bytes) const {
    const std::filesystem::path file = path(name);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
    return file.string();
  }

 private:
  std::string path_;
};

// A grey image whose pixels all have one value.
inline std::string flat_pgm(int width, int height, int value) {
  return "P5 " + std::to_string(width) + " " + std::to_string(height) + " 255 " +
         std::string(static_cast<std::size_t>(width) * height, static_cast<char>(value));
}

// Where real data lie: EKE_DATA, else beside the source tree.
inline std::filesystem::path real_data() {
  const char* set = std::getenv("EKE_DATA");
  return set ? std::filesystem::path(set) : std::filesystem::path(EKE_SOURCE_DIR) / "../shared/data";
}

}  // namespace eke
