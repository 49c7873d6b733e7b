// The images that a model is calibrated on, decoded once where they fit into memory, since each step of quantization
// runs over them again.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/inputs.h"
#include "quant/calibrate.h"

namespace eke::cli {

class CalibrationImages {
 public:
  // The data set and the threads must outlive it.
  CalibrationImages(const Dataset& data, const Preprocess& preprocess, const Threads& threads);

  std::int64_t count() const { return rows_.count(); }
  // Pairs of images that are equal in every value, as positions: (a later one, the first like it). Of the images that
  // have been read.
  const std::vector<std::pair<std::int64_t, std::int64_t>>& duplicates() const noexcept {
    return duplicates_;
  }
  std::string name(std::int64_t image) const { return rows_.name(image); }

  // Calls `take` with whole batches and a last one that may be shorter: the values of the images and their names.
  // `limit`: of images; 0 for all. No progress is
  // shown under an empty label.
  using Take = std::function<void(std::span<const float> values, std::span<const std::string> names)>;
  void each_batch(std::int64_t batch, std::int64_t row_size, std::int64_t limit, const std::string& label,
                  const Take& take);

  // Runs a calibration over the images.
  void feed(Calibration& calibration, std::int64_t limit, const std::string& label);

 private:
  void read(std::int64_t begin, std::int64_t end, std::int64_t row_size);
  void note_duplicates(std::int64_t begin, std::span<const float> values, std::int64_t row_size);

  const Threads& threads_;
  DatasetRows rows_;
  Tensor values_{DType::f32, {0, 0}};  // a row an image: [first_, first_ + read_), and room for more
  std::int64_t first_ = 0, read_ = 0;
  std::int64_t looked_at_ = 0;  // for duplicates
  std::vector<std::uint64_t> hashes_;
  std::vector<std::pair<std::int64_t, std::int64_t>> duplicates_;
};

}  // namespace eke::cli
