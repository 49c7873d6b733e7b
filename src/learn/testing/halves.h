// A set that can be learned in a moment, for the tests of this layer.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/random.h"
#include "data/dataset.h"
#include "data/preprocess.h"

namespace eke {

// Two classes of 8x8 images: the brighter half is left or right.
class Halves {
 public:
  Halves() {
    std::string pattern = (std::filesystem::temp_directory_path() / "eke_learn_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
    for (const char* side : {"left", "right"}) {
      std::filesystem::create_directories(path_ + "/data/" + side);
      for (int i = 0; i < 12; ++i) write_image(side, i);
    }
  }
  ~Halves() { std::filesystem::remove_all(path_); }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  Dataset open() const { return open_dataset(path("data")); }

 private:
  void write_image(const std::string& side, int i) const {
    std::ofstream file(path_ + "/data/" + side + "/" + std::to_string(100 + i) + ".pgm", std::ios::binary);
    file << "P5 8 8 255 ";
    Random random(static_cast<std::uint64_t>(i), side == "left");
    for (int p = 0; p < 64; ++p) {
      const bool bright = (p % 8 < 4) == (side == "left");
      file.put(static_cast<char>((bright ? 150 : 60) + random.below(60)));
    }
  }
  std::string path_;
};

inline Preprocess small_preprocess() {
  Preprocess how;
  how.width = how.height = 8;
  how.scale = {255, 255, 255};
  return how;
}

}  // namespace eke
